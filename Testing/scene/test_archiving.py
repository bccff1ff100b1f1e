"""A result of a scene as DICOM SEG, read back."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import slicer
import standins
from dicom_series import write_series
from scenes import add_transform, add_volume, new_scene

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.exchange.adopt import adopt
from SpineSegmentationLib.foreign.masks import read_mask
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.scene.archiving import INSTANCES, export_seg, images_of, lies_on
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.segment import LABEL_MAP, oriented
from SpineSegmentationLib.scene.starting import start_from
from SpineSegmentationLib.segmentation.mask import Piece

pytest.importorskip("highdicom", reason="highdicom is not installed")

OBLIQUE = (0.96, 0.28, 0, -0.28 * 0.8, 0.96 * 0.8, -0.6)


@pytest.fixture
def series(tmp_path):
    """The scan of a series whose files are in no order, and the files by their UIDs."""
    write_series(tmp_path / "ct", orientation=OBLIQUE)
    files = {pydicom.dcmread(file).SOPInstanceUID: str(file) for file in (tmp_path / "ct").iterdir()}
    return read_ct(tmp_path / "ct"), files


@pytest.fixture
def made(series):
    """A logic and a result with the three blocks of the series."""

    scan, _ = series
    standins.install()
    logic = SpineLogic(new_scene())
    volume = add_volume(logic.scene, scan.image, "series")
    array = sitk.GetArrayFromImage(scan.image)
    node = logic.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs")
    for level in (Level.T12, Level.L1):
        segment = slicer.vtkSegment()
        segment.SetName(level.name)
        voxels = Piece.of(array == 300 + level, (0, 0, 0))
        segment.AddRepresentation(LABEL_MAP, oriented(voxels, Grid.of(scan.image)))
        node.GetSegmentation().AddSegment(segment, level.name)
    result, adopted = start_from(logic, volume, node)
    yield logic, result, adopted
    logic.close()


def test_a_seg_of_a_scene_reads_back_voxel_for_voxel(made, series, tmp_path):
    logic, result, adopted = made
    scan, files = series
    result.volume.SetAttribute(INSTANCES, " ".join(files))
    (path,) = export_seg(logic, result, tmp_path / "series_seg.dcm", images_of(result, files.get))
    back = adopt(read_mask(path), scan.image)
    assert {level: piece.digest for level, piece in back.pieces.items()} == {
        level: piece.digest for level, piece in adopted.pieces.items()
    }
    assert sum(np.count_nonzero(piece.voxels) for piece in back.pieces.values()) > 1000
    data = pydicom.dcmread(path)
    assert {item.SegmentAlgorithmType for item in data.SegmentSequence} == {"SEMIAUTOMATIC"}
    referred = {one.ReferencedSOPInstanceUID for one in data.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred <= set(files)


@pytest.mark.parametrize(("by", "lies"), [((2, 3, 1), True), ((0, 0, -4), False), ((-9, 0, 0), False)])
def test_a_part_of_a_series_lies_on_it(series, by, lies):
    scan, _ = series
    whole = [scan.image[:, :, z : z + 1] for z in range(scan.image.GetSize()[2])]
    part = scan.image[4:-4, 4:-4, 2:-2]
    part.SetOrigin(scan.image.TransformIndexToPhysicalPoint(by))
    assert lies_on(Grid.of(part), whole) == lies
    assert lies_on(Grid.of(scan.image), whole)


def test_a_volume_that_was_moved_for_good_is_not_written_on_its_images(made, series, tmp_path):
    logic, result, _ = made
    _, files = series
    result.volume.SetAttribute(INSTANCES, " ".join(files))
    moved = np.eye(4)
    moved[:3, 3] = 12, -30, 55
    transform = add_transform(result.scene, moved)
    for node in (result.volume, *result.nodes):
        node.SetAndObserveTransformNodeID(transform.GetID())
        node.HardenTransform()
    logic.applyEdits(result)
    with pytest.raises(SpineError, match="series does not lie on its images"):
        export_seg(logic, result, tmp_path / "series_seg.dcm", images_of(result, files.get))


def test_what_is_missing_is_said_in_a_line(made, series):
    _, result, _ = made
    _, files = series
    with pytest.raises(SpineError, match=r"series was not loaded from DICOM.*load the series with the module DICOM"):
        images_of(result, files.get)
    result.volume.SetAttribute(INSTANCES, " ".join((*files, "1.2.3")))
    with pytest.raises(SpineError, match=rf"1 of the {len(files) + 1} images .* import their folder"):
        images_of(result, lambda uid: files.get(uid, ""))
    result.volume.SetAndObserveTransformNodeID(add_transform(result.scene, np.eye(4)).GetID())
    with pytest.raises(SpineError, match="lies under a transform"):
        images_of(result, files.get)
