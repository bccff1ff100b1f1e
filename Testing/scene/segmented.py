"""A synthetic spine segmented by stand-ins: what the nodes show, and what a person does to them."""

import numpy as np
import SimpleITK as sitk
import slicer
import standins

from SpineSegmentationLib.anatomy import BONES
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segment import oriented, piece_of, segments_of
from SpineSegmentationLib.scene.mrml.segmentation import grid_of
from SpineSegmentationLib.scene.mrml.volume import ct_of
from SpineSegmentationLib.segmentation.mask import Piece, paint

standins.install()


PIPELINE = Pipeline("standin", "cpu")


CT = standins.spine_ct()


FOUND = ["T11", "T12", "L1", "L2", "L3"]


def labels(result: Result, image: sitk.Image = CT) -> np.ndarray:
    """The label map that the segments show."""
    grid = grid_of(result.segmentation)
    shown = segments_of(result.segmentation)
    return sitk.GetArrayFromImage(
        paint({segment.level: piece_of(result.segmentation, segment.id, grid) for segment in shown}, image)
    )


def fresh(logic: SpineLogic, result: Result) -> np.ndarray:
    """The label map of a run from the box and the points that the nodes show."""
    state, ct = logic._record(result).state(), ct_of(result.volume)
    return sitk.GetArrayFromImage(PIPELINE.run(ct, box=state.box, centroids=state.centroids).label_map)


def segment_names(result: Result) -> list[str]:
    segmentation = result.segmentation.GetSegmentation()
    return [segmentation.GetSegment(name).GetName().removesuffix(" vertebra") for name in segmentation.GetSegmentIDs()]


def index(result: Result, name: str) -> int:
    return result.centroids.GetControlPointIndexByLabel(name)


def drag(result: Result, name: str, by=(1.5, 0.0, 1.0)) -> None:
    """As the mouse does."""
    place = np.array(result.centroids.GetNthControlPointPositionWorld(index(result, name)))
    result.centroids.SetNthControlPointPositionWorld(index(result, name), place + by)


def brush(result: Result, name: str, value=1) -> Piece:
    """Paints (or erases) a corner of the scan, as Segment Editor does; returns what the segment is then."""
    logic, node = slicer.vtkSlicerSegmentationsModuleLogic, result.segmentation
    grid, segment = grid_of(node), node.GetSegmentation().GetSegmentIdBySegmentName(BONES[name].title)
    image = oriented(Piece.of(np.ones((3, 3, 3)), (2, 2, 2)), grid)
    assert logic.SetBinaryLabelmapToSegment(image, node, segment, logic.MODE_MERGE_MAX)
    return piece_of(node, segment, grid)
