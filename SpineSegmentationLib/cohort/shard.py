"""Shares of a list of scans, the same on every machine, without anybody who hands them out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ..errors import SpineError


@dataclass(frozen=True)
class Shard:
    """Share ``number`` of ``of``, counted from 1.

    Which share a scan falls into depends on its name alone (:func:`results.names.output_names`): neither on the order
    of the list nor on the other scans nor on where the folder is mounted. So a list that grows while some shares run
    loses no scan.

    Raises:
        SpineError: not 1 <= number <= of.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise SpineError(f"there is no shard {self.number} of {self.of}; shards count from 1")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard written as ``I/N``.

        >>> Shard.parse("2/8")
        Shard(number=2, of=8)

        Raises:
            SpineError: not such a text, or no such shard.
        """
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
        if match is None:
            raise SpineError(f"{text!r} is not a shard; give I/N, for example 1/8 ... 8/8")
        return cls(int(match[1]), int(match[2]))

    def holds(self, name: str) -> bool:
        """Whether the scan of that name is in this share."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
