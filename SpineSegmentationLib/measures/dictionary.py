"""The columns of the tables: their names, with the unit in them, what they mean, and how they are filled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .column import Measures
from .fracture import is_graded
from .quantity import Quantity, missing
from .vertebra import Vertebra

Value = str | float | int | bool | None

SEPARATOR = "; "


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: with the unit at its end.
        unit: empty for words and plain numbers.
        meaning: one sentence for the data dictionary.
        fill: the value of a row; None and NaN where there is none.
    """

    name: str
    unit: str
    meaning: str
    fill: Callable[..., Value]


def _with_uncertainty(name: str, unit: str, meaning: str, get: Callable[..., Quantity]) -> list[Column]:
    """The column of a quantity, and that of its uncertainty."""
    suffix = {"%": "percent", "degree": "deg", "HU": "hu", "mg/cm3": "mg_cm3"}.get(unit, unit)
    return [
        Column(f"{name}_{suffix}", unit, meaning, lambda *row: get(*row).value),
        Column(f"{name}_uncertainty_{suffix}", unit, f"One standard deviation of {name}.",
               lambda *row: get(*row).uncertainty),
    ]  # fmt: skip


def _segment(measures: Measures, vertebra: Vertebra, name: str) -> Quantity:
    for segment in measures.segments:
        if segment.upper == vertebra.level.name:
            return getattr(segment, name)
    return missing("no neighbour below")


def _slip_grade(measures: Measures, vertebra: Vertebra) -> int | None:
    return next((one.grade for one in measures.segments if one.upper == vertebra.level.name), None)


def _grade_probability(measures: Measures, vertebra: Vertebra) -> float:
    deformity = measures.deformities[vertebra.level]
    return math.nan if deformity.grade is None else deformity.grades[deformity.grade]


def _tilt(which: str, of: Callable) -> Callable[[Measures, Vertebra], float]:
    def get(measures: Measures, vertebra: Vertebra) -> float:
        plate = getattr(vertebra.body, which) if vertebra.body else None
        return math.nan if plate is None else of(plate)

    return get


def _notes(measures: Measures, vertebra: Vertebra) -> str:
    deformity = measures.deformities[vertebra.level]
    reasons = [vertebra.why, vertebra.density.mean.why, *(height.why for height in vertebra.heights.all)]
    reasons += [deformity.why] if is_graded(vertebra.level) else []
    reasons += [
        getattr(one, name).why
        for one in measures.segments
        if one.upper == vertebra.level.name
        for name in ("angle", "middle", "slip")
    ]
    return SEPARATOR.join(dict.fromkeys(reason for reason in reasons if reason))


def _vertebra_columns() -> tuple[Column, ...]:
    from .alignment import axial_rotation, coronal_tilt, sagittal_tilt

    def deformity(name: str) -> Callable[[Measures, Vertebra], Quantity]:
        return lambda m, v: getattr(m.deformities[v.level], name)

    columns = [
        Column("label", "", "Name of the vertebra.", lambda m, v: v.level.name),
        Column("volume_mm3", "mm3", "Volume of the mask.", lambda m, v: v.volume),
        Column("completeness", "", "Whether the mask keeps away from the border of the scan.",
               lambda m, v: "complete" if v.complete else "incomplete"),
        Column("confidence", "", "How sure the name is, 0 to 1.", lambda m, v: v.confidence),
        Column("mask_confidence", "", "How good the mask is likely to be: the Dice coefficient of such masks, 0 to 1.",
               lambda m, v: v.mask_confidence),
        Column("names", "", "Verdict on all names: certain, doubtful, unknown; empty when a person gave them.",
               lambda m, v: m.numbering.certainty.value if m.numbering else ""),
        Column("name_probability", "", "The least of confidence and the probability that all names are right, 0 to 1.",
               lambda m, v: m.confidence(v.level.name)),
    ]  # fmt: skip
    for number, name in enumerate(("anterior", "middle", "posterior")):
        columns += _with_uncertainty(
            f"height_{name}", "mm", f"{name.capitalize()} height of the body in its mid-sagittal plane.",
            lambda m, v, number=number: v.heights.all[number],
        )  # fmt: skip
    columns += _with_uncertainty(
        "width", "mm", "Left-right in front of the pedicles, at mid-height.", lambda m, v: v.width
    )
    columns += _with_uncertainty("depth", "mm", "Front-back at mid-height.", lambda m, v: v.depth)
    for name, meaning in (
        ("wedge", "Loss of the anterior against the posterior height."),
        ("biconcave", "Loss of the middle against the posterior height."),
        ("crush", "Loss of the posterior height against the neighbours."),
        ("anterior", "Loss of the anterior height against the neighbours."),
        ("middle", "Loss of the middle height against the neighbours."),
    ):
        prefix = name if name in ("wedge", "biconcave", "crush") else f"{name}_loss"
        columns += _with_uncertainty(prefix, "%", meaning, deformity(name))
    columns += [
        Column("genant_grade", "", "Semiquantitative grade 0 to 3 of the largest loss, T4 to L4 (Genant et al. 1993).",
               lambda m, v: m.deformities[v.level].grade),
        Column("genant_probability", "", "How sure that grade is, 0 to 1.", _grade_probability),
        Column("deformity", "", "Which height lost most: wedge, biconcave, crush.",
               lambda m, v: m.deformities[v.level].shape),
    ]  # fmt: skip
    columns += _with_uncertainty(
        "trabecular", "HU", "Mean in an ellipsoid of trabecular bone.", lambda m, v: v.density.mean
    )
    columns += [
        Column("trabecular_sd_hu", "HU", "Standard deviation between its voxels.", lambda m, v: v.density.sd),
        *(
            Column(f"trabecular_p{percent}_hu", "HU", f"Its {percent}th percentile.",
                   lambda m, v, number=number: v.density.percentiles[number])
            for number, percent in enumerate((10, 50, 90))
        ),
        Column("trabecular_voxels", "", "Number of its voxels.", lambda m, v: v.density.voxels),
        Column("trabecular_mg_cm3", "mg/cm3", "Mean by the calibration that was given; empty without.",
               lambda m, v: v.density.calibrated(m.calibration).value if m.calibration else None),
        Column("density_doubts", "", "Why the density may be false: metal, cement, contrast, fracture.",
               lambda m, v: SEPARATOR.join(m.doubts(v))),
        Column("rotation_deg", "degree", "Turn about the patient's long axis; positive: left side further back.",
               lambda m, v: axial_rotation(v.body.frame) if v.body else None),
    ]  # fmt: skip
    for which in ("upper", "lower"):
        for plane, of, positive in (("sagittal", sagittal_tilt, "forward"), ("coronal", coronal_tilt, "to the left")):
            columns.append(
                Column(f"{which}_endplate_{plane}_deg", "degree", f"Tilt of the {which} end-plate, + {positive}.",
                       _tilt(which, of))
            )  # fmt: skip
    for name, unit, prefix, meaning in (
        ("angle", "degree", "disc_below_angle", "Sagittal angle of the disc below, positive when open in front."),
        ("front", "mm", "disc_below_anterior", "Height of the disc below in front."),
        ("middle", "mm", "disc_below_middle", "Height of the disc below in its middle."),
        ("back", "mm", "disc_below_posterior", "Height of the disc below at its back."),
        ("slip", "mm", "slip", "Slip on the bone below, positive forward."),
        ("slip_percent", "%", "slip", "Slip in per cent of the depth of the end-plate below."),
    ):
        columns += _with_uncertainty(prefix, unit, meaning, lambda m, v, name=name: _segment(m, v, name))
    columns += [
        Column("meyerding_grade", "", "Grade 0 to 5 of the slip (Meyerding 1932); 0 within 3 mm.", _slip_grade),
        *(
            Column(f"centre_{axis}_mm", "mm", f"Centre of the body, {axis.upper()} of LPS.",
                   lambda m, v, number=number: v.body.frame.origin[number] if v.body else None)
            for number, axis in enumerate("lps")
        ),
        Column("notes", "", "What was left out, and why.", _notes),
    ]  # fmt: skip
    return tuple(columns)


