"""What is to be made of every scan of a cohort, and how its results tell that they were made so."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from ..anatomy import Level
from ..errors import SpineError
from ..exchange.extras import Extras
from ..measures.density import Calibration
from ..pipeline import STAGES, Pipeline
from ..spine import SpineBox
from ..systems import DEFAULT


@dataclass(frozen=True)
class Order:
    """The same for every scan; may be sent to other processes.

    Attributes:
        output: the folder of the results.
        until: the last stage, a name in ``pipeline.STAGES``.
        system, device: as in :class:`pipeline.Pipeline`; ``replaced`` are the names of other stages, by role.
        box, centroids: given instead of detected and found; for one scan alone.
        only: segment these vertebrae alone.
        assume_usual: as in :class:`pipeline.Pipeline`.
        sacrum: segment the sacrum, too.
        series, force: as in :func:`io.ct.read_ct`.
        overwrite: replace results that are there.
        extras: what is written besides, for other programs.
        weights: a folder whose weights come before the shipped ones.
        calibration: HU to mg/cm3.
    """

    output: Path
    until: str = "segmentation"
    system: str = DEFAULT
    device: str = "auto"
    replaced: dict[str, str | None] = field(default_factory=dict)
    box: SpineBox | None = None
    centroids: Path | None = None
    only: tuple[Level, ...] | None = None
    assume_usual: bool = False
    series: str | None = None
    force: bool = False
    overwrite: bool = False
    extras: Extras = field(default_factory=Extras)
    weights: Path | None = None
    calibration: Calibration | None = None
    sacrum: bool = False

    def pipeline(self) -> Pipeline:
        """The pipeline, with the weights of the stages that this order needs loaded.

        Raises:
            SpineError: unknown names or device; weights missing or damaged; stages that do not know the sacrum.
        """
        if self.sacrum and self.centroids:
            raise SpineError(
                "--sacrum wants S1 to be found; with --centroids nothing is looked for: leave out one of them"
            )
        pipeline = Pipeline(
            self.system, self.device, weights=self.weights, assume_usual=self.assume_usual, **self.replaced
        )
        if self.sacrum:
            pipeline.require_sacrum()
        for stage in self.stages:
            pipeline.stage(stage)
        return pipeline

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that run, by name."""
        first = 2 if self.centroids else 1 if self.box else 0
        return STAGES[first : STAGES.index(self.until) + 1]

    def given(self) -> dict[str, Any]:
        """What the person replaced or chose, for the run file.

        Raises:
            SpineError: the file of centroids cannot be read.
        """
        digest = None
        if self.centroids is not None:
            try:
                digest = hashlib.sha256(self.centroids.read_bytes()).hexdigest()
            except OSError as error:
                raise SpineError(f"{self.centroids} cannot be read: {error.strerror or error}") from error
        return {
            "box": [*self.box.lower, *self.box.upper] if self.box else None,
            "centroids": str(self.centroids) if self.centroids else None,
            "centroids_sha256": digest,
            "only": [level.name for level in self.only] if self.only else None,
            "assume_usual": self.assume_usual,
            "series": self.series,
            "force": self.force,
            **({"sacrum": True} if self.sacrum else {}),
            **({"calibration": [*astuple(self.calibration)]} if self.calibration else {}),
            **({"extras": extras} if (extras := self.extras.names()) else {}),
        }


def difference(run: dict[str, Any], order: Order, pipeline: Pipeline) -> str | None:
    """How a result, by its run file, was made otherwise than this order would make it; None when it was not.

    Compared are system, stages, weights and what was given; not the device, and not the place of the centroid file.
    """

    def plain(given: Any) -> dict:
        return {key: value for key, value in given.items() if key != "centroids"} if isinstance(given, dict) else {}

    if run.get("until") != order.until:
        return f"by a run until {run.get('until')}"
    if run.get("stages") != pipeline.stages.stages:
        stages = run.get("stages")
        return f"with other stages ({', '.join(stages.values()) if isinstance(stages, dict) else 'not recorded'})"
    if plain(run.get("given")) != plain(order.given()):
        options = "--box, --centroids, --only, --assume-usual, --sacrum, --series, --force, --calibration"
        return f"with other options ({options}, or for other programs)"
    for stage, used in run.get("weights", {}).items():
        if [one["sha256"] for one in used] != [one.sha256 for one in pipeline.stage(stage).weights]:
            return f"with other weights for {stage}"
    return None
