"""A label map as a DICOM segmentation (SEG) that refers to the series it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import highdicom as hd
import numpy as np
import SimpleITK as sitk
from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes

from .. import __version__
from ..anatomy import BONES, SNOMED_CATEGORY, SNOMED_VERTEBRA, Bone
from ..errors import SpineError
from ..io.values import replacing
from .header import PRIVATE, complete, header
from .source import SourceSeries


@dataclass(frozen=True)
class Algorithm:
    """What made the segments.

    Attributes:
        name: for people.
        kind: whether a person had a hand in it.
        version: of the program.
        parameters: such as the digests of the weights.
    """

    name: str
    kind: Literal["AUTOMATIC", "SEMIAUTOMATIC"] = "AUTOMATIC"
    version: str = __version__
    parameters: Mapping[str, str] = field(default_factory=dict)

    def identification(self) -> hd.AlgorithmIdentificationSequence:
        """PS3.3 10.16."""
        return hd.AlgorithmIdentificationSequence(
            self.name, codes.DCM.ArtificialIntelligence, self.version, parameters=dict(self.parameters) or None
        )


def code_of(level: Bone) -> CodedConcept:
    """The vertebra, or the sacrum, as a SNOMED CT body structure; a variant is a vertebra with a private modifier."""
    if level.snomed:
        return CodedConcept(level.snomed, "SCT", level.title)
    return CodedConcept(SNOMED_VERTEBRA[0], "SCT", SNOMED_VERTEBRA[1])


def segmentation(source: SourceSeries, label_map: sitk.Image, algorithm: Algorithm) -> hd.seg.Segmentation:
    """The bones of a label map as segments on the images of the source, each frame where its image lies.

    Every pixel of an image takes the nearest voxel: where the label map lies on the grid of the images, exactly that
    one; where it does not (gantry tilt), the nearest.

    Args:
        label_map: uint8 VerSe codes, on any grid.

    Raises:
        SpineError: no vertebra in it, or the images lack what a SEG needs.
    """
    frames = np.concatenate([_sampled(label_map, plane.image()) for plane in source.planes])
    present = [level for level in BONES.values() if np.any(frames == level)]
    if not present:
        raise SpineError("no vertebra lies on the images of the series: there is nothing to write as DICOM SEG")
    numbers = np.zeros(256, np.uint8)
    numbers[present] = range(1, len(present) + 1)
    descriptions = [_description(number, level, algorithm) for number, level in enumerate(present, 1)]
    with complete("SEG"):
        made = hd.seg.Segmentation(
            source_images=source.images,
            pixel_array=numbers[frames],
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=descriptions,
            device_serial_number="none",
            content_description="Vertebrae",
            content_label="VERTEBRAE",
            content_creator_name=None,
            **header(300, "Vertebrae"),
        )
    if source.numbers:
        _refer_to_frames(made, source.numbers)
    return made


def _refer_to_frames(made: hd.seg.Segmentation, numbers: tuple[int, ...]) -> None:
    """Frames of the source by their numbers in its file, where highdicom counted those that it was given."""
    for frame in made.PerFrameFunctionalGroupsSequence:
        for derivation in frame.DerivationImageSequence:
            for image in derivation.SourceImageSequence:
                image.ReferencedFrameNumber = numbers[int(image.ReferencedFrameNumber) - 1]


def _sampled(label_map: sitk.Image, plane: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.Resample(label_map, plane, sitk.Transform(), sitk.sitkNearestNeighbor, 0))


def _description(number: int, level: Bone, algorithm: Algorithm) -> hd.seg.SegmentDescription:
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=level.title,
        segmented_property_category=CodedConcept(SNOMED_CATEGORY[0], "SCT", SNOMED_CATEGORY[1]),
        segmented_property_type=code_of(level),
        algorithm_type=algorithm.kind,
        algorithm_identification=algorithm.identification(),
        tracking_uid=hd.UID(),
        tracking_id=level.name,
        display_color=hd.color.CIELabColor.from_rgb(*(round(255 * value) for value in level.color)),
    )
    if not level.snomed:
        modifier = CodedConcept(level.name, PRIVATE, level.title)
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return description


def write_dicom(dataset: hd.SOPClass, path: str | Path) -> None:
    """Write a DICOM object, whole or not at all. Raises SpineError."""
    with replacing(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
