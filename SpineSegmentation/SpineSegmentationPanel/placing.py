"""The button that places one more centroid in a view."""

import slicer
from slicer.util import VTKObservationMixin

from .connection import connect


class PlaceButton(VTKObservationMixin):
    """A button that is down while the next click in a view places a point.

    Slicer's own place widget shows further buttons as soon as it has a list, and one of them deletes the last point.

    Args:
        button: a checkable QPushButton.
    """

    def __init__(self, button) -> None:
        super().__init__()
        self._button, self._points = button, None
        self._interaction = slicer.app.applicationLogic().GetInteractionNode()
        connect(button, "clicked(bool)", self._clicked)
        self.addObserver(self._interaction, self._interaction.InteractionModeChangedEvent, self._mode_changed)

    def set_points(self, points) -> None:
        """The list that points are added to; None for no list."""
        self._points = points
        self._button.setEnabled(points is not None)

    def stop(self) -> None:
        """Clicks in views are clicks again."""
        if self._button.checked:
            self._interaction.SwitchToViewTransformMode()

    def close(self) -> None:
        self.stop()
        self.removeObservers()

    def _clicked(self, on: bool) -> None:
        if on and self._points is not None:
            logic = slicer.modules.markups.logic()
            logic.SetActiveList(self._points)
            logic.StartPlaceMode(False)
        else:
            self._interaction.SwitchToViewTransformMode()

    def _mode_changed(self, caller, event) -> None:
        self._button.setChecked(self._interaction.GetCurrentInteractionMode() == self._interaction.Place)
