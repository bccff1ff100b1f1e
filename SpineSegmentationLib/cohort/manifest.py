"""The record of one run over many scans: what was called, with what, on what, and what became of each scan."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..io.values import read_json, write_json
from ..pipeline import Pipeline
from ..results.versions import versions
from .layout import COHORT, RUNS, cohort_folder
from .order import Order
from .processor import Job, Outcome, Status
from .shard import Shard


@dataclass
class Manifest:
    """Written when a run begins and when it ends, interrupted or not.

    Attributes:
        path: ``cohort/runs/<when>-<shard>-<random>.json`` in the folder of the results: one for each run.
        values: see :meth:`begin`.
    """

    path: Path
    values: dict[str, Any]

    @classmethod
    def begin(
        cls, command: Sequence[str], order: Order, pipeline: Pipeline, jobs: Sequence[Job], shard: Shard | None
    ) -> Manifest:
        """Writes the record of a run that begins.

        Args:
            command: the words of the call, as they are to be given again.

        Raises:
            SpineError: it cannot be written.
        """
        now = datetime.now(timezone.utc)
        values = {
            "command": list(command),
            "folder": os.getcwd(),
            "started": now.isoformat(timespec="seconds"),
            "finished": None,
            "shard": str(shard) if shard else None,
            "until": order.until,
            "given": order.given(),
            "system": pipeline.system,
            "stages": pipeline.stages.stages,
            "device": str(pipeline.device),
            "versions": versions(),
            "weights": {one.name: one.sha256 for stage in order.stages for one in pipeline.stage(stage).weights},
            "scans": [{"name": job.name, "path": str(job.path.resolve()), "status": "waiting"} for job in jobs],
        }
        share = f"-{shard.number}of{shard.of}" if shard else ""
        name = f"{now:%Y%m%dT%H%M%S.%f}Z{share}-{secrets.token_hex(3)}.json"
        manifest = cls(cohort_folder(order.output, RUNS) / name, values)
        write_json(manifest.path, values)
        return manifest

    def end(self, outcomes: Sequence[Outcome], interrupted: bool = False) -> None:
        """Writes what became of the scans; those without an outcome still wait.

        Raises:
            SpineError: it cannot be written.
        """
        ended = {outcome.job.name: outcome for outcome in outcomes}
        for entry in self.values["scans"]:
            if outcome := ended.get(entry["name"]):
                entry |= {
                    "status": outcome.status.value,
                    "reason": outcome.reason,
                    "sha256": outcome.content.sha256 if outcome.content else None,
                    "seconds": round(outcome.seconds, 3),
                }
        self.values["finished"] = None if interrupted else datetime.now(timezone.utc).isoformat(timespec="seconds")
        write_json(self.path, self.values)


def read_manifests(output: Path) -> list[dict[str, Any]]:
    """The records of all runs into a folder of results, the oldest first.

    Raises:
        SpineError: one of them cannot be read.
    """
    paths = output.joinpath(COHORT, RUNS).glob("*.json")
    return sorted(map(read_json, paths), key=lambda values: values["started"])


def read_failures(output: Path) -> list[dict[str, Any]]:
    """Of each scan that any run met what the last one says of it, by name: ``name``, ``path``, ``status``, ``reason``.

    Where its results are, that no longer counts; a scan that was done and has none is ``missing``.

    Raises:
        SpineError: as :func:`read_manifests`.
    """
    last: dict[str, dict[str, Any]] = {}
    for manifest in read_manifests(output):
        for entry in manifest["scans"]:
            status = "missing" if entry["status"] in (Status.DONE, Status.SKIPPED) else entry["status"]
            last[entry["name"]] = {"reason": "", **entry, "status": status}
    return [last[name] for name in sorted(last)]
