"""Measurements as a DICOM structured report (template TID 1500) that refers to the segments they were taken from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import highdicom as hd
from highdicom.sr.coding import CodedConcept
from pydicom import Dataset
from pydicom.sr.codedict import codes

from ..anatomy import Level
from ..errors import SpineError
from ..measures.dictionary import VERTEBRA_COLUMNS
from .header import MANUFACTURER, MODEL, PRIVATE, complete, header
from .seg import Algorithm, code_of
from .source import SourceSeries


@dataclass(frozen=True)
class Measure:
    """What a column of the table of measurements is called in DICOM.

    Attributes:
        name, unit: coded.
        derivation: how many values became one, such as their mean; None for a value of its own.
    """

    name: CodedConcept
    unit: CodedConcept
    derivation: CodedConcept | None = None


def _unit(code: str, meaning: str) -> CodedConcept:
    return CodedConcept(code, "UCUM", meaning)


UNITS: dict[str, CodedConcept] = {
    "mm3": _unit("mm3", "cubic millimeter"),
    "mm": _unit("mm", "millimeter"),
    "HU": _unit("[hnsf'U]", "Hounsfield unit"),
    "degree": _unit("deg", "degree"),
    "%": _unit("%", "percent"),
    "mg/cm3": _unit("mg/cm3", "milligram per cubic centimeter"),
}
"""As the dictionary of the measures writes them; other values have no unit."""

NO_UNIT = _unit("1", "no units")

MEASURES: dict[str, Measure] = {
    "volume_mm3": Measure(CodedConcept("118565006", "SCT", "Volume"), UNITS["mm3"]),
    "width_mm": Measure(CodedConcept("103355008", "SCT", "Width"), UNITS["mm"]),
    "depth_mm": Measure(CodedConcept("131197000", "SCT", "Depth"), UNITS["mm"]),
    "trabecular_hu": Measure(
        CodedConcept("112031", "DCM", "Attenuation Coefficient"), UNITS["HU"], CodedConcept("373098007", "SCT", "Mean")
    ),
}
"""The columns that a standard has a code for."""


def measure_of(column: str) -> Measure:
    """The coded measure of a column of the table; its unit is that of the dictionary of the measures."""
    if column in MEASURES:
        return MEASURES[column]
    unit = next((one.unit for one in VERTEBRA_COLUMNS if one.name == column), "")
    words = [word for word in column.split("_") if word not in ("mm", "mm3", "hu", "deg", "percent", "mg", "cm3")]
    return Measure(CodedConcept(column, PRIVATE, " ".join(words).capitalize()), UNITS.get(unit, NO_UNIT))


def report(
    source: SourceSeries,
    segmentation: hd.seg.Segmentation,
    table: Mapping[Level, Mapping[str, float]],
    algorithm: Algorithm,
) -> hd.sr.Comprehensive3DSR:
    """The measurements of each vertebra, with the segment that they belong to.

    Args:
        source: what the segmentation was made from.
        segmentation: with a segment, tracked by the level's name, for every level of the table.
        table: values by level and column; those that are not finite are left out.

    Raises:
        SpineError: a level without a segment, nothing measured, or images that lack what a report needs.
    """
    segments = {str(item.TrackingID): item for item in segmentation.SegmentSequence}
    if missing := [level.name for level in table if level.name not in segments]:
        raise SpineError(f"{', '.join(missing)} has measurements but no segment in the DICOM SEG")
    groups = [_group(level, row, segmentation, segments[level.name], algorithm) for level, row in table.items()]
    if not groups:
        raise SpineError("nothing was measured: there is nothing to write as a DICOM report")
    device = hd.sr.DeviceObserverIdentifyingAttributes(uid=hd.UID(), manufacturer_name=MANUFACTURER, model_name=MODEL)
    observer = hd.sr.ObserverContext(codes.DCM.Device, device)
    content = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_device_context=observer),
        CodedConcept("77477000", "SCT", "Computed tomography"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    with complete("report"):
        return hd.sr.Comprehensive3DSR(
            evidence=[segmentation, *source.images],
            content=content,
            is_complete=True,
            **header(301, "Vertebrae, measurements"),
        )


def _group(
    level: Level, row: Mapping[str, float], segmentation: hd.seg.Segmentation, segment: Dataset, algorithm: Algorithm
) -> hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """TID 1411, one vertebra."""
    measurements = []
    for column, value in row.items():
        if math.isfinite(value):
            measure = measure_of(column)
            measurements.append(hd.sr.Measurement(measure.name, value, measure.unit, derivation=measure.derivation))
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(str(segment.TrackingUID), level.name),
        referenced_segment=hd.sr.ReferencedSegment.from_segmentation(segmentation, int(segment.SegmentNumber)),
        finding_type=code_of(level),
        finding_sites=[hd.sr.FindingSite(code_of(level))],
        algorithm_id=hd.sr.AlgorithmIdentification(algorithm.name, algorithm.version),
        measurements=measurements,
    )
