"""The spine box as a region of interest, and back."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
from scenes import add_transform, add_warp
from turned import rigid

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.mrml.box import box_of, same_box, show_box
from SpineSegmentationLib.spine import SpineBox


@pytest.fixture
def roi(scene):
    return scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")


BOX = SpineBox((-10, 20, -300), (31.25, 60.5, -100))


def test_a_box_comes_back(roi):
    assert box_of(roi) is None
    show_box(roi, BOX)
    assert same_box(box_of(roi), BOX)
    assert tuple(roi.GetCenterWorld()) == pytest.approx((-10.625, -40.25, -200))


def test_showing_the_same_box_changes_nothing(roi):
    show_box(roi, BOX)
    before = roi.GetMTime()
    show_box(roi, BOX)
    assert roi.GetMTime() == before


def test_a_turned_and_transformed_roi_gives_the_box_round_it(scene, roi):
    roi.SetCenterWorld(0, 0, 0)
    roi.SetSizeWorld(20, 40, 60)
    roi.SetAndObserveTransformNodeID(add_transform(scene, rigid([0, 0, 90], (5, 6, 7))).GetID())
    box = box_of(roi)
    assert box.lower == pytest.approx((-25, -16, -23)) and box.upper == pytest.approx((15, 4, 37))
    roi.SetAndObserveTransformNodeID(None)
    roi.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(rigid([45, 0, 0], (0, 0, 0))))
    side = (40 + 60) / 2 / np.sqrt(2)
    assert box_of(roi).upper == pytest.approx((10, side, side), abs=1e-3)
    show_box(roi, BOX)
    assert same_box(box_of(roi), BOX) and np.allclose(roi.GetSize(), BOX.size)


def test_a_warped_roi_is_refused(scene, roi):
    show_box(roi, BOX)
    roi.SetAndObserveTransformNodeID(add_warp(scene).GetID())
    with pytest.raises(SpineError, match="warping"):
        box_of(roi)
