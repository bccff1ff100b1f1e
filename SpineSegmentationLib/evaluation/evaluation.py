"""All that an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass

from .ranking import Ranking
from .results import ScanResult
from .tables import Table


@dataclass(frozen=True)
class Evaluation:
    """Scores, tables, ranking and pictures of all methods on all scans.

    Attributes:
        results: one per method and scan.
        tables: for people; see :mod:`.tables`.
        ranking: None with fewer than two methods.
        pictures: JPEG for (method, data set, scan).
        messages: what went wrong or is worth knowing, one line each.
        challenge: whether missing vertebrae count 1000 mm and 100 mm.
    """

    results: tuple[ScanResult, ...]
    tables: tuple[Table, ...]
    ranking: Ranking | None
    pictures: dict[tuple[str, str, str], bytes]
    messages: tuple[str, ...]
    challenge: bool

    def table(self, key: str) -> Table:
        """Raises KeyError."""
        for table in self.tables:
            if table.key == key:
                return table
        raise KeyError(key)

    @property
    def failed(self) -> tuple[ScanResult, ...]:
        """The results whose prediction was missing or could not be used."""
        return tuple(result for result in self.results if result.failures)
