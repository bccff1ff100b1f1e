"""A session: one scan, the values so far, and every edit computed with what is known already."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace

import SimpleITK as sitk

from ..anatomy import Bone, Level
from ..cache import Cache
from ..pipeline import Findings, Pipeline, Progress, lost
from ..segmentation.mask import Merger, Piece, VertebraMask, paint
from ..spine import Centroids, Point, SpineBox
from .state import History, State

Show = Callable[[State, Mapping[Bone, Piece]], None]


class Session:
    """Runs and edits on one scan.

    Law: after any sequence of edits ``label_map`` equals, voxel for voxel, that of a fresh
    ``pipeline.run(ct, box=state.box, centroids=state.centroids)``, with ``sacrum=state.sacrum`` where that is wanted.
    An edit that fails or is cancelled (the callback ``progress`` raises) leaves the state as it was. Only positions
    that were never segmented cost a network.

    Args:
        ct: 3D, HU; must not be changed while the session lives.
        pipeline: the system; its networks stay loaded. Another one takes over with the next run or edit.
        progress: called before every stage and after every vertebra.
        show: called with the values of a run in the making, as soon as they are found; its pieces may still change.

    Attributes:
        history: the states.
        warnings: of the last run or edit, one line each.
        seconds: of each stage that the last run or edit needed.
    """

    def __init__(
        self,
        ct: sitk.Image,
        pipeline: Pipeline,
        progress: Callable[[Progress], None] = lambda step: None,
        show: Show | None = None,
    ) -> None:
        self.ct, self.pipeline, self.progress, self.show = ct, pipeline, progress, show
        self.history = History()
        self.warnings: tuple[str, ...] = ()
        self.seconds: dict[str, float] = {}
        self._masks: Cache[VertebraMask] = Cache(256)
        self._merger = Merger(ct)
        self._pieces: dict[Bone, Piece] = {}
        self._complete: dict[Level, bool] = {}
        self._mask_confidence: dict[Level, float] = {}

    @property
    def state(self) -> State:
        return self.history.state

    @property
    def pieces(self) -> Mapping[Bone, Piece]:
        """The voxels of each vertebra, and of the sacrum; one without bone, or outside the scan, has none."""
        return self._pieces

    @property
    def label_map(self) -> sitk.Image:
        """uint8 VerSe codes on the grid of the CT."""
        return paint(self._pieces, self.ct)

    @property
    def masks(self) -> dict[Hashable, VertebraMask]:
        """The masks that the present centroids were given, by what they were computed from."""
        places = {*(point.position for point in self.state.centroids), self.state.sacrum}
        # Of those at one place, that used last: the others are of when its neighbours lay elsewhere.
        last = {key[1]: key for key, _ in self._masks.items() if isinstance(key, tuple) and key[1] in places}
        return {key: mask for key, mask in self._masks.items() if key in last.values()}

    def remember(self, masks: Mapping[Hashable, VertebraMask]) -> None:
        """Masks of an earlier session on the same scan, as :attr:`masks` gave them, are not computed again."""
        for key, mask in masks.items():
            self._masks.put(key, mask)

    @property
    def complete(self) -> Mapping[Level, bool]:
        """Whether the scan shows all of a vertebra, where the segmenter says so."""
        return self._complete

    @property
    def mask_confidence(self) -> Mapping[Level, float]:
        """How good each mask is likely to be, 0..1, where the segmenter says so."""
        return self._mask_confidence

    @property
    def confidences(self) -> dict[Level, float]:
        """Of each level's name, 0..1."""
        return {point.level: point.confidence for point in self.state.centroids}

    def run(self, box: SpineBox | None = None, centroids: Centroids | None = None) -> None:
        """Everything that is not given is found anew; locked vertebrae keep their name and place.

        Raises:
            SpineError: weights missing or damaged.
        """
        if centroids is not None:
            sacrum = centroids.numbering.sacrum if centroids.numbering else None
            self.apply(replace(self.state, box=box, centroids=centroids, sacrum=sacrum))
            return
        self.label(replace(self.state, box=box))

    def label(self, state: State) -> None:
        """Everything but the box and the locked vertebrae of a state is found anew; the box, too, when it is None.

        Raises:
            SpineError: weights missing or damaged.
        """
        found = self.pipeline.find(
            self.ct,
            box=state.box,
            until="labelling",
            progress=self.progress,
            known=self._masks,
            show=lambda found: self._show(state.labelled(state.box or found.box, found.centroids), {}),
        )
        # A box beside the scan is still the box that the person set.
        self.apply(state.labelled(state.box or found.box, found.centroids), found)

    def set_box(self, box: SpineBox) -> None:
        """Labelling and segmentation anew inside a box in LPS mm."""
        self.run(box)

    def apply(self, state: State, found: Findings | None = None) -> None:
        """Makes a state the present one and computes what it needs.

        Args:
            found: what was found on the way to this state, for the account in ``warnings`` and ``seconds``.
        """
        self._compute(state, found)
        self.history.push(state)

    def move(self, level: Level, position: Point) -> None:
        """See :meth:`State.moved`; and so for the edits below."""
        self.apply(self.state.moved(level, position))

    def rename(self, old: Level, new: Level) -> None:
        self.apply(self.state.renamed(old, new))

    def shift(self, by: int) -> None:
        self.apply(self.state.shifted(by))

    def add(self, level: Level, position: Point) -> None:
        self.apply(self.state.added(level, position))

    def delete(self, level: Level) -> None:
        self.apply(self.state.deleted(level))

    def insert_between(self, upper: Level, lower: Level) -> None:
        self.apply(self.state.inserted_between(upper, lower))

    def relabel_from(self, level: Level, new: Level) -> None:
        self.apply(self.state.relabelled_from(level, new))

    def lock(self, level: Level, on: bool = True) -> None:
        self.apply(self.state.with_lock(level, on))

    def undo(self) -> bool:
        """One step back; False when there is none."""
        if not self.history.can_undo:
            return False
        self._step(self.history.undo, self.history.redo)
        return True

    def redo(self) -> bool:
        """One step forth again; False when there is none."""
        if not self.history.can_redo:
            return False
        self._step(self.history.redo, self.history.undo)
        return True

    def _step(self, step: Callable[[], State], back: Callable[[], State]) -> None:
        try:
            self._compute(step())
        except BaseException:
            back()
            raise

    def _compute(self, state: State, found: Findings | None = None) -> None:
        new = {p.position for p in state.centroids} - {p.position for p in self.state.centroids}
        shown = time.monotonic()

        def show(found: Findings) -> None:
            # Merging halves of a run costs time: only where a person would wait for long.
            nonlocal shown
            if len(new) > 2 and time.monotonic() - shown > 1:
                self._show(state, self._merger.pieces(found.masks))
                shown = time.monotonic()

        done = self.pipeline.find(
            self.ct,
            box=state.box,
            centroids=state.centroids,
            sacrum=(state.with_sacrum and state.sacrum) or False,
            progress=self.progress,
            show=show,
            known=self._masks,
        )
        start = time.perf_counter()
        self._pieces = self._merger.pieces(done.masks)
        self._complete, self._mask_confidence = done.complete, done.mask_confidence
        before = found or Findings(None, Centroids(), {})
        self.warnings = (*before.warnings, *done.warnings, *lost(done.masks, self._pieces))
        self.seconds = {**before.seconds, **done.seconds, "merging": time.perf_counter() - start}

    def _show(self, state: State, pieces: Mapping[Bone, Piece]) -> None:
        if self.show is not None:
            self.show(state, pieces)
