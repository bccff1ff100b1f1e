"""The systems by name. Needs no PyTorch, so that a panel and ``--help`` can offer them before it is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import registry
from .errors import SpineError

ROLES = ("detector", "labeller", "segmenter")
"""Who does the three stages, in their order."""


SACRAL = {"labeller": "combined", "segmenter": "anduin"}
"""The labeller that sees S1, and the segmenter that learnt to draw the sacrum from there."""


@dataclass(frozen=True)
class System:
    """A choice of stages.

    Attributes:
        detector, labeller, segmenter: names in ``pipeline.DETECTORS``, ``LABELLERS`` and ``SEGMENTERS``.
        needs: the weights without which it is not offered.
    """

    detector: str
    labeller: str
    segmenter: str
    needs: tuple[str, ...] = ()

    @property
    def stages(self) -> dict[str, str]:
        """The names of the stages by role, for records."""
        return {role: getattr(self, role) for role in ROLES}

    @property
    def strange_to_sacrum(self) -> tuple[str, ...]:
        """The roles whose stages do not know the sacrum; none where it can be segmented."""
        return tuple(role for role, able in SACRAL.items() if getattr(self, role) != able)

    def missing(self, weights: Path | None = None) -> tuple[str, ...]:
        """The weights it needs that neither this installation nor the folder ``weights`` has."""
        there = registry.names(weights)
        return tuple(name for name in self.needs if name not in there)


_PUBLISHED: dict[str, System] = {
    "combined": System("combined", "combined", "anduin"),
    "anduin": System("anduin", "anduin", "anduin"),
    "payer": System("payer", "payer", "payer"),
    "mccouat-glocker": System("mccouat-glocker", "mccouat-glocker", "anduin"),
    "attention": System("attention", "anduin", "attention", ("attention-detection", "attention-segmentation")),
    "lessmann": System("lessmann", "lessmann", "lessmann", ("lessmann-segmentation",)),
}

SYSTEMS: dict[str, System] = {name: system for name, system in _PUBLISHED.items() if not system.missing()}
"""The systems as they were published, and before them the best of their stages together."""

UNTRAINED: dict[str, System] = {name: system for name, system in _PUBLISHED.items() if system.missing()}
"""Those that cannot be chosen yet, for nobody has trained their networks in this installation."""

DEFAULT = "combined"
"""The system taken when none is named: the most accurate on the validation scans (docs/results.md)."""


def known(name: str) -> System:
    """The system of that name, whether or not its weights are there.

    Raises:
        SpineError: no such system.
    """
    system = SYSTEMS.get(name) or UNTRAINED.get(name)
    if system is None:
        raise SpineError(f"system {name!r} is unknown; known are {', '.join(SYSTEMS)}")
    return system


def named(name: str, weights: Path | None = None) -> System:
    """The system of that name.

    Args:
        weights: a folder that ``train`` wrote, whose weights count as there.

    Raises:
        SpineError: no such system, or one without weights.
    """
    system = known(name)
    if missing := system.missing(weights):
        raise SpineError(
            f"system {name!r} has no weights here yet ({', '.join(missing)}); choose {', '.join(SYSTEMS)}, or train it "
            "(CONTRIBUTING.md) and say --weights DIR"
        )
    return system
