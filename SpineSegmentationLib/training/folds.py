"""Which people a cross-validation leaves out together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import SpineError

SAME_PERSON = {"acrin_flt_001_b": "acrin_flt_001_a", "totalseg_s0328": "ts0328_boneonly"}
"""Scans and atlases of somebody of whom there is another scan, with that other scan."""


@dataclass(frozen=True)
class Fold:
    """One of ``count`` parts, counted from 1, into which a cross-validation divides people.

    Raises:
        SpineError: there is no such part.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count or self.count < 2:
            raise SpineError(f"--fold K/N needs 1 <= K <= N and at least 2 parts, not {self.number}/{self.count}")

    @classmethod
    def parse(cls, text: str) -> Fold:
        """The fold written ``K/N``.

        Raises:
            SpineError: not so written, or no such part.
        """
        number, slash, count = text.partition("/")
        if not slash or not number.isdigit() or not count.isdigit():
            raise SpineError(f"--fold is written K/N, such as 1/4, not {text!r}")
        return cls(int(number), int(count))

    def leaves_out(self, names: Iterable[str]) -> set[str]:
        """Those of the scans that this fold leaves out; people in alphabetical order are dealt out in turn.

        So the scans of one source are spread over the folds, and those of one person share a fold.
        """
        names = sorted(names)
        people = [name for name in names if name not in SAME_PERSON or SAME_PERSON[name] not in names]
        mine = {name for number, name in enumerate(people) if number % self.count == self.number - 1}
        return {name for name in names if SAME_PERSON.get(name, name) in mine or name in mine}
