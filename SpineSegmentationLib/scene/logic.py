"""What the Slicer module does, without its window: results as nodes, edits of nodes, export. Knows no Qt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy import Level
from ..errors import SpineError
from ..io.values import write_text
from ..measures.table import as_csv
from ..numbering import Numbering, Reading
from ..results.export import write_surfaces, write_verse
from ..session.state import State
from ..spine import SpineBox
from ..systems import DEFAULT
from .mrml.box import same_box
from .mrml.coordinates import flipped
from .mrml.record import Record
from .mrml.result import Result
from .mrml.saved import saved
from .mrml.segment import set_kept
from .mrml.segmentation import remove_segment
from .mrml.table import rows_of
from .mrml.vertebrae import Vertebra, vertebrae_of
from .mrml.volume import voxels_of
from .scene_session import SceneSession

if TYPE_CHECKING:
    import slicer


class SpineLogic(SceneSession):
    """What a person, a panel or a script does with the results in a scene; keeps them up to date with their nodes.

    Points are RAS mm of the world, levels are written as names. How calls end: see :class:`SceneSession`.

    Raises:
        SpineError: (every method) what a person can mend, such as two points with one name.
    """

    # Runs and edits

    def process(
        self,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        system: str = DEFAULT,
        segmentation: slicer.vtkMRMLSegmentationNode | None = None,
        sacrum: bool = False,
    ) -> Result:
        """Detection, labelling and segmentation anew; locked vertebrae stay.

        Args:
            segmentation: the segmentation node to write into; what it holds besides vertebrae stays. By default the one
                that the volume has, or a new one.
            sacrum: see :meth:`showSacrum`.
        """
        voxels_of(volumeNode)
        result = Result.of(volumeNode)
        if segmentation is not None:
            result.adopt(segmentation)
        record = self._record(result)
        record.system = system
        self._start(result, replace(record.locked(), with_sacrum=sacrum), label=True)
        return result

    def applyEdits(self, result: Result) -> None:
        """Computes what the nodes ask for and was not computed yet: a box that was moved, points that were changed."""
        state, known = self._record(result).state(), self._known(result)
        if not same_box(state.box, known.box):
            self._start(result, state, label=True)
        elif self.hasEdits(result):
            self._start(result, state)

    def hasEdits(self, result: Result) -> bool:
        """Whether :meth:`applyEdits` has something to do (or to complain about)."""
        try:
            record = self._record(result)
            return record.state() != self._known(result) or (not self.busy and record.behind)
        except SpineError:
            return True

    def setBox(self, result: Result, centre: Sequence[float], size: Sequence[float]) -> None:
        """Labelling and segmentation anew in a box: its centre in RAS mm, its edges in mm."""
        middle, half = np.array(flipped(centre)), np.array(size, float) / 2
        state = replace(self._record(result).state(), box=SpineBox(tuple(middle - half), tuple(middle + half)))
        self._start(result, state, label=True)

    def moveCentroid(self, result: Result, level: str, ras: Sequence[float]) -> None:
        """See :meth:`State.moved`; and so for the edits below."""
        self._edit(result, lambda state: state.moved(_level(level), flipped(ras)))

    def rename(self, result: Result, old: str, new: str) -> None:
        self._edit(result, lambda state: state.renamed(_level(old), _level(new)))

    def shift(self, result: Result, by: int) -> None:
        self._edit(result, lambda state: state.shifted(by))

    def add(self, result: Result, level: str, ras: Sequence[float]) -> None:
        self._edit(result, lambda state: state.added(_level(level), flipped(ras)))

    def delete(self, result: Result, level: str | Sequence[str]) -> None:
        """One vertebra, or several at once; see :meth:`State.deleted`. Painted segments go, too, until undo."""
        levels, record = [_level(name) for name in _names(level)], self._record(result)
        before = record.state()
        state = before.deleted(*levels)
        record.voxels(anew=False)  # before a painted segment is gone for nothing
        for one in set(levels) & set(record.segments.edited):
            record.painted[before.centroids[one].position] = record.segments.piece(one)
        for one in levels if result.segmentation else ():
            remove_segment(result.segmentation, one)
        self._start(result, state)

    def mend(self, result: Result, point: str, new: str | None) -> None:
        """Gives a control point, known by its id, another name, or deletes it; for names that are none or given twice.

        What is left to mend after that is told by the rows of :meth:`vertebrae`.
        """
        points = result.centroids
        if points is None:
            raise SpineError("there are no points to mend; apply first")
        number = points.GetNthControlPointIndexByID(point)
        if new is None:
            points.RemoveNthControlPoint(number)
        else:
            points.SetNthControlPointLabel(number, _level(new).name)
        if self._record(result).valid_state() is not None:
            self.applyEdits(result)

    def insertBetween(self, result: Result, upper: str, lower: str) -> None:
        self._edit(result, lambda state: state.inserted_between(_level(upper), _level(lower)))

    def relabelFrom(self, result: Result, level: str, newLevel: str) -> None:
        self._edit(result, lambda state: state.relabelled_from(_level(level), _level(newLevel)))

    def readAs(self, result: Result, reading: Reading) -> None:
        """All names at once, as in a reading of :meth:`numbering`; no network runs."""
        self._edit(result, lambda state: state.read_as(reading))

    def showSacrum(self, result: Result, on: bool = True) -> None:
        """Segments the sacrum, too, where the labelling saw S1 and the system can; a segment, but no vertebra."""
        self._edit(result, lambda state: replace(state, with_sacrum=on))

    def lock(self, result: Result, level: str | Sequence[str], on: bool = True) -> None:
        """One vertebra, or several at once."""

        def locked(state: State) -> State:
            for name in _names(level):
                state = state.with_lock(_level(name), on)
            return state

        self._edit(result, locked)

    def canUndo(self, result: Result) -> bool:
        return self._record(result).history.can_undo

    def canRedo(self, result: Result) -> bool:
        return self._record(result).history.can_redo

    def undo(self, result: Result) -> None:
        """Points, labels and segments one step back; edits that were not applied are one step themselves."""
        record = self._record(result)
        history = record.history
        try:
            history.push(record.state())
        except SpineError:
            self._start(result, history.state)
            return
        if history.can_undo:
            self._start(result, history.undo(), back=history.redo)

    def redo(self, result: Result) -> None:
        """One step forth again."""
        history = self._record(result).history
        if history.can_redo:
            self._start(result, history.redo(), back=history.undo)

    # What there is

    def vertebrae(self, result: Result) -> list[Vertebra]:
        """The vertebrae that the point list names, from the head down; points with other names are left out."""
        return vertebrae_of(self._record(result))

    def numbering(self, result: Result) -> Numbering | None:
        """The verdict on the names as they are; None where a person set any of them."""
        state = self._record(result).valid_state()
        return state.centroids.numbering if state is not None else None

    def problem(self, result: Result) -> str:
        """Why the points cannot be computed as they are, for a person; "" where they can."""
        try:
            self._record(result).state()
        except SpineError as error:
            return str(error)
        return ""

    def boxMoved(self, result: Result) -> bool:
        """Whether the box waits for :meth:`applyEdits`, which would name every vertebra in it anew."""
        state = self._record(result).valid_state()
        return state is not None and not same_box(state.box, self._known(result).box)

    def hasWork(self, result: Result) -> bool:
        """Whether a person did anything that :meth:`process` would throw away."""
        if not result.nodes:
            return False
        mine = any(vertebra.by_person and not vertebra.locked for vertebra in self.vertebrae(result))
        return mine or self.hasEdits(result) or bool(self.edited(result))

    def edited(self, result: Result) -> list[str]:
        """Levels whose segment is kept, or was painted since it was last written."""
        return [level.name for level in self._record(result).segments.edited]

    def keep(self, result: Result, level: str, on: bool = True) -> None:
        """Keeps a segment as it is from now on; or gives it up and writes the computed one over it."""
        record = self._record(result)
        shown = next((shown for shown in record.segments.shown if shown.level == _level(level)), None)
        if shown is None:
            raise SpineError(f"{level} has no segment; apply first")
        set_kept(result.segmentation, shown.id, on)
        record.restore.discard(shown.id)
        if not on:
            record.restore.add(shown.id)
            if record.done is not None and not self.busy:
                with self._writes():
                    record.show(record.done, complete=True)
                self.on_update(result)
            else:
                self._start(result, record.state())

    # Export

    def settled(self, result: Result) -> Record:
        """What is known of a result whose segments are what its points say.

        Raises:
            SpineError: (every export) corrections wait for :meth:`applyEdits`, or are being computed.
        """
        record = self._record(result)
        record.voxels(anew=False)
        if record.state().centroids != record.history.state.centroids or record.behind:
            raise SpineError("corrections were not computed yet; press Update, or undo them")
        for one in record.segments.shown:
            if isinstance(one.level, Level) and one.level not in record.shown.centroids:
                raise SpineError(f"{one.level.name} was painted and has no point; add it or delete the segment")
        return record

    def exportVerSe(self, result: Result, folder: str | Path, name: str | None = None) -> list[Path]:
        """Writes the label map (NIfTI) and the centroids (VerSe JSON); returns their paths.

        Args:
            name: what the files are called; the name of the volume by default.
        """
        return write_verse(*saved(self.settled(result)), folder, name or file_name(result))

    def exportStl(self, result: Result, folder: str | Path, name: str | None = None) -> list[Path]:
        """Writes a surface in LPS mm for each vertebra that has voxels; returns the paths. See :meth:`exportVerSe`."""
        pieces, grid, _ = saved(self.settled(result))
        return write_surfaces(pieces, grid, folder, name or file_name(result))

    def exportCsv(self, result: Result, path: str | Path) -> list[Path]:
        """Writes the table of measurements as CSV.

        Raises:
            SpineError: it was not measured since the last change.
        """
        record = self.settled(result)
        if not record.measured() and self._transport is None:
            self.measure(result)
        if not record.measured():
            raise SpineError("the vertebrae were not measured since the last change; measure first")
        write_text(path, as_csv(rows_of(result.table)))
        return [Path(path)]

    def _edit(self, result: Result, edit: Callable[[State], State]) -> None:
        self._start(result, edit(self._record(result).state()))


def _names(levels: str | Sequence[str]) -> Sequence[str]:
    return [levels] if isinstance(levels, str) else levels


def _level(name: str) -> Level:
    try:
        return Level.parse(name)
    except ValueError as error:
        raise SpineError(str(error)) from None


def file_name(result: Result) -> str:
    """What files of a result are called: as its volume, without what file systems refuse; no two results alike."""
    names: dict[str, Result] = {}
    for one in [*Result.all(result.scene), result]:
        name = re.sub(r"[^\w.-]+", "_", one.required_volume().GetName()) or "scan"
        while names.setdefault(name.casefold(), one) != one:
            name = f"{name}_{len(names)}"
        if one == result:
            break
    return name
