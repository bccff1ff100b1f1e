"""Cross-validation of the names: people whom the networks had not learnt from, whole and in windows.

    python benchmarks/names.py DATA --folds DIR... [--output DIR]

DATA is a folder with ``ct/<case>/`` (see CONTRIBUTING). Every DIR holds what ``train labelling --system combined --fold
K/N`` (one network, or several by ``--member``) and ``train context --system combined --fold K/N`` wrote, and the cards
that say who was left out. Those people are detected and named with these networks alone, once with every kind of
evidence and with some of it; where a fold has no context network, "all" is without it, too. One table leaves out, as
the annotations do, bodies that are about half inside: those of which the border of the view cuts off a quarter or
more. Beside the share of right names: whether the verdict on the numbering can be relied on. Written: ``results.json``,
``results.md``, ``reliability.svg`` and a picture of every view that is not wholly right.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from matplotlib.figure import Figure
from measuring import markdown, measured, write_results
from robustness import FIELD, HARD_FIELD, HARD_SLICES, narrow, thick, windows
from safetensors.torch import load_file
from scipy.stats import binomtest
from torch import nn

from SpineSegmentationLib.device import Runner
from SpineSegmentationLib.evaluation.confidence import area_under_curve
from SpineSegmentationLib.evaluation.dataset import Annotation
from SpineSegmentationLib.evaluation.figures import svg
from SpineSegmentationLib.evaluation.metrics import labelling_scores
from SpineSegmentationLib.evaluation.pictures import scan_picture
from SpineSegmentationLib.evaluation.results import ScanResult
from SpineSegmentationLib.io.values import read_json
from SpineSegmentationLib.labelling.combined import WORTH, CombinedLabeller, Worth
from SpineSegmentationLib.labelling.further import named_further
from SpineSegmentationLib.networks.context import ContextNet
from SpineSegmentationLib.networks.evidence import EvidenceNet
from SpineSegmentationLib.numbering import Certainty
from SpineSegmentationLib.phantom.dimensions import DIMENSIONS
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.quantising import restored
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox
from SpineSegmentationLib.training.subjects import BONES_ONLY, read_points

WINDOWS = 1
"""With a landmark, and as many without, per scan."""

EVIDENCE = {
    "projections": replace(WORTH, patch=0.0, ribs=0.0, context=0.0),
    "projections, patch": replace(WORTH, context=0.0),
    "projections, context": replace(WORTH, patch=0.0, ribs=0.0),
    "patch, context": replace(WORTH, projections=0.0),
    "all": WORTH,
}
TABLE = {
    "evidence": ("evidence", ""), "views": ("views", "d"), "id_rate": ("id.rate", ".3f"), "worst": ("worst", ".2f"),
    "right": ("wholly right", ".3f"), "area": ("area under the ROC curve, names", ".3f"),
}  # fmt: skip
SINGLE = {
    "vertebrae": ("vertebrae", "d"), "right": ("likeliest level right", ".3f"), "near": ("at most one off", ".3f"),
}  # fmt: skip
RELIABILITY = {
    "verdict": ("verdict", ""), "views": ("views", "d"), "right": ("named right", "d"),
    "mean": ("mean probability", ".2f"),
}  # fmt: skip
NAMES = {"names": ("names", "d"), "mean": ("mean confidence", ".3f"), "right": ("right", ".3f")}
WRONG = {
    "scan": ("scan", ""), "view": ("view", ""), "levels": ("levels", ""), "found": ("found", ""),
    "id_rate": ("id.rate", ".2f"), "verdict": ("verdict", ""), "probability": ("probability", ".2f"),
}  # fmt: skip


CUT = 0.25  # of a body outside, from which it is neither right nor wrong
BINS = 5  # of the reliability diagram, with as many views each
PARTS = 8  # of all names, by confidence


@dataclass(frozen=True)
class Answer:
    """One view of a scan, named by some evidence."""

    scan: str
    view: str
    evidence: str
    truth: Centroids
    found: Centroids
    field: SpineBox

    @property
    def inside(self) -> "Answer | None":
        """The same of the vertebrae whose bodies the view does not cut; None without any."""
        kept = self.truth.only(point.level for point in self.truth if outside(point, self.field) < CUT)
        return replace(self, truth=kept) if kept else None

    @property
    def id_rate(self) -> float:
        return labelling_scores(self.truth, self.found).id_rate

    @property
    def right(self) -> bool:
        return self.id_rate == 1.0

    @property
    def probability(self) -> float:
        return self.found.numbering.readings[0].probability if self.found.numbering else 0.0

    @property
    def certainty(self) -> Certainty:
        return self.found.numbering.certainty if self.found.numbering else Certainty.UNKNOWN


def outside(point: Centroid, field: SpineBox) -> float:
    """The share of a mean body round a centroid that a field (LPS mm) cuts off along one axis; 0 and less if none."""
    size = DIMENSIONS[point.level]
    room = np.minimum(np.subtract(point.position, field.lower), np.subtract(field.upper, point.position))
    return float((0.5 - room / (size.width, size.depth, size.height)).max())


def views_of(ct: sitk.Image, truth: Centroids, seed: int) -> Iterator[tuple[str, sitk.Image]]:
    """The scan, windows of it with and without a landmark, narrow fields of view, and thick slices."""
    yield "whole", ct
    for landmark in (True, False):
        rng = np.random.default_rng([seed, landmark])
        for window in itertools.islice(windows(ct, truth, rng, landmark), WINDOWS):
            yield f"window {'with' if landmark else 'without'} a landmark", window
    for field in (FIELD, HARD_FIELD):
        yield f"field of view of {field:g} mm", narrow(ct, truth, field)
    yield f"slices of {HARD_SLICES:g} mm", thick(ct, HARD_SLICES)


def left_out(fold: Path) -> list[str]:
    """The scans of people whom the networks of a fold had not learnt from; those of bones alone are none."""
    return [scan for scan in read_json(fold / "combined-labelling.json")["left out"] if scan not in BONES_ONLY]


def kinds(fold: Path) -> dict[str, Worth]:
    """The choices of evidence that the networks of a fold allow."""
    if (fold / "combined-context.safetensors").exists():
        return EVIDENCE
    alone = {name: worth for name, worth in EVIDENCE.items() if not worth.context}
    return {**alone, "all": replace(WORTH, context=0.0)}


def read(file: Path, network: nn.Module) -> nn.Module:
    """The network with the weights of a file that ``train`` wrote."""
    network.load_state_dict(restored(load_file(file)))
    return network


def use(pipeline: Pipeline, fold: Path) -> CombinedLabeller:
    """The pipeline's labeller, with the networks of a fold alone."""
    labeller = pipeline.stage("labelling")
    assert isinstance(labeller, CombinedLabeller)
    for reader, name, architecture in (
        (labeller.evidence, "combined-labelling", EvidenceNet),
        (labeller.context, "combined-context", ContextNet),
    ):
        committee = [read(file, architecture("compact")) for file in sorted(fold.glob(f"{name}*.safetensors"))]
        if committee:
            reader.runners = tuple(Runner(network, torch.device("cpu")) for network in committee)
    return labeller


