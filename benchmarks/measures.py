"""Measures against phantoms of known shape; seconds a vertebra: python benchmarks/measures.py [COUNT [MM...]]

COUNT people (36 if nothing is said), in equal parts with voxels of MM (1, 2 and 3) along the body, most of them with
wedge, biconcave or crush fractures of known loss, half of them with a scoliosis; from their true label maps and
centroids.
The true heights are those of the modelled end-plates at their front edge, in their middle and at their back edge,
which is flattened (:mod:`SpineSegmentationLib.phantom.vertebra`). The true grade is that of the true heights by the
same rule.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measuring import markdown

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.measures.column import measure
from SpineSegmentationLib.measures.fracture import deformities
from SpineSegmentationLib.measures.heights import Heights
from SpineSegmentationLib.measures.quantity import Quantity
from SpineSegmentationLib.phantom import Fracture, PhantomSpec, Scoliosis, make_phantom
from SpineSegmentationLib.phantom.column import Member, build_column
from SpineSegmentationLib.phantom.spec import FRACTURES

BACK_EDGE = 0.8947
"""Where the flattened back of a modelled body lies in half depths: the root of v + 0.13 v^2 = 1."""

WIDE = (116.0, 124.0)
"""mm; the tips of some processes are cut, bodies are not."""


def true_heights(member: Member) -> Heights:
    """Of the modelled body at v = -1, between both edges, and at the back edge (v in half depths)."""
    size = member.size

    def at(v: float) -> Quantity:
        return Quantity(size.height + (size.posterior - size.anterior) / 2 * v - 2 * member.sunken * (1 - v * v), 0.0)

    return Heights(at(-1.0), at((BACK_EDGE - 1) / 2), at(BACK_EDGE))


def true_tilts(member: Member) -> tuple[np.ndarray, np.ndarray]:
    """The normals of the chords of upper and lower end-plate, LPS."""
    heights, length = true_heights(member), member.size.depth * (1 + BACK_EDGE) / 2
    half = np.arctan2((heights.posterior.value - heights.anterior.value) / 2, length)
    local = (np.array([0, -way * np.sin(half), np.cos(half)]) for way in (1, -1))
    upper, lower = (member.pose.axes @ normal for normal in local)
    return upper, lower


def person(seed: int) -> PhantomSpec:
    """T4 to L4, with fractures and curves drawn from the seed."""
    rng = np.random.default_rng(1000 + seed)
    breakable = [level for level in Level if Level.T5.rank <= level.rank <= Level.L3.rank and level is not Level.T13]
    broken = rng.choice(len(breakable), int(rng.integers(0, 4)), replace=False)
    curves = ()
    if seed % 2:
        curves = (Scoliosis(breakable[int(rng.integers(2, 9))], float(rng.uniform(12, 45) * rng.choice((-1, 1))), 7.0),)
    return PhantomSpec(
        seed=seed,
        first=Level.T4,
        last=Level.L4,
        margin=12.0,
        field=WIDE,
        thoracic_kyphosis=float(rng.uniform(20, 55)),
        lumbar_lordosis=float(rng.uniform(30, 60)),
        scoliosis=curves,
        fractures=tuple(
            Fracture(breakable[number], str(rng.choice(FRACTURES)), float(rng.uniform(0.15, 0.6))) for number in broken
        ),
        stature=float(rng.uniform(0.92, 1.15)),
        degeneration=float(rng.uniform(0, 0.5)),
        rotation=tuple(float(value) for value in rng.normal(0, 4, 3)),
        noise=10.0,
    )


def tilt(normal: np.ndarray, axis: int) -> float:
    return float(np.rad2deg(np.arctan2(normal[axis] * (1, -1)[axis], normal[2])))


def cobb(column, levels: list[Level]) -> float:
    """The largest coronal angle between the true end-plates of these levels."""
    tilts = [[tilt(normal, 0) for normal in true_tilts(column[level])] for level in levels]
    pairs = [(a, b) for a in range(len(levels)) for b in range(a + 2, len(levels))]
    return max(abs(tilts[a][0] - tilts[b][1]) for a, b in pairs)


def measured(seed: int, along: float, rows: dict) -> None:
    """Notes the errors of one person under the length of the voxels."""
    spec = person(seed)
    phantom = make_phantom(spec, (1.0, 1.0, along))
    column = build_column(spec, np.random.default_rng(np.random.SeedSequence(spec.seed).spawn(4)[0]))
    start = time.process_time()
    found = measure(phantom.ct, phantom.label_map, phantom.centroids)
    rows["seconds"].append((time.process_time() - start) / len(found.vertebrae))
    bodies = [vertebra for vertebra in found.vertebrae if vertebra.body is not None]
    rows["left out"].append(sum(vertebra.body is None and vertebra.complete for vertebra in found.vertebrae))
    truth = {vertebra.level: true_heights(column[vertebra.level]) for vertebra in bodies}
    grades = deformities(truth)
    for vertebra in bodies:
        for name, height, true in zip(HEIGHTS, vertebra.heights.all, truth[vertebra.level].all, strict=True):
            if height:
                rows[name].append(height.value - true.value)
                rows[f"{name} sd"].append((height.value - true.value) / height.uncertainty)
        grade, true = found.deformities[vertebra.level].grade, grades[vertebra.level].grade
        if grade is not None and true is not None:
            rows["grade"].append(grade == true)
            if true:
                rows["broken grade"].append(grade == true)
        elif true is not None:
            rows["no grade"].append(1)
        for mine, normal in zip(
            (vertebra.body.upper, vertebra.body.lower), true_tilts(column[vertebra.level]), strict=True
        ):
            rows["sagittal"].append(tilt(mine.normal, 1) - tilt(normal, 1))
            rows["coronal"].append(tilt(mine.normal, 0) - tilt(normal, 0))
        true_left, left = column[vertebra.level].pose.axes[:, 0], vertebra.body.frame.left
        rows["rotation"].append(np.rad2deg(np.arctan2(left[1], left[0]) - np.arctan2(true_left[1], true_left[0])))
    if found.cobb.angle:
        rows["cobb"].append(found.cobb.angle.value - cobb(column, [vertebra.level for vertebra in bodies]))
    if found.kyphosis.angle and (found.kyphosis.upper, found.kyphosis.lower) == ("T4", "T12"):
        top, bottom = true_tilts(column[Level.T4])[0], true_tilts(column[Level.T12])[1]
        rows["kyphosis"].append(found.kyphosis.angle.value - (tilt(top, 1) - tilt(bottom, 1)))


HEIGHTS = ("anterior", "middle", "posterior")
ANGLES = {"sagittal": "end-plate, sagittal", "coronal": "end-plate, coronal", "rotation": "rotation",
          "cobb": "Cobb angle", "kyphosis": "kyphosis T4-T12"}  # fmt: skip


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 36
    lengths = [float(word) for word in sys.argv[2:]] or [1.0, 2.0, 3.0]
    all_rows = {along: defaultdict(list) for along in lengths}
    for seed in range(count):
        along = lengths[seed // 2 % len(lengths)]
        measured(seed, along, all_rows[along])
        print(f"person {seed + 1} of {count}", file=sys.stderr, flush=True)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{count} phantoms; {os.cpu_count()} cores{load}\n")
    table = []
    for along, rows in all_rows.items():
        for name in (*HEIGHTS, *ANGLES):
            errors = np.array(rows[name])
            if not len(errors):
                continue
            limit = 1.0 if name in HEIGHTS else 2.0
            table.append(
                {"along": along, "what": f"{name} height" if name in HEIGHTS else ANGLES[name], "n": len(errors),
                 "bias": errors.mean(), "sd": errors.std(), "p95": np.percentile(np.abs(errors), 95),
                 "within": 100 * np.mean(np.abs(errors) <= limit)}
            )  # fmt: skip
    columns = {"along": ("voxels along [mm]", ".0f"), "what": ("measure", ""), "n": ("number", "d"),
               "bias": ("mean error", "+.2f"), "sd": ("sd", ".2f"), "p95": ("95 % within", ".2f"),
               "within": ("within 1 mm, 2 degrees [%]", ".0f")}  # fmt: skip
    print(markdown(columns, table))
    print()
    for along, rows in all_rows.items():
        if rows["seconds"]:
            grades, broken = rows["grade"], rows["broken grade"]
            print(
                f"{along:.0f} mm: grade right in {sum(grades)} of {len(grades)} vertebrae, in {sum(broken)} of "
                f"{len(broken)} with a true grade; none given for {len(rows['no grade'])}; "
                f"{sum(rows['left out'])} complete ones without a body; "
                f"{np.median(rows['seconds']):.2f} s of one processor per vertebra"
            )


if __name__ == "__main__":
    main()
