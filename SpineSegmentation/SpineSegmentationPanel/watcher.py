"""Notices when a person has let go of a node."""

from collections.abc import Callable, Iterable

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from .connection import connect

PAUSE = 300
"""ms without a further change after which a change counts as finished when nothing was dragged."""


class NodeWatcher(VTKObservationMixin):
    """Observes nodes and calls back once per finished change: at the end of a drag, or after a pause.

    Called from a timer, so never in the middle of an event of the scene.

    Args:
        on_change: called after a change.
        on_click: called with the point list in which a person clicked or dragged a point, before that.
    """

    def __init__(self, on_change: Callable[[], None], on_click: Callable = lambda points: None) -> None:
        super().__init__()
        self._on_change, self._on_click = on_change, on_click
        self._dragging = False
        self._clicked = None
        self._watched: tuple = ()
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        connect(self._timer, "timeout()", self._tell)

    def watch(self, nodes: Iterable) -> None:
        """Observes exactly these nodes from now on; None among them is passed over."""
        nodes = tuple(node for node in nodes if node is not None)
        if nodes == self._watched:
            return
        self.stop()
        self._watched = nodes
        markups = slicer.vtkMRMLMarkupsNode
        for node in nodes:
            self.addObserver(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._changed)
            if node.IsA("vtkMRMLMarkupsNode"):
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed)
                self.addObserver(node, markups.PointModifiedEvent, self._changed)
                self.addObserver(node, markups.PointPositionDefinedEvent, self._changed)
                self.addObserver(node, markups.PointRemovedEvent, self._changed)
                self.addObserver(node, markups.PointStartInteractionEvent, self._drag_started)
                self.addObserver(node, markups.PointEndInteractionEvent, self._drag_ended)

    @property
    def waiting(self) -> bool:
        """Whether a change is in the making, or was not told yet."""
        return self._dragging or self._timer.isActive()

    def stop(self) -> None:
        """Observes nothing any more."""
        self._timer.stop()
        self._dragging = False
        self._clicked = None
        self._watched = ()
        self.removeObservers()

    def _drag_started(self, caller, event) -> None:
        self._dragging = True
        self._timer.stop()

    def _drag_ended(self, caller, event) -> None:
        self._dragging = False
        self._clicked = caller
        self._timer.start(0)

    def _changed(self, caller, event) -> None:
        if not self._dragging:
            self._timer.start(PAUSE)

    def _tell(self) -> None:
        clicked, self._clicked = self._clicked, None
        if clicked is not None and clicked.IsA("vtkMRMLMarkupsFiducialNode"):
            self._on_click(clicked)
        self._on_change()