def _scan_columns() -> tuple[Column, ...]:
    columns = [
        Column("numbering", "", "Verdict on the names: certain, doubtful, unknown; empty when a person gave them.",
               lambda m: m.numbering.certainty.value if m.numbering else ""),
        Column("levels_measured", "", "Vertebrae in the label map.",
               lambda m: " ".join(v.level.name for v in m.vertebrae)),
    ]  # fmt: skip
    for prefix, name, meaning in (
        ("cobb", "cobb", "Largest coronal Cobb angle between vertebrae of the trunk, lying."),
        ("kyphosis", "kyphosis", "Sagittal angle from T4 to T12 or as far as seen, positive forward, lying."),
        ("lordosis_l1_l5", "lordosis_l5", "Sagittal angle from the upper end-plate of L1 to the lower one of the last "
         "lumbar vertebra, positive backward, lying."),
        ("lordosis_l1_s1", "lordosis_s1", "The same to the upper end-plate of S1."),
    ):  # fmt: skip
        columns += _with_uncertainty(prefix, "degree", meaning, lambda m, name=name: getattr(m, name).angle)
        columns.append(
            Column(f"{prefix}_between", "", f"End vertebrae of {prefix}.",
                   lambda m, name=name: f"{getattr(m, name).upper}-{getattr(m, name).lower}".strip("-"))
        )  # fmt: skip
        columns.append(
            Column(f"{prefix}_name_probability", "", f"How sure the names of the ends of {prefix} are, 0 to 1.",
                   lambda m, name=name: m.confidence(getattr(m, name).upper, getattr(m, name).lower)
                   if getattr(m, name).angle else math.nan)
        )  # fmt: skip
    columns += [
        Column("cobb_convex", "", "Side to which the largest curve is convex.", lambda m: m.cobb.side),
        Column("cobb_apex", "", "Vertebra furthest aside in it.", lambda m: m.cobb.apex),
    ]
    columns += _with_uncertainty("l1_l4", "HU", "Mean of the sound ones of L1 to L4.", lambda m: m.lumbar_hu)
    columns += [
        Column("fractures", "", "Vertebrae of grade 1 to 3 with their grades.", _fractures),
        Column("scan_notes", "", "What was left out, and why.", _scan_notes),
    ]
    return tuple(columns)


def _fractures(measures: Measures) -> str:
    graded = ((vertebra.level, measures.deformities[vertebra.level].grade) for vertebra in measures.vertebrae)
    return " ".join(f"{level.name}:{grade}" for level, grade in graded if grade)


def _scan_notes(measures: Measures) -> str:
    parts = {
        "Cobb angle": measures.cobb.angle,
        "kyphosis": measures.kyphosis.angle,
        "lordosis L1-L5": measures.lordosis_l5.angle,
        "lordosis L1-S1": measures.lordosis_s1.angle,
        "L1-L4 density": measures.lumbar_hu,
    }
    return SEPARATOR.join(f"{name}: {part.why}" for name, part in parts.items() if not part)


VERTEBRA_COLUMNS = _vertebra_columns()
"""One row per vertebra; filled from the measures of the scan and the vertebra."""

SCAN_COLUMNS = _scan_columns()
"""One row per scan; filled from its measures."""
