"""What the views of the application show of a result."""

import numpy as np
import slicer

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.mrml import display
from SpineSegmentationLib.scene.mrml.names import Names
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.straight import LAYOUT_ID, StraightSpine, add_layout


class Views:
    """Where the views look, which result they draw, and the layout with the straightened column.

    Attributes:
        straight: the straightened column.
        names, straightNames: of the patient's points, and of those of the straightened column.
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._before = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        self.straight = StraightSpine(scene)
        self.names, self.straightNames = Names(scene), Names(scene)

    def draw(self, result: Result | None) -> None:
        """Draws one result and hides the others."""
        display.show_only(self._scene, result)

    def after_apply(self, result: Result, vertebrae, surfaces: bool) -> None:
        """Shows that it worked: bone, the whole column, and its surfaces."""
        display.bone_window(result.volume)
        display.fit_views(self._scene, np.array([vertebra.ras for vertebra in vertebrae]).reshape(-1, 3))
        if result.segmentation is not None and surfaces:
            self.show_surfaces(result, True)

    def show_surfaces(self, result: Result, on: bool) -> None:
        """Surfaces in 3D, in the middle of the view."""
        with slicer.util.WaitCursor():
            display.show_surfaces(result.segmentation, on)
        if on:
            self.centre_3d()

    def centre_3d(self) -> None:
        """Showing a surface does not move the camera."""
        manager = slicer.app.layoutManager()
        for number in range(manager.threeDViewCount if manager else 0):
            view = manager.threeDWidget(number).threeDView()
            view.resetFocalPoint()
            view.resetCamera()

    def choose(self, result: Result, vertebra, move: bool) -> None:
        """Shows a vertebra's name stronger, and brings it to the middle of every view."""
        display.choose_name(result.centroids, vertebra.id)
        self.straight.choose(vertebra.level)
        self.show_names(result)
        if move:
            display.jump(self._scene, vertebra.ras)
            if self.straight.result == result:
                display.jump(self._scene, self.straight.to_straight(vertebra.ras), display.STRAIGHT_GROUP)

    def show_names(self, result: Result | None) -> None:
        """Shows the names of a result's points, and of those of the straightened column, wherever they move."""
        for names, points in (
            (self.names, result.centroids if result is not None else None),
            (self.straightNames, self.straight.points),
        ):
            names.show(points, display.chosen_name(points) if points is not None else None)

    def close(self) -> None:
        """Takes away what is not to be saved; the views show the scene alone."""
        self.straighten(None, False)
        self.names.hide()
        self.straightNames.hide()

    @property
    def straightened(self) -> bool:
        """Whether the straightened column is shown."""
        return self.straight.result is not None

    def straighten(self, result: Result, on: bool) -> None:
        """Changes to the layout with the straightened column, or back.

        Raises:
            SpineError: fewer than two vertebrae.
        """
        manager = slicer.app.layoutManager()
        if on:
            if manager is not None and not self.straightened:
                add_layout(manager.layoutLogic().GetLayoutNode())
                self._before = manager.layout
                manager.setLayout(LAYOUT_ID)
            with slicer.util.WaitCursor():
                self.straight.show(result)
            self.straight.fit()
        elif self.straightened:
            self.straight.hide()
            if manager is not None:
                manager.setLayout(self._before)

    def update(self, result: Result | None) -> None:
        """Names, and the straightened column, as the result is now; the latter is gone when that cannot be."""
        if self.straightened:
            try:
                if result is None or result.centroids is None:
                    self.straighten(result, False)
                else:
                    self.straight.show(result)
            except SpineError:
                self.straighten(result, False)
        self.show_names(result)

    def show_chart(self, chart) -> None:
        """Shows a chart beside the views."""
        slicer.modules.plots.logic().ShowChartInLayout(chart)

    def show_table(self, table) -> None:
        """Shows a table under the four views. The layout first: without it there is no view to show it in."""
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
        application = slicer.app.applicationLogic()
        application.GetSelectionNode().SetActiveTableID(table.GetID())
        application.PropagateTableSelection()