def picture(image: sitk.Image, answer: Answer) -> bytes:
    """A JPEG of the true and the found names."""
    result = ScanResult(
        "all", "names", answer.scan, answer.truth.levels, labelling_scores(answer.truth, answer.found), None
    )
    return scan_picture(image, Annotation(centroids=answer.truth), Annotation(centroids=answer.found), result)


def labelling(labeller: CombinedLabeller, image: sitk.Image) -> Callable[[SpineBox], Centroids]:
    """Names the column in a box; what does not depend on the choice of evidence is computed once."""
    heights = labeller.context(image)
    candidates = cache(partial(labeller.candidates, image))
    return lambda box: labeller.named(image, box, candidates(box), heights)


def answers(pipeline: Pipeline, data: Path, fold: Path, output: Path) -> Iterator[Answer]:
    """Every view of everybody whom the networks of a fold had not learnt from, by every choice of evidence.

    Wrong ones are drawn to ``output``.
    """
    labeller = use(pipeline, fold)
    for number, scan in enumerate(left_out(fold)):
        points = read_points(data / "ct" / scan / "centroids.json")
        whole = Centroids(tuple(Centroid(level, tuple(position)) for level, position in points.items()))
        ct = sitk.ReadImage(str(data / "ct" / scan / "ct.nii.gz"))
        for view, image in views_of(ct, whole, number):
            print(scan, view, file=sys.stderr)
            field = SpineBox.of_image(image)
            seen = field.contains(whole.positions)
            truth = whole.only(point.level for point, shown in zip(whole, seen, strict=True) if shown)
            box = pipeline.stage("detection")(image)
            label = labelling(labeller, image)
            for evidence, worth in kinds(fold).items():
                labeller.worth = worth
                found = named_further(label, box, label(box), field)[1] if box else Centroids()
                answer = Answer(scan, view, evidence, truth, found, field)
                if evidence == "all" and not answer.right:
                    (output / f"{scan} {view}.jpg").write_bytes(picture(image, answer))
                yield answer


def singly(pipeline: Pipeline, data: Path, fold: Path) -> list[int]:
    """How many levels the likeliest one of each patch lies off, at the true centroids of people left out."""
    labeller = pipeline.stage("labelling")
    off = []
    for scan in left_out(fold):
        points = read_points(data / "ct" / scan / "centroids.json")
        ct = sitk.ReadImage(str(data / "ct" / scan / "ct.nii.gz"))
        found = labeller.evidence(ct, np.array(list(points.values()))).levels.argmax(1)
        off += [abs(int(rank) - level.rank) for rank, level in zip(found, points, strict=True)]
    return off


def judged(given: list[Answer]) -> list[tuple[float, bool]]:
    """The confidence of every name that can be judged, and whether it is right."""
    scores = [labelling_scores(one.truth, one.found) for one in given]
    return [(score.confidence[level], right) for score in scores for level, right in score.right.items()]


