"""What is known of one volume besides its nodes: what was written into them, and what a person made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...anatomy import Bone
from ...errors import SpineError
from ...grid import Grid
from ...measures.details import rows_of_details
from ...segmentation.mask import Piece
from ...session import messages
from ...session.engine import Update
from ...session.memory import Memory, of_memory, to_memory
from ...session.state import History, State
from ...spine import Centroid, Centroids, Point, SpineBox
from ...systems import DEFAULT
from ...voxels import Voxels
from .box import box_of, same_box, show_box
from .coordinates import NEAR
from .current import CurrentSegments
from .display import show_names, thin_box
from .measures import renew_measures
from .points import UNNAMED, centroids_of, named_by_neighbours, points_of, show_centroids
from .result import Result
from .segment import piece_of, set_kept, write_voxels
from .segmentation import grid_of, restore_segment, show_segments
from .table import rows_of, show_table
from .volume import voxels_of

STATE = "SpineSegmentation.state"
"""Attribute of a segmentation or table: the values that it was computed from."""

SYSTEM = "SpineSegmentation.system"

MEMORY = "SpineSegmentation.memory"
"""Attribute of a segmentation: what need not be computed again when the scene was loaded."""

MEASURES = "SpineSegmentation.measures"
"""Attribute of a table: the measures with their places in space, as JSON."""

SAME = 1e-3
"""Voxels; a volume that moved by less since it was segmented, such as by being saved and loaded, did not move."""


class Record:
    """Writes values into the nodes of a result and reads from them what a person wants.

    Attributes:
        history: states whose segments were shown.
        shown: the state that was last written into the nodes.
        system: that computed them.
        done: the last complete result; None after a scene was loaded.
        restore: ids of segments that are no longer kept and wait to be written.
        painted: voxels of vertebrae that were deleted after a person had painted them, by their places.
        segments: as they are now.
    """

    def __init__(self, result: Result) -> None:
        state, self.system = State(), DEFAULT
        if result.segmentation is not None:
            state = _state_of_text(result.segmentation.GetAttribute(STATE)) or state
            self.system = result.segmentation.GetAttribute(SYSTEM) or self.system
        self.result, self.history, self.shown = result, History(state), state
        self.done: Update | None = None
        self.restore: set[str] = set()
        self.painted: dict[Point, Piece] = {}
        self.segments = CurrentSegments(result)

    # Reading

    def state(self) -> State:
        """What the nodes say. A value that is what was written is exactly that; a deleted node says what it said.

        Raises:
            SpineError: names that are none or are given twice, a warped node, or the volume was deleted.
        """
        result = self.result
        result.required_volume()
        known = (self.shown, self.history.state)
        box, centroids, locked = self.shown.box, self.shown.centroids, self.shown.locked
        if result.box is not None:
            box = box_of(result.box)
            box = next((state.box for state in known if same_box(state.box, box)), box)
        if result.centroids is not None:
            points, locked = centroids_of(named_by_neighbours(points_of(result.centroids)))
            centroids = Centroids(tuple(_as_known(point, known) for point in points))
            # With the verdict on the names, which no node holds.
            centroids = next((state.centroids for state in known if state.centroids == centroids), centroids)
        return replace(self.shown, box=box, centroids=centroids, locked=locked)

    def valid_state(self) -> State | None:
        """As :meth:`state`; None where that raises."""
        try:
            return self.state()
        except SpineError:
            return None

    @property
    def behind(self) -> bool:
        """Whether segments are of other values or names than the last result, as after an undo in Segment Editor."""
        places: dict[Bone, str] = {point.level: repr(point.position) for point in self.history.state.centroids}
        shown = self.segments.shown
        node = self.result.segmentation
        return (node is not None and node.GetParentTransformNode() is not None) or any(
            one.misnamed or one.position != places.get(one.level, one.position if one.kept else "") for one in shown
        )

    def voxels(self, anew: bool = True) -> Voxels:
        """The voxels of the volume; on the grid of the segments where the two differ by less than ``SAME`` voxels.

        Raises:
            SpineError: as :func:`voxels_of`, the volume was deleted, or moved and not to be segmented ``anew``.
        """
        voxels, node = voxels_of(self.result.required_volume()), self.result.segmentation
        before = grid_of(node) if node is not None and node.GetParentTransformNode() is None else None
        now = Grid.of_matrix(voxels.array.shape[::-1], voxels.to_lps)
        if before is None or not before.same_as(now, SAME):
            if before is not None and not anew and before.size == now.size and not before.same_as(now):
                raise SpineError(f"{voxels.name} was moved since it was segmented; move it back, or start over")
            return voxels
        return replace(voxels, to_lps=before.to_lps)

    def locked(self) -> State:
        """The locked vertebrae alone.

        Raises:
            SpineError: as :meth:`state`.
        """
        points = points_of(self.result.centroids) if self.result.centroids else []
        centroids, locked = centroids_of([point for point in points if point.locked])
        return State(None, centroids, locked)

    def update(self) -> Update | None:
        """The last result, from the nodes where it is not known; None without any."""
        if self.done is not None:
            return self.done
        node = self.result.segmentation
        grid = grid_of(node) if node is not None else None
        if grid is None:
            return None
        found = {shown.level: piece_of(node, shown.id, grid) for shown in self.segments.shown}
        pieces = {level: piece for level, piece in found.items() if piece is not None}
        return Update(self.history.state, pieces, grid)

    def measured(self) -> dict[str, dict[str, str]]:
        """The rows of the table by level, each by column; empty when the segments were changed since."""
        table = self.result.table
        if table is None or table.GetAttribute(STATE) != self.segments.signature:
            return {}
        columns, *rows = rows_of(table)
        return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}

    # Writing

    def accept(self) -> None:
        """What the nodes say counts as written from here on, so that new values overrule what a person changed."""
        self.shown = self.valid_state() or State()

    def push(self, state: State) -> None:
        """Makes a state that was shown the present one of the history, which begins with the first result."""
        if self.history.can_undo or self.history.state.centroids:
            self.history.push(state)
        else:
            self.history = History(state)

    def show(self, update: Update, complete: bool) -> None:
        """Writes what differs into the nodes, and makes those that are not there.

        Args:
            complete: whether this is the result, not a run in the making.

        Raises:
            SpineError: a segment cannot be written.
        """
        result, shown, state = self.result, self.shown, update.state
        # A person may be about to change what was written before.
        if result.box is None or not same_box(state.box, shown.box):
            self.show_box(state.box)
        changed = (state.centroids, state.locked) != (shown.centroids, shown.locked) or not state.centroids
        # Before labelling there are only the locked ones; the others stay until then.
        labelled = complete or len(state.centroids) > len(state.locked)
        if result.centroids is None or (changed and labelled):
            self.show_points(state)
        if labelled:
            # Equal as far as nodes can tell, but perhaps with another verdict on the names.
            self.shown = state
        node = result.segmentation
        if node is None:
            node = result.make("Segmentation", "spine")
        self.show_segments(update, complete)
        for segment in self.segments.shown if complete else ():
            if segment.id in self.restore and segment.level in update.pieces:
                restore_segment(node, segment, update.pieces[segment.level], update.grid)
                self.restore.discard(segment.id)

    def repaint(self, update: Update) -> None:
        """Vertebrae that an undo brought back have the voxels that a person had painted."""
        places: dict[Bone, Point] = {point.level: point.position for point in update.state.centroids}
        for shown in self.segments.shown:
            if shown.level in places and (piece := self.painted.pop(places[shown.level], None)) is not None:
                write_voxels(self.result.segmentation, shown.id, piece, update.grid)
                set_kept(self.result.segmentation, shown.id, True)

    def show_box(self, box: SpineBox | None) -> None:
        """Makes the ROI that box; None removes it."""
        result = self.result
        if box is not None:
            roi = result.box
            if roi is None:
                roi = result.make("MarkupsROI", "spine box")
                thin_box(roi)
            show_box(roi, box)
        elif result.box is not None:
            result.scene.RemoveNode(result.box)
        self.shown = replace(self.shown, box=box)

    def show_points(self, state: State) -> None:
        """Makes the points the centroids of a state."""
        points = self.result.centroids
        if points is None:
            points = self.result.make("MarkupsFiducial", "vertebrae")
            points.SetControlPointLabelFormat(UNNAMED)
            show_names(points)
        show_centroids(points, state.centroids, state.locked)
        self.shown = replace(self.shown, centroids=state.centroids, locked=state.locked)

    def show_segments(self, update: Update, complete: bool = True) -> None:
        """Makes the segments those pieces; see :func:`segmentation.show_segments`."""
        node, centroids = self.result.segmentation, update.state.centroids
        show_segments(node, update.pieces, centroids, update.grid, self.result.volume, complete)

    def show_measurements(self, details: dict[str, Any], signature: str) -> None:
        """Makes the table the measures (:func:`measures.details.details`) of the segments that had that signature."""
        table = self.result.table or self.result.make("Table", "measurements")
        show_table(table, rows_of_details(details))
        table.SetAttribute(STATE, signature)
        table.SetAttribute(MEASURES, json.dumps(details))
        renew_measures(self.result, details)

    def memory(self) -> Memory:
        """What :meth:`save` noted; an empty one where that is nothing."""
        node = self.result.segmentation
        try:
            return to_memory(json.loads((node.GetAttribute(MEMORY) if node is not None else "") or "null"))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Somebody changed the attribute: everything is computed again.
            return Memory()

    def measures(self) -> dict[str, Any] | None:
        """What :meth:`show_measurements` was given; None when the segments were changed since."""
        table = self.result.table
        if table is None or table.GetAttribute(STATE) != self.segments.signature:
            return None
        try:
            return json.loads(table.GetAttribute(MEASURES) or "null")
        except ValueError:
            return None

    def save(self, state: State, memory: Memory | None = None) -> None:
        """Notes in the segmentation what it was computed from, and on the way, for a scene that is saved."""
        node = self.result.segmentation
        assert node is not None  # what is saved was shown
        node.SetAttribute(STATE, json.dumps(messages.of_state(state)))
        if memory is not None:
            node.SetAttribute(MEMORY, json.dumps(of_memory(memory)))
        node.SetAttribute(SYSTEM, self.system)


def _as_known(point: Centroid, known: Sequence[State]) -> Centroid:
    """A centroid at a place that was written is exactly there; one that is not as it was written is a person's."""
    for state in known:
        for other in state.centroids:
            if np.allclose(other.position, point.position, rtol=0, atol=NEAR):
                return other if other.level == point.level else Centroid(point.level, other.position)
    return Centroid(point.level, point.position)


def _state_of_text(text: str | None) -> State | None:
    try:
        return messages.to_state(json.loads(text or ""))
    except (ValueError, KeyError, TypeError, SpineError):
        # Somebody changed the attribute; the nodes themselves still hold box and points.
        return None
