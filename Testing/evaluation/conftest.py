"""A data set and three methods: a good one, one with errors, one without masks."""

from pathlib import Path

import pytest
import SimpleITK as sitk
from spines import SCANS, ct_of, eroded, renamed, save, spine, without_t13

from SpineSegmentationLib.evaluation.command import evaluate
from SpineSegmentationLib.io.writing import write_image


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A truth folder in the VerSe'20 layout, a good method, one that errs, and one that only labels."""
    root = tmp_path_factory.mktemp("verse")
    for number, levels in enumerate(SCANS):
        name = f"sub-verse{500 + number}_dir-ax"
        mask, centroids = spine(without_t13(levels))
        (root / f"truth/rawdata/sub-verse{500 + number}").mkdir(parents=True)
        write_image(ct_of(mask), root / f"truth/rawdata/sub-verse{500 + number}/{name}_ct.nii.gz")
        save(root / f"truth/derivatives/sub-verse{500 + number}", name, mask, centroids)
        # Every other prediction is stored in another order of the axes than its scan.
        save(root / "good", name, sitk.DICOMOrient(eroded(mask, 1), ("LPS", "RSA")[number % 2]), centroids)
        worse, shifted = eroded(mask, 3), centroids
        if number in (0, 6):
            worse, shifted = renamed(worse, centroids, -1)
        if number == 9:
            shifted = centroids.only(centroids.levels[1:])
            worse = sitk.ChangeLabel(worse, {int(centroids.levels[0]): 0})
        save(root / "worse", name, worse, shifted)
        if number != 4:
            save(root / "points", name, None, centroids)
    return root


@pytest.fixture(scope="module")
def evaluation(data):
    methods = {"good": data / "good", "worse": data / "worse", "points": data / "points"}
    return evaluate(data / "truth", methods, data / "report")
