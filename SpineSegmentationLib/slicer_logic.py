"""What the Slicer module does, without its window: results as nodes, edits of nodes, export. Knows no Qt."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

from . import messages, mrml
from .anatomy import Level
from .cache import Cache
from .client import Transport, WorkerClient
from .ct import write_image
from .engine import Engine, Events, LocalEngine, Update
from .errors import SpineError
from .files import write_centroids, write_text
from .segmentation.mask import Piece, paint
from .spine import Centroid, Centroids, SpineBox
from .state import History, State
from .voxels import Grid

STATE = "SpineSegmentation.state"
"""Attribute of a segmentation or table: the values that it was computed from."""

SYSTEM = "SpineSegmentation.system"


class Result:
    """The nodes of one volume. They refer to it, so they are found again in a scene that was saved and loaded.

    Each node is None when it was not made yet, or was deleted; the next update makes it anew.
    """

    def __init__(self, scene, volume) -> None:
        self.scene, self._volume = scene, volume

    @classmethod
    def of(cls, volume) -> Result:
        """The result of a volume node in a scene; makes nothing."""
        return cls(volume.GetScene(), volume)

    @classmethod
    def all(cls, scene) -> list[Result]:
        """The results in a scene, in the order of their volumes."""
        volumes = _nodes(scene, "vtkMRMLScalarVolumeNode")
        results = [cls(scene, volume) for volume in volumes]
        return [result for result in results if result.segmentation or result.centroids or result.box]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self._volume is other._volume

    def __hash__(self) -> int:
        return hash(self._volume)

    @property
    def volume(self):
        """The volume node; None after it was deleted or the scene closed."""
        return self._volume if self.scene is not None and self._volume.GetScene() is self.scene else None

    @property
    def box(self):
        """The ROI node of the spine box."""
        return self._node("vtkMRMLMarkupsROINode")

    @property
    def centroids(self):
        """The point list."""
        return self._node("vtkMRMLMarkupsFiducialNode")

    @property
    def segmentation(self):
        """The segmentation node."""
        return self._node("vtkMRMLSegmentationNode")

    @property
    def table(self):
        """The table of measurements."""
        return self._node("vtkMRMLTableNode")

    @property
    def nodes(self) -> list:
        """Those that are there, without the volume."""
        return [node for node in (self.box, self.centroids, self.segmentation, self.table) if node is not None]

    def make(self, kind: str, name: str):
        """A new node of the result, under its volume in the subject hierarchy."""
        node = self.scene.AddNewNodeByClass(f"vtkMRML{kind}Node", f"{self.volume.GetName()} {name}")
        node.SetNodeReferenceID(mrml.VOLUME, self.volume.GetID())
        if isinstance(node, slicer.vtkMRMLDisplayableNode):
            node.CreateDefaultDisplayNodes()
        tree = self.scene.GetSubjectHierarchyNode()
        parent = tree.GetItemByDataNode(self.volume) if tree is not None else 0
        if parent:
            item = tree.GetItemByDataNode(node) or tree.CreateItem(parent, node)
            tree.SetItemParent(item, parent)
        return node

    def _node(self, kind: str):
        volume = self.volume
        if volume is None:
            return None
        own = (node for node in _nodes(self.scene, kind) if node.GetNodeReferenceID(mrml.VOLUME) == volume.GetID())
        return next(own, None)


def _nodes(scene, kind: str) -> Iterator:
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        yield scene.GetNthNodeByClass(number, kind)


@dataclass(frozen=True)
class Vertebra:
    """One vertebra of a result, for people.

    Attributes:
        level: its name.
        ras: its centroid in RAS mm of the world.
        confidence: of the name, 0..1.
        locked: whether only a person may change it.
        kept: whether its segment is a person's own.
        complete: whether it lies in the scan as a whole; None when it was not measured as it is now.
        volume_mm3: None when it was not measured as it is now.
    """

    level: str
    ras: tuple[float, float, float]
    confidence: float
    locked: bool
    kept: bool
    complete: bool | None = None
    volume_mm3: float | None = None


@dataclass(eq=False)
class _Record:
    """What is known of one volume besides its nodes.

    Attributes:
        history: states whose segments were shown.
        shown: the state that was last written into the nodes.
        done: the last complete result; None after a scene was loaded.
        restore: levels whose segments are no longer kept and wait to be written.
    """

    history: History
    shown: State
    system: str
    done: Update | None = None
    restore: set[Level] = field(default_factory=set)


@dataclass(eq=False)
class _Request:
    """What runs.

    Attributes:
        state: what was asked for.
        label: whether vertebrae are found anew.
        back: takes the step in the history back that was made for it.
        values: what box and points said before it; None when they were not valid.
        segments: what the segments were before it; None without any.
        nodes: of the result before it.
    """

    result: Result
    state: State
    label: bool
    back: Callable[[], object] | None
    values: State | None
    segments: Update | None
    nodes: list


class SpineLogic:
    """Segments spines in a scene and keeps results up to date with what a person changes in their nodes.

    Points are RAS mm of the world, levels are written as names. Without a transport everything is computed in this
    process: calls return when they are done and raise what went wrong. With one, calls return at once, and what
    happens is told through the callbacks; only one request runs, and a new one for the same volume replaces it.

    Args:
        scene: a vtkMRMLScene.
        transport: makes a transport to a new worker process.
        device: as :func:`device.choose`; may be changed later.
        program: the command line of the worker.

    Attributes:
        on_progress: called with result, stage, parts done, parts in all, level or "".
        on_update: called with the result after its nodes changed.
        on_done: called with result and warnings.
        on_error: called with result and a message; ``"cancelled"`` after :meth:`cancel`.
        on_log: called with text for the log.
        writing: whether nodes are being written by this object, so that observers can tell.

    Raises:
        SpineError: (every method) what a person can mend, such as two points with one name.
    """

    def __init__(
        self,
        scene,
        transport: Callable[[], Transport] | None = None,
        device: str = "auto",
        program: Sequence[str] | None = None,
    ) -> None:
        self.scene, self.device = scene, device
        self.on_progress = self.on_update = self.on_done = self.on_error = self.on_log = lambda *values: None
        self.writing = False
        self._transport, self._program = transport, program
        self._engine: Engine | None = None
        self._engine_device = device
        self._opened: tuple | None = None
        self._records: dict[Result, _Record] = {}
        self._request: _Request | None = None
        self._failure: str | None = None
        self._digests: Cache[str] = Cache(500)
        self._observers = [
            scene.AddObserver(event, self._on_scene_changed) for event in (scene.NodeRemovedEvent, scene.EndCloseEvent)
        ]

    # Runs and edits

    @property
    def busy(self) -> bool:
        """Whether something is being computed."""
        return self._request is not None

    def process(self, volumeNode, system: str = "anduin") -> Result:
        """Detection, labelling and segmentation anew; locked vertebrae stay."""
        mrml.voxels_of(volumeNode)
        result = Result.of(volumeNode)
        record = self._record(result)
        record.system = system
        points = mrml.points_of(result.centroids) if result.centroids else []
        centroids, locked = mrml.centroids_of([point for point in points if point.locked])
        self._start(result, State(None, centroids, locked), label=True)
        return result

    def applyEdits(self, result: Result) -> None:
        """Computes what the nodes ask for and was not computed yet: a box that was moved, points that were changed."""
        state, known = self._state(result), self._known(result)
        if not mrml.same_box(state.box, known.box):
            self._start(result, state, label=True)
        elif state != known:
            self._start(result, state)

    def hasEdits(self, result: Result) -> bool:
        """Whether :meth:`applyEdits` has something to do (or to complain about)."""
        try:
            return self._state(result) != self._known(result)
        except SpineError:
            return True

    def setBox(self, result: Result, centre: Sequence[float], size: Sequence[float]) -> None:
        """Labelling and segmentation anew in a box: its centre in RAS mm, its edges in mm."""
        middle, half = np.array(mrml.flipped(centre)), np.array(size, float) / 2
        state = replace(self._state(result), box=SpineBox(tuple(middle - half), tuple(middle + half)))
        self._start(result, state, label=True)

    def moveCentroid(self, result: Result, level: str, ras: Sequence[float]) -> None:
        """See :meth:`State.moved`; and so for the edits below."""
        self._edit(result, lambda state: state.moved(_level(level), mrml.flipped(ras)))

    def rename(self, result: Result, old: str, new: str) -> None:
        self._edit(result, lambda state: state.renamed(_level(old), _level(new)))

    def shift(self, result: Result, by: int) -> None:
        self._edit(result, lambda state: state.shifted(by))

    def add(self, result: Result, level: str, ras: Sequence[float]) -> None:
        self._edit(result, lambda state: state.added(_level(level), mrml.flipped(ras)))

    def delete(self, result: Result, level: str) -> None:
        """See :meth:`State.deleted`; the segment goes, too, even if it was painted."""
        state = self._state(result).deleted(_level(level))
        for shown in mrml.segments_of(result.segmentation) if result.segmentation else ():
            if shown.level == _level(level):
                result.segmentation.GetSegmentation().RemoveSegment(shown.id)
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
        history = self._record(result).history
        try:
            history.push(self._state(result))
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

    def cancel(self) -> None:
        """Ends what runs; the nodes become as they were before it, but for what a person changed."""
        if self._engine is not None and self.busy:
            self._engine.cancel()

    def close(self) -> None:
        """Ends the worker; the scene stays as it is."""
        self._request = None
        for tag in self._observers:
            self.scene.RemoveObserver(tag)
        self._observers = []
        self._close_engine()

    # What there is

    def vertebrae(self, result: Result) -> list[Vertebra]:
        """The vertebrae that the point list names, from the head down; points with other names are left out."""
        if result.centroids is None:
            return []
        measured = self._measured(result)
        kept = {shown.level for shown in self._segments(result) if shown.kept}
        rows = []
        for point in mrml.points_of(result.centroids):
            try:
                level = Level.parse(point.name)
            except ValueError:
                continue
            row = measured.get(level.name, {})
            volume = row.get("volume_mm3")
            rows.append(
                Vertebra(
                    level.name,
                    mrml.flipped(point.position),
                    point.confidence,
                    point.locked,
                    level in kept,
                    row["completeness"] == "complete" if row else None,
                    float(volume) if volume else None,
                )
            )
        return sorted(rows, key=lambda row: Level[row.level].rank)

    def edited(self, result: Result) -> list[str]:
        """Levels whose segment is kept, or was painted since it was last written."""
        segments = self._segments(result)
        return [shown.level.name for shown in segments if shown.kept or self._digest(result, shown) != shown.digest]

    def keep(self, result: Result, level: str, on: bool = True) -> None:
        """Keeps a segment as it is from now on; or gives it up and writes the computed one over it."""
        shown = next((shown for shown in self._segments(result) if shown.level == _level(level)), None)
        if shown is None:
            raise SpineError(f"{level} has no segment; apply first")
        mrml.set_kept(result.segmentation, shown.id, on)
        if not on:
            record = self._record(result)
            record.restore.add(shown.level)
            if record.done is not None and not self.busy:
                self._show(result, record.done, complete=True)
            else:
                self._start(result, self._state(result))

    # Measurements and export

    def measure(self, result: Result) -> None:
        """Fills the table; painted segments are measured as they are."""
        state = self._record(result).history.state
        edited = {Level[name]: self._piece(result, Level[name]) for name in self.edited(result)}
        request = self._begin(result, state, label=False)

        def measured(rows: list[list[str]]) -> None:
            if self._request is request:
                self._request = None
                if result.volume is not None:
                    table = result.table or result.make("Table", "measurements")
                    mrml.show_table(table, rows)
                    table.SetAttribute(STATE, self._signature(result))
                    self.on_update(result)
                    self.on_done(result, [])

        self._run(request, lambda events: self._engine.measure(state, edited, replace(events, measured=measured)))

    def exportVerSe(self, result: Result, folder: str | Path) -> list[Path]:
        """Writes the label map (NIfTI) and the centroids (VerSe JSON); returns their paths."""
        pieces, grid = self._pieces(result)
        image = sitk.Image(grid.size, sitk.sitkUInt8)
        image.SetSpacing(grid.spacing)
        image.SetOrigin(grid.origin)
        image.SetDirection(grid.direction)
        name = _file_name(result)
        paths = [Path(folder) / f"{name}_seg-vert_msk.nii.gz", Path(folder) / f"{name}_seg-subreg_ctd.json"]
        write_image(paint(pieces, image), paths[0])
        write_centroids(self._state(result).centroids, image, paths[1])
        return paths

    def exportStl(self, result: Result, folder: str | Path) -> list[Path]:
        """Writes a surface in LPS mm for each vertebra that has voxels; returns the paths."""
        from .surfaces import surface_of, write_stl

        pieces, grid = self._pieces(result)
        paths = []
        for level, piece in sorted(pieces.items(), key=lambda item: item[0].rank):
            if piece.voxels.size:
                paths.append(Path(folder) / f"{_file_name(result)}_{level.name}.stl")
                write_stl(surface_of(piece, grid), paths[-1])
        return paths

    def exportCsv(self, result: Result, path: str | Path) -> list[Path]:
        """Writes the table of measurements as CSV.

        Raises:
            SpineError: it was not measured since the last change.
        """
        if not self._measured(result) and self._transport is None:
            self.measure(result)
        if not self._measured(result):
            raise SpineError("the vertebrae were not measured since the last change; measure first")
        write_text(path, "".join(",".join(row) + "\n" for row in mrml.rows_of(result.table)))
        return [Path(path)]

    # Requests

    def _edit(self, result: Result, edit: Callable[[State], State]) -> None:
        self._start(result, edit(self._state(result)))

    def _start(
        self, result: Result, state: State, label: bool = False, back: Callable[[], object] | None = None
    ) -> None:
        request = self._begin(result, state, label, back)
        # What a person did is seen at once; what is about to be found anew is not touched before it is found.
        with self._writes():
            if not label or state.box is not None:
                self._show_box(result, state.box)
            if not label:
                self._show_points(result, state)
        self._run(request, lambda events: self._engine.run(state, label, events))

    def _begin(self, result: Result, state: State, label: bool, back: Callable[[], object] | None = None) -> _Request:
        """Makes ready for a request; one that runs is replaced, or cancelled if it is for another volume."""
        if self._transport is None and self._request is not None:
            raise SpineError("a segmentation runs; wait for it or cancel it")
        record, voxels = self._record(result), mrml.voxels_of(self._volume(result))
        old = self._request
        if old is not None and old.result == result:
            self._request = None
            values = old.values if old.label else self._valid_state(result)
            request = _Request(result, state, label, back, values, old.segments, old.nodes)
        else:
            self.cancel()
            segments = record.done or self._from_nodes(result)
            request = _Request(result, state, label, back, self._valid_state(result), segments, result.nodes)
        if self._engine_device != self.device:
            self._close_engine()
        if self._engine is None:
            self._engine_device = self.device
            self._engine = (
                WorkerClient(self._transport, self.device, self._program, lambda text: self.on_log(text))
                if self._transport is not None
                else LocalEngine(self.device)
            )
        image = result.volume.GetImageData()
        key = (result, image, image.GetMTime(), voxels.to_lps.tobytes(), record.system)
        if self._opened != key:
            self._engine.open(voxels, record.system)
            self._opened = key
        self._request = request
        return request

    def _run(self, request: _Request, run: Callable[[Events], None]) -> None:
        """Runs a request. In this process it has ended when this returns, and what went wrong is raised."""
        self._failure = None
        try:
            run(self._events(request))
        except BaseException:
            if self._request is request:
                self._request = None
                self._restore(request)
            raise
        message, self._failure = self._failure, None
        if message is not None:
            raise SpineError(message)

    def _fail(self, result: Result, message: str) -> None:
        if self._transport is None:
            self._failure = message
        else:
            self.on_error(result, message)

    def _events(self, request: _Request) -> Events:
        result = request.result

        def wanted() -> bool:
            return self._request is request and result.volume is not None

        def progress(*step) -> None:
            if wanted():
                self.on_progress(result, *step)

        def show(update: Update) -> None:
            if wanted():
                self._show(result, update, complete=False)
                self.on_update(result)

        def done(update: Update) -> None:
            if wanted():
                self._request = None
                record = self._record(result)
                if request.back is None:
                    record.history.push(update.state)
                record.done = update
                try:
                    self._show(result, update, complete=True)
                except SpineError as error:
                    self._fail(result, str(error))
                    return
                result.segmentation.SetAttribute(STATE, _text(update.state))
                result.segmentation.SetAttribute(SYSTEM, record.system)
                self.on_update(result)
                self.on_done(result, list(update.warnings))

        def failed(message: str) -> None:
            if self._request is request:
                self._request = None
                if result.volume is not None:
                    self._restore(request)
                    self.on_update(result)
                self._fail(result, message)

        return Events(progress=progress, show=show, done=done, failed=failed)

    def _restore(self, request: _Request) -> None:
        """The nodes as they were, but for what a person changed: the points of an edit, the box of a new labelling."""
        result, before = request.result, request.segments
        if request.back is not None:
            request.back()
        with self._writes():
            for node in result.nodes:
                if node not in request.nodes:
                    self.scene.RemoveNode(node)
            if request.label:
                values = request.values or self._known(result)
                if result.nodes:
                    self._show_box(result, request.state.box or values.box)
                    self._show_points(result, values)
                else:
                    self._record(result).shown = State()
            if before is not None and result.segmentation is not None:
                centroids = before.state.centroids
                mrml.show_segments(result.segmentation, before.pieces, centroids, before.grid, result.volume)

    # Nodes

    def _show(self, result: Result, update: Update, complete: bool) -> None:
        with self._writes():
            shown, state = self._record(result).shown, update.state
            # A person may be about to change what was written before.
            if result.box is None or not mrml.same_box(state.box, shown.box):
                self._show_box(result, state.box)
            changed = (state.centroids, state.locked) != (shown.centroids, shown.locked)
            # Before labelling there are only the locked ones; the others stay until then.
            labelled = complete or len(state.centroids) > len(state.locked)
            if result.centroids is None or (changed and labelled):
                self._show_points(result, state)
            node = result.segmentation
            if node is None:
                node = result.make("Segmentation", "spine")
            record = self._record(result)
            mrml.show_segments(node, update.pieces, update.state.centroids, update.grid, result.volume, complete)
            for shown in mrml.segments_of(node) if complete else ():
                if shown.level in record.restore and shown.level in update.pieces:
                    mrml.restore_segment(node, shown, update.pieces[shown.level], update.grid)
                    record.restore.discard(shown.level)

    def _show_box(self, result: Result, box: SpineBox | None) -> None:
        if box is not None:
            roi = result.box
            if roi is None:
                roi = result.make("MarkupsROI", "spine box")
                # A filled box would hide what is in it.
                roi.GetDisplayNode().SetFillVisibility(False)
            mrml.show_box(roi, box)
        elif result.box is not None:
            self.scene.RemoveNode(result.box)
        record = self._record(result)
        record.shown = replace(record.shown, box=box)

    def _show_points(self, result: Result, state: State) -> None:
        points = result.centroids
        if points is None:
            points = result.make("MarkupsFiducial", "vertebrae")
            points.SetControlPointLabelFormat(mrml.UNNAMED)
        mrml.show_centroids(points, state.centroids, state.locked)
        record = self._record(result)
        record.shown = replace(record.shown, centroids=state.centroids, locked=state.locked)

    def _writes(self):
        return _Writing(self)

    def _state(self, result: Result) -> State:
        """What the nodes say. A value that is what was written is exactly that; a deleted node says what it said."""
        self._volume(result)
        record = self._record(result)
        known = (record.shown, record.history.state)
        box, centroids, locked = record.shown.box, record.shown.centroids, record.shown.locked
        if result.box is not None:
            box = mrml.box_of(result.box)
            box = next((state.box for state in known if mrml.same_box(state.box, box)), box)
        if result.centroids is not None:
            points, locked = mrml.centroids_of(mrml.named_by_neighbours(mrml.points_of(result.centroids)))
            centroids = Centroids(tuple(_as_known(point, known) for point in points))
        return State(box, centroids, locked)

    def _volume(self, result: Result):
        if result.volume is None:
            raise SpineError("the volume of this result was deleted; choose another one")
        return result.volume

    def _valid_state(self, result: Result) -> State | None:
        try:
            return self._state(result)
        except SpineError:
            return None

    def _known(self, result: Result) -> State:
        """What the segments belong to, or will when what runs is done."""
        record = self._record(result)
        return record.shown if self._request is not None and self._request.result == result else record.history.state

    def _record(self, result: Result) -> _Record:
        if result not in self._records:
            state, system = State(), "anduin"
            if result.segmentation is not None:
                state = _state_of_text(result.segmentation.GetAttribute(STATE)) or state
                system = result.segmentation.GetAttribute(SYSTEM) or system
            self._records[result] = _Record(History(state), state, system)
        return self._records[result]

    def _from_nodes(self, result: Result) -> Update | None:
        """The last result as the nodes have it."""
        node, grid = result.segmentation, mrml.grid_of(result.segmentation) if result.segmentation else None
        if grid is None:
            return None
        pieces = {shown.level: mrml.piece_of(node, shown.id, grid) for shown in mrml.segments_of(node)}
        pieces = {level: piece for level, piece in pieces.items() if piece is not None}
        return Update(self._record(result).history.state, pieces, grid)

    def _segments(self, result: Result) -> list[mrml.ShownSegment]:
        return mrml.segments_of(result.segmentation) if result.segmentation else []

    def _piece(self, result: Result, level: Level) -> Piece:
        grid = mrml.grid_of(result.segmentation)
        shown = next(shown for shown in self._segments(result) if shown.level == level)
        piece = mrml.piece_of(result.segmentation, shown.id, grid)
        return mrml.resampled_piece_of(result.segmentation, shown.id, grid) if piece is None else piece

    def _pieces(self, result: Result) -> tuple[dict[Level, Piece], Grid]:
        """The segments as they are, those that a person painted last, so that they win where two overlap."""
        segments = self._segments(result)
        if not segments:
            raise SpineError("there is no segmentation to export; apply first")
        painted = self.edited(result)
        segments.sort(key=lambda shown: shown.level.name in painted)
        return {s.level: self._piece(result, s.level) for s in segments}, mrml.grid_of(result.segmentation)

    def _digest(self, result: Result, shown: mrml.ShownSegment) -> str:
        """Of the voxels that the segment has now."""
        segment = result.segmentation.GetSegmentation().GetSegment(shown.id)
        image = segment.GetRepresentation(mrml.LABEL_MAP)

        def compute() -> str:
            grid = mrml.grid_of(result.segmentation)
            piece = mrml.piece_of(result.segmentation, shown.id, grid) if grid is not None else None
            return "" if piece is None else piece.digest

        # Times of modification are never given twice.
        return self._digests.get((image.GetMTime() if image else 0, segment.GetLabelValue()), compute)

    def _signature(self, result: Result) -> str:
        """Tells whether measurements still belong to the segments."""
        return ",".join(f"{shown.level.name}:{self._digest(result, shown)}" for shown in self._segments(result))

    def _measured(self, result: Result) -> dict[str, dict[str, str]]:
        table = result.table
        if table is None or table.GetAttribute(STATE) != self._signature(result):
            return {}
        columns, *rows = mrml.rows_of(table)
        return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}

    def _on_scene_changed(self, *_: object) -> None:
        gone = [result for result in self._records if result.volume is None]
        for result in gone:
            del self._records[result]
        if self._opened is not None and self._opened[0] in gone:
            # Would keep the voxels in memory.
            self._opened = None
        request = self._request
        if request is not None and request.result.volume is None:
            self._request = None
            self._engine.cancel()
            self.on_error(request.result, "the volume was deleted, so its segmentation was ended")

    def _close_engine(self) -> None:
        engine, self._engine, self._opened = self._engine, None, None
        if engine is not None:
            engine.close()


class _Writing:
    """Says that nodes are being written, also where one writing is part of another."""

    def __init__(self, logic: SpineLogic) -> None:
        self._logic = logic

    def __enter__(self) -> None:
        self._before, self._logic.writing = self._logic.writing, True

    def __exit__(self, *_: object) -> None:
        self._logic.writing = self._before


def _level(name: str) -> Level:
    try:
        return Level.parse(name)
    except ValueError as error:
        raise SpineError(str(error)) from None


def _as_known(point: Centroid, known: Sequence[State]) -> Centroid:
    """A centroid at a place that was written is exactly there; one that is not as it was written is a person's."""
    for state in known:
        for other in state.centroids:
            if np.allclose(other.position, point.position, rtol=0, atol=mrml.NEAR):
                return other if other.level == point.level else Centroid(point.level, other.position)
    return Centroid(point.level, point.position)


def _text(state: State) -> str:
    return json.dumps(messages.of_state(state))


def _state_of_text(text: str | None) -> State | None:
    try:
        return messages.to_state(json.loads(text or ""))
    except (ValueError, KeyError, TypeError, SpineError):
        # Somebody changed the attribute; the nodes themselves still hold box and points.
        return None


def _file_name(result: Result) -> str:
    return re.sub(r"[^\w.-]+", "_", result.volume.GetName()) or "scan"