def row(evidence: str, given: list[Answer]) -> dict:
    """How well the names are told by some evidence."""
    names = judged(given)
    rates = [one.id_rate for one in given]
    area = area_under_curve([c for c, hit in names if hit], [c for c, hit in names if not hit])
    return {
        "evidence": evidence,
        "views": len(given),
        "id_rate": float(np.mean(rates)),
        "worst": min(rates),
        "right": float(np.mean([one.right for one in given])),
        "area": area,
    }


def reliability(given: list[Answer]) -> list[dict]:
    """How often the names are right by the verdict on them."""
    rows = []
    for certainty in Certainty:
        mine = [one for one in given if one.certainty is certainty and len(one.found)]
        if mine:
            mean = float(np.mean([one.probability for one in mine]))
            right = sum(one.right for one in mine)
            rows.append({"verdict": certainty.value, "views": len(mine), "right": right, "mean": mean})
    return rows


def by_confidence(given: list[Answer]) -> list[dict]:
    """How often single names are right by their confidence, an eighth of them at a time."""
    parts = np.array_split(np.array(sorted(judged(given))), PARTS)
    return [{"names": len(part), "mean": part[:, 0].mean(), "right": part[:, 1].mean()} for part in parts]


def diagram(given: list[Answer]) -> Figure:
    """How often names are right by the probability of the best numbering, a fifth of the views at a time; Wilson's
    intervals of 95 %."""
    probability = np.array([one.probability for one in given])
    right = np.array([one.right for one in given])
    figure = Figure(figsize=(4.2, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for part in np.array_split(np.argsort(probability), BINS):
        where, hits = probability[part].mean(), int(right[part].sum())
        between = binomtest(hits, len(part)).proportion_ci(method="wilson")
        axes.plot([where, where], [between.low, between.high], color="C0", linewidth=1)
        axes.plot(where, hits / len(part), "o", color="C0")
    axes.set(xlabel="probability of the numbering", ylabel="wholly right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title(f"{len(given)} views, {len({one.scan for one in given})} people", fontsize=10)
    return figure


def span(levels: tuple) -> str:
    return f"{levels[0].name}-{levels[-1].name}" if levels else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, default=Path("runs/names"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline("combined", "cpu")
    found, off = [], []
    for fold in arguments.folds:
        found += answers(pipeline, arguments.data, fold, arguments.output)
        off += singly(pipeline, arguments.data, fold)
    single = {"vertebrae": len(off), "right": np.mean(np.equal(off, 0)), "near": np.mean(np.less_equal(off, 1))}
    by_evidence = {name: [one for one in found if one.evidence == name] for name in EVIDENCE}
    by_evidence = {name: mine for name, mine in by_evidence.items() if mine}
    whole = {name: [one for one in mine if one.view == "whole"] for name, mine in by_evidence.items()}
    best = by_evidence["all"]
    views = {view: [one for one in best if one.view == view] for view in dict.fromkeys(one.view for one in best)}
    wrong = [
        {
            "scan": one.scan, "view": one.view, "levels": span(one.truth.levels), "found": span(one.found.levels),
            "id_rate": one.id_rate, "verdict": one.certainty.value, "probability": one.probability,
        }
        for one in best if not one.right
    ]  # fmt: skip
    tables = {
        "Whole scans": (TABLE, [row(name, mine) for name, mine in whole.items()]),
        "Whole scans, windows and narrow fields of view": (
            TABLE,
            [row(name, mine) for name, mine in by_evidence.items()],
        ),
        f"Without bodies of which {CUT:.0%} or more lie outside": (
            TABLE,
            [row(name, [inside for one in mine if (inside := one.inside)]) for name, mine in by_evidence.items()],
        ),
        "All evidence, by view": (TABLE | {"evidence": ("view", "")}, [row(*view) for view in views.items()]),
        "Patches alone, at true centroids": (SINGLE, [single]),
        "Reliability of the verdict": (RELIABILITY, reliability(best)),
        "Reliability of single names": (NAMES, by_confidence(best)),
        "Not wholly right, all evidence": (WRONG, wrong),
    }
    text = [part for name, (columns, rows) in tables.items() for part in (f"{name}", markdown(columns, rows))]
    (arguments.output / "results.md").write_text("\n\n".join(text) + "\n")
    (arguments.output / "reliability.svg").write_bytes(svg(diagram(best)))
    values = {name: rows for name, (_, rows) in tables.items()}
    values["Answers"] = [
        {
            "scan": one.scan, "view": one.view, "evidence": one.evidence, "truth": span(one.truth.levels),
            "found": span(one.found.levels), "id_rate": one.id_rate, "verdict": one.certainty.value,
            "probability": one.probability,
        }
        for one in found
    ]  # fmt: skip
    write_results({**measured(pipeline), **values}, arguments.output / "results.json")
    print("\n\n".join(text))


if __name__ == "__main__":
    main()
