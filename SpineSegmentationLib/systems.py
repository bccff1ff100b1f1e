"""The systems by name. Needs no PyTorch, so that a panel and ``--help`` can offer them before it is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A choice of stages.

    Attributes:
        detector, labeller, segmenter: names in ``pipeline.DETECTORS``, ``LABELLERS`` and ``SEGMENTERS``.
    """

    detector: str
    labeller: str
    segmenter: str


SYSTEMS: dict[str, System] = {
    "anduin": System("anduin", "btrfly", "anduin"),
    "payer": System("payer", "scn", "payer"),
    "mccouat-glocker": System("mccouat-glocker", "mccouat-glocker", "anduin"),
}
