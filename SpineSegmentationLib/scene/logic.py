"""What the Slicer module does, without its window: results as nodes, edits of nodes, export. Knows no Qt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..anatomy import Level
from ..errors import SpineError
from ..io.values import write_text
from ..measures.table import as_csv
from ..results.export import write_surfaces, write_verse
from ..session.state import State
from ..spine import SpineBox
from ..systems import DEFAULT
from .mrml.box import same_box
from .mrml.coordinates import flipped
from .mrml.result import Result
from .mrml.segment import set_kept
from .mrml.segmentation import remove_segment
from .mrml.table import rows_of
from .mrml.vertebrae import Vertebra, vertebrae_of
from .mrml.volume import voxels_of
from .scene_session import SceneSession


class SpineLogic(SceneSession):
    """What a person, a panel or a script does with the results in a scene; keeps them up to date with their nodes.

    Points are RAS mm of the world, levels are written as names. How calls end: see :class:`SceneSession`.

    Raises:
        SpineError: (every method) what a person can mend, such as two points with one name.
    """

    # Runs and edits

    def process(self, volumeNode, system: str = DEFAULT) -> Result:
        """Detection, labelling and segmentation anew; locked vertebrae stay."""
        voxels_of(volumeNode)
        result = Result.of(volumeNode)
        record = self._record(result)
        record.system = system
        self._start(result, record.locked(), label=True)
        return result

    def applyEdits(self, result: Result) -> None:
        """Computes what the nodes ask for and was not computed yet: a box that was moved, points that were changed."""
        state, known = self._record(result).state(), self._known(result)
        if not same_box(state.box, known.box):
            self._start(result, state, label=True)
        elif state != known:
            self._start(result, state)

    def hasEdits(self, result: Result) -> bool:
        """Whether :meth:`applyEdits` has something to do (or to complain about)."""
        try:
            return self._record(result).state() != self._known(result)
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

    def delete(self, result: Result, level: str) -> None:
        """See :meth:`State.deleted`; the segment goes, too, even if it was painted."""
        state = self._record(result).state().deleted(_level(level))
        if result.segmentation:
            remove_segment(result.segmentation, _level(level))
        self._start(result, state)

    def insertBetween(self, result: Result, upper: str, lower: str) -> None:
        self._edit(result, lambda state: state.inserted_between(_level(upper), _level(lower)))

    def relabelFrom(self, result: Result, level: str, newLevel: str) -> None:
        self._edit(result, lambda state: state.relabelled_from(_level(level), _level(newLevel)))

    def lock(self, result: Result, level: str, on: bool = True) -> None:
        self._edit(result, lambda state: state.with_lock(_level(level), on))

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
        if not on:
            record.restore.add(shown.level)
            if record.done is not None and not self.busy:
                with self._writes():
                    record.show(record.done, complete=True)
            else:
                self._start(result, record.state())

    # Export

    def exportVerSe(self, result: Result, folder: str | Path) -> list[Path]:
        """Writes the label map (NIfTI) and the centroids (VerSe JSON); returns their paths."""
        record = self._record(result)
        return write_verse(*record.segments.pieces(), record.state().centroids, folder, _file_name(result))

    def exportStl(self, result: Result, folder: str | Path) -> list[Path]:
        """Writes a surface in LPS mm for each vertebra that has voxels; returns the paths."""
        return write_surfaces(*self._record(result).segments.pieces(), folder, _file_name(result))

    def exportCsv(self, result: Result, path: str | Path) -> list[Path]:
        """Writes the table of measurements as CSV.

        Raises:
            SpineError: it was not measured since the last change.
        """
        record = self._record(result)
        if not record.measured() and self._transport is None:
            self.measure(result)
        if not record.measured():
            raise SpineError("the vertebrae were not measured since the last change; measure first")
        write_text(path, as_csv(rows_of(result.table)))
        return [Path(path)]

    def _edit(self, result: Result, edit: Callable[[State], State]) -> None:
        self._start(result, edit(self._record(result).state()))


def _level(name: str) -> Level:
    try:
        return Level.parse(name)
    except ValueError as error:
        raise SpineError(str(error)) from None


def _file_name(result: Result) -> str:
    return re.sub(r"[^\w.-]+", "_", result.volume.GetName()) or "scan"
