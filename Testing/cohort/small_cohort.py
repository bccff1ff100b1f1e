"""A folder of small scans, and an order of stand-in stages for them."""

from pathlib import Path

import standins

from SpineSegmentationLib.cohort.order import Order
from SpineSegmentationLib.cohort.processor import Job
from SpineSegmentationLib.io.writing import write_image


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
