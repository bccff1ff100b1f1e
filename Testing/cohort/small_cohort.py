"""A folder of small scans, and an order of stand-in stages for them."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import standins

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.cohort.batch import run_batch
from SpineSegmentationLib.cohort.order import Order
from SpineSegmentationLib.cohort.processor import Job, Processor
from SpineSegmentationLib.io.values import write_json
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.session.state import State
from SpineSegmentationLib.spine import Centroids

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
"""A PNG of one grey pixel, in base64."""


def scans_in(folder: Path, *names: str) -> list[Job]:
    """Scans of one, two, three ... vertebrae."""
    jobs = [Job(folder / f"{name}.nii.gz", name) for name in names]
    for number, job in enumerate(jobs, 1):
        write_image(standins.spine_ct(number), job.path)
    return jobs


def order_in(folder: Path, **options) -> Order:
    """Stand-in stages for outputs in a folder, which is made; nothing was called yet."""
    standins.install()
    standins.CALLS.clear()
    folder.mkdir(exist_ok=True)
    return Order(folder, system="standin", device="cpu", **options)


class Watching:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begun(self, open) -> None:
        self.lines.append(f"begun {open.job.name}")

    def progress(self, job, step) -> None:
        pass

    def again(self, outcome) -> None:
        self.lines.append(f"again {outcome.job.name}")

    def ended(self, outcome) -> None:
        self.lines.append(f"{outcome.status.value} {outcome.job.name}")


class SureLabeller(standins.Labeller):
    """The stand-in with a verdict on its names, and a second-best reading."""

    def __call__(self, ct, box):
        found = super().__call__(ct, box)
        lower = State(None, found).shifted(1).centroids.levels
        certainty = Certainty.DOUBTFUL if len(found) > 1 else Certainty.UNKNOWN
        readings = (Reading(found.levels, 0.6), Reading(lower, 0.3))
        return Centroids(found.points, Numbering(certainty, readings, ("last rib at T12",)))


def cohort_in(folder: Path, **options) -> Path:
    """A folder ``out`` of results of three scans of one, two and three vertebrae, with verdicts on their names."""
    order = order_in(folder / "out", **options)
    pipeline.LABELLERS["sure"] = SureLabeller
    (folder / "scans").mkdir()
    jobs = scans_in(folder / "scans", "anna", "bert", "carl")
    outcomes = run_batch(Processor(replace(order, replaced={"labeller": "sure"})), jobs, Watching())
    assert {outcome.status for outcome in outcomes} == {"done"}
    return order.output


def many_in(folder: Path, count: int, names: Sequence[str] = ()) -> Path:
    """A folder of so many results that no scan belongs to: what a review shows, and nothing more."""
    folder.mkdir()
    png = base64.b64decode(PIXEL)
    levels = [level.name for level in COLUMN if not level.is_transitional]
    for number in range(count):
        name, first = names[number] if names else f"sub-{number:04}", number % 18
        column = levels[first : first + 6]
        certainty = ("certain", "certain", "certain", "doubtful", "unknown")[number % 5]
        best = (0.97, 0.95, 0.99, 0.6, 0.4)[number % 5] - number / 1e5
        second = levels[first + 1 : first + 7] if first < 18 else []
        readings = [{"levels": column, "probability": best}]
        if len(second) == len(column):
            readings.append({"levels": second, "probability": (1 - best) / 2})
        write_json(
            folder / f"{name}_run.json",
            {
                "until": "segmentation",
                "finished": "2026-01-01T00:00:00+00:00",
                "input": {"path": f"/data/ct/{name}.nii.gz", "content": None},
                "given": {},
                "system": "combined",
                "centroids": column,
                "numbering": {"certainty": certainty, "readings": readings, "evidence": []},
                "seconds": {"reading": 1.0},
                "warnings": ["L1: no bone was found at its centroid"] if number % 7 == 0 else [],
            },
        )
        points = [{"label": int(Level[one]), "X": 1, "Y": 1, "Z": 1, "confidence": best} for one in column]
        write_json(folder / f"{name}_seg-subreg_ctd.json", [{"direction": ["L", "P", "S"]}, *points])
        rows = "".join(f"{one},{20000 + number},25.1,,,150,1.0,{best:.3f}\n" for one in column)
        header = "label,volume_mm3,height_mm,width_mm,depth_mm,trabecular_hu,completeness,confidence\n"
        (folder / f"{name}_measurements.csv").write_text(header + rows)
        (folder / f"{name}_seg-vert_snp.png").write_bytes(png)
    return folder
