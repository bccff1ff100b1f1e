"""The systems by name. Needs no PyTorch, so that a panel and ``--help`` can offer them before it is there."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("detector", "labeller", "segmenter")
"""Who does the three stages, in their order."""


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
    "combined": System("combined", "combined", "anduin"),
    "anduin": System("anduin", "anduin", "anduin"),
    "payer": System("payer", "payer", "payer"),
    "mccouat-glocker": System("mccouat-glocker", "mccouat-glocker", "anduin"),
}
"""The systems as they were published, and before them the best of their stages together."""

DEFAULT = "combined"
"""The system taken when none is named: the most accurate on the validation scans (docs/results.md)."""
