"""The systems by name. Needs no PyTorch, so that a panel and ``--help`` can offer them before it is there."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def missing(self) -> tuple[str, ...]:
        """The weights it needs that this installation does not have."""
        return tuple(name for name in self.needs if name not in registry.names())


_PUBLISHED: dict[str, System] = {
    "combined": System("combined", "combined", "anduin"),
    "anduin": System("anduin", "anduin", "anduin"),
    "payer": System("payer", "payer", "payer"),
    "mccouat-glocker": System("mccouat-glocker", "mccouat-glocker", "anduin"),
    "attention": System("attention", "anduin", "attention", ("attention-detection", "attention-segmentation")),
    "lessmann": System("lessmann", "lessmann", "lessmann", ("lessmann-segmentation",)),
}

SYSTEMS: dict[str, System] = {name: system for name, system in _PUBLISHED.items() if not system.missing}
"""The systems as they were published, and before them the best of their stages together."""

UNTRAINED: dict[str, System] = {name: system for name, system in _PUBLISHED.items() if system.missing}
"""Those that cannot be chosen yet, for nobody has trained their networks in this installation."""

DEFAULT = "combined"
"""The system taken when none is named: the most accurate on the validation scans (docs/results.md)."""


def named(name: str) -> System:
    """The system of that name.

    Raises:
        SpineError: no such system, or one without weights.
    """
    if name in SYSTEMS:
        return SYSTEMS[name]
    if name in UNTRAINED:
        raise SpineError(
            f"system {name!r} has no weights here yet ({', '.join(UNTRAINED[name].missing)}); choose "
            f"{', '.join(SYSTEMS)}, or train it (CONTRIBUTING.md)"
        )
    raise SpineError(f"system {name!r} is unknown; known are {', '.join(SYSTEMS)}")
