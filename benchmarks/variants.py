"""Names of people with an unusual number of vertebrae: phantoms that training never saw, from the dens to the sacrum.

    python benchmarks/variants.py [--people N] [--first SEED] [--collapsed] [--output DIR]

Per variant: the share of right names, columns wholly right, T13 and L6 (or the missing T12) told, and the verdict.
Written: ``results.json`` and ``results.md``.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import markdown, measured, write_results

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.metrics import labelling_scores
from SpineSegmentationLib.numbering import Certainty
from SpineSegmentationLib.phantom import Fracture, PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.spine import Centroids

SPACING = (1.5, 1.5, 2.0)  # mm
VARIANTS = {
    "12 thoracic, 5 lumbar": {"thoracic": 12, "lumbar": 5},
    "13 thoracic": {"thoracic": 13, "lumbar": 5},
    "11 thoracic": {"thoracic": 11, "lumbar": 5},
    "6 lumbar": {"thoracic": 12, "lumbar": 6},
}
COLLAPSED = (*(Level[f"T{n}"] for n in range(3, 12)), Level.L1, Level.L2)
"""Levels of which two have lost 40 to 60 % of their height, if that is asked for."""
UNUSUAL = (Level.T12, Level.T13, Level.L6)
TABLE = {
    "variant": ("variant", ""), "people": ("people", "d"), "id_rate": ("id.rate", ".3f"), "worst": ("worst", ".2f"),
    "right": ("wholly right", "d"), "told": ("number of vertebrae right", "d"), "certain": ("called certain", "d"),
    "wrong": ("of these wrong", "d"),
}  # fmt: skip


def collapsed(seed: int) -> tuple[Fracture, ...]:
    rng = np.random.default_rng(seed)
    levels = rng.choice(len(COLLAPSED), 2, replace=False)
    kinds = rng.choice(["wedge", "crush", "biconcave"], 2)
    return tuple(
        Fracture(COLLAPSED[level], str(kind), float(rng.uniform(0.4, 0.6)))
        for level, kind in zip(levels, kinds, strict=True)
    )


def answer(
    pipeline: Pipeline, seed: int, counts: dict[str, int], fractures: tuple[Fracture, ...] | None
) -> tuple[Centroids, Centroids]:
    """The true and the found names of one person, with these fractures or, for None, those that chance gave."""
    person = PhantomSpec.random(seed, field=(190.0, 180.0), **counts)
    if fractures is not None:
        person = replace(person, fractures=fractures)
    whole = replace(person, first=Level.C1, last=person.levels[-1], margin=25.0, offset=(0.0, 0.0, 0.0))
    phantom = make_phantom(whole, SPACING)
    return phantom.centroids, pipeline.find(phantom.ct, until="labelling").centroids


def row(variant: str, answers: list[tuple[Centroids, Centroids]]) -> dict:
    rates = [labelling_scores(truth, found).id_rate for truth, found in answers]
    shown = [
        {level for level in UNUSUAL if level in truth.levels} == {level for level in UNUSUAL if level in found.levels}
        for truth, found in answers
    ]
    certain = [bool(found.numbering and found.numbering.certainty is Certainty.CERTAIN) for _, found in answers]
    return {
        "variant": variant, "people": len(answers), "id_rate": float(np.mean(rates)), "worst": min(rates),
        "right": sum(rate == 1 for rate in rates), "told": sum(shown), "certain": sum(certain),
        "wrong": sum(sure and rate < 1 for sure, rate in zip(certain, rates, strict=True)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--collapsed", action="store_true", help="two vertebrae of everybody have collapsed")
    parser.add_argument("--output", type=Path, default=Path("runs/variants"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline("combined", "cpu")
    rows = []
    for variant, counts in VARIANTS.items():  # training uses seeds from 1000 on
        seeds = range(arguments.first, arguments.first + arguments.people)
        fractures = {seed: collapsed(seed) if arguments.collapsed else None for seed in seeds}
        rows.append(row(variant, [answer(pipeline, seed, counts, fractures[seed]) for seed in seeds]))
        print(rows[-1], flush=True)
    text = markdown(TABLE, rows)
    (arguments.output / "results.md").write_text(text + "\n")
    write_results({**measured(pipeline), "variants": rows}, arguments.output / "results.json")
    print(text)


if __name__ == "__main__":
    main()
