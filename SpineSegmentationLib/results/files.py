"""The names of the files of a result, as in the VerSe data set."""

from __future__ import annotations

BOX = "{}_box.json"
CENTROIDS = "{}_seg-subreg_ctd.json"
LABEL_MAP = "{}_seg-vert_msk.nii.gz"
PICTURE = "{}_seg-vert_snp.png"
MEASUREMENTS = "{}_measurements.csv"
MEASURES = "{}_measures.json"
RUN = "{}_run.json"

FILES: dict[str, tuple[str, ...]] = {
    "detection": (BOX, RUN),
    "labelling": (BOX, CENTROIDS, RUN),
    "segmentation": (LABEL_MAP, CENTROIDS, PICTURE, MEASUREMENTS, MEASURES, RUN),
}
"""What is written after each last stage; ``{}`` is the scan's name. The last one tells that the others are there."""
