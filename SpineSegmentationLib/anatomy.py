"""The vertebrae: codes, names, regions, order, colours and SNOMED CT codes.

Codes are those of the VerSe data set (Sekuboyina et al. 2021): C1-C7 = 1-7, T1-T12 = 8-19, L1-L5 = 20-24,
L6 = 25, sacrum = 26, coccyx = 27, T13 = 28. What may have a mask is a :data:`Bone`: a vertebra or the sacrum.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias


class Level(IntEnum):
    """A vertebra that is detected, named and segmented; the value is its VerSe code.

    Compare positions in the column with :attr:`rank`, not with the code: T13 has the code 28 but lies above L1.
    """

    C1, C2, C3, C4, C5, C6, C7 = range(1, 8)
    T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12 = range(8, 20)
    L1, L2, L3, L4, L5, L6 = range(20, 26)
    T13 = 28

    @classmethod
    def parse(cls, text: str | int) -> Level:
        """The level written as a name (``"L3"``, any case, ``"Th7"`` too) or as a VerSe code.

        Raises:
            ValueError: the text names no level.
        """
        if isinstance(text, int):
            return cls(text)
        name = text.strip().upper().replace("TH", "T")
        if name.isdigit():
            return cls(int(name))
        try:
            return cls[name]
        except KeyError:
            raise ValueError(f"{text!r} is not a vertebra: use C1 ... C7, T1 ... T13, L1 ... L6") from None

    @property
    def title(self) -> str:
        """As SNOMED CT and other programs call it: ``"L5 vertebra"``."""
        return f"{self.name} vertebra"

    @property
    def region(self) -> str:
        """``"cervical"``, ``"thoracic"`` or ``"lumbar"``."""
        return {"C": "cervical", "T": "thoracic", "L": "lumbar"}[self.name[0]]

    @property
    def rank(self) -> int:
        """Position in the column from the head, C1 = 0, with T13 between T12 and L1."""
        return COLUMN.index(self)

    @property
    def is_transitional(self) -> bool:
        """True for the numeric variants T13 and L6."""
        return self in (Level.T13, Level.L6)

    @property
    def color(self) -> tuple[float, float, float]:
        """RGB in 0..1; any two levels that may be neighbours differ clearly, for colour-blind people, too."""
        places = {Level.L6: len(STANDARD), Level.T13: STANDARD.index(Level.T12) + 2}
        place = places[self] if self in places else STANDARD.index(self)
        red, green, blue = PALETTE[place % len(PALETTE)]
        return red / 255, green / 255, blue / 255

    @property
    def snomed(self) -> str | None:
        """SNOMED CT code of the body structure; None for T13 and L6, which have none of their own."""
        return SNOMED.get(self)


class Sacrum(IntEnum):
    """The sacrum: segmented on request, but no vertebra: it has no name to be found, no row and no score."""

    SACRUM = 26

    @property
    def title(self) -> str:
        return "Sacrum"

    @property
    def rank(self) -> int:
        """Below all vertebrae."""
        return S1

    @property
    def color(self) -> tuple[float, float, float]:
        """As of a vertebra below L6."""
        red, green, blue = PALETTE[(len(STANDARD) + 1) % len(PALETTE)]
        return red / 255, green / 255, blue / 255

    @property
    def snomed(self) -> str:
        return "54735007"


PALETTE = (
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (86, 180, 233),
    (0, 114, 178),
)
"""The colours of Okabe and Ito (Color Universal Design, 2008), in the order in which neighbours differ most."""

STANDARD: tuple[Level, ...] = tuple(Level(code) for code in range(1, 25))
"""The 24 levels of a column without numeric variants, from C1 to L5."""

COLUMN: tuple[Level, ...] = (*STANDARD[:19], Level.T13, *STANDARD[19:], Level.L6)
"""All levels from the head down, variants at their place."""

S1 = len(COLUMN)
"""The rank of S1 where it is told among the levels: it follows the column."""

SACRUM, COCCYX = Sacrum.SACRUM, 27
"""Codes that VerSe files may hold and that are no vertebra of the product."""

Bone: TypeAlias = Level | Sacrum

BONES: dict[str, Bone] = {**{level.name: level for level in COLUMN}, SACRUM.name: SACRUM}
"""All that may have a mask, by name, from the head down."""

SNOMED: dict[Level, str] = dict(
    zip(
        STANDARD,
        # SNOMED CT International, "Structure of ... vertebra", C1 to L5.
        [
            "14806007",
            "39976000",
            "113205007",
            "5329002",
            "36978003",
            "36054005",
            "87391001",
            "64864005",
            "53733008",
            "1626008",
            "73071006",
            "56401006",
            "45296009",
            "62487009",
            "11068009",
            "82687006",
            "7610001",
            "12989004",
            "23215003",
            "66794005",
            "14293000",
            "36470004",
            "11994002",
            "49668003",
        ],
        strict=True,
    )
)
SNOMED_CATEGORY = ("123037004", "Anatomical Structure")
SNOMED_VERTEBRA = ("51282000", "Vertebra")


def may_follow(upper: Level, lower: Level) -> bool:
    """Whether ``lower`` may be the next vertebra below ``upper`` in a person.

    Regular neighbours, and the numeric variants described in the VerSe data: a thirteenth thoracic (T12-T13-L1),
    an absent twelfth thoracic (T11-L1) and a sixth lumbar (L5-L6).
    """
    if lower.rank == upper.rank + 1:
        return True
    return (upper, lower) in {(Level.T12, Level.L1), (Level.T11, Level.L1)}
