"""What outlives a session: the saved scene, measurements, exports."""

import json

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
import standins
from scenes import add_transform, add_volume, add_warp, save_and_load
from segmented import CT, FOUND, brush, drag, fresh, labels, segment_names

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.coordinates import flipped
from SpineSegmentationLib.scene.mrml.result import Result


def test_a_saved_scene_goes_on(logic, result, tmp_path):
    logic.lock(result, "T11")
    brush(result, "L3")
    drag(result, "L3", (0, 1, 0))
    logic.applyEdits(result)
    logic.measure(result)
    drag(result, "L2", (0, 1, 0))
    before = logic.vertebrae(result)
    loaded = save_and_load(logic.scene, tmp_path)
    other = SpineLogic(loaded, device="cpu")
    (again,) = Result.all(loaded)
    assert again.volume.GetName() == "CT of a spine" and len(again.nodes) == 4
    assert other.edited(again) == ["L3"]
    assert [(v.level, v.locked, v.kept, v.volume_mm3) for v in other.vertebrae(again)] == [
        (v.level, v.locked, v.kept, v.volume_mm3) for v in before
    ]
    assert before[0].volume_mm3 > 0 and before[0].locked and before[4].kept
    # The drag of L2 was not computed before saving.
    assert other.hasEdits(again)
    other.applyEdits(again)
    other.keep(again, "L3", False)
    assert not other.edited(again) and not other.hasEdits(again)
    assert np.array_equal(labels(again), fresh(other, again))
    other.undo(again)
    assert not other.hasEdits(again)
    other.close()


def test_a_damaged_attribute_is_no_harm(logic, result, volume):
    for text in ("", "{", json.dumps({"box": 1}), json.dumps([1])):
        result.segmentation.SetAttribute("SpineSegmentation.state", text)
        other = SpineLogic(logic.scene, device="cpu")
        assert other.hasEdits(result)
        other.process(volume, system="standin")
        assert segment_names(result) == FOUND
        other.close()


def test_measurements_belong_to_the_segments_they_were_made_of(logic, result):
    assert logic.vertebrae(result)[0].volume_mm3 is None
    logic.measure(result)
    voxel = np.prod(CT.GetSpacing())
    for vertebra in logic.vertebrae(result):
        count = np.count_nonzero(labels(result) == int(Level[vertebra.level]))
        assert vertebra.volume_mm3 == pytest.approx(count * voxel, rel=1e-3)
        assert vertebra.complete in (True, False)
    drag(result, "L1")
    logic.applyEdits(result)
    assert logic.vertebrae(result)[0].volume_mm3 is None
    logic.measure(result)
    mine = brush(result, "L1")
    assert logic.vertebrae(result)[2].volume_mm3 is None
    logic.measure(result)
    assert logic.vertebrae(result)[2].volume_mm3 == pytest.approx(mine.voxels.sum() * voxel, rel=1e-3)


def test_export(logic, result, tmp_path):
    mine = brush(result, "T12")
    label_map, centroids = logic.exportVerSe(result, tmp_path)
    assert label_map.name == "CT_of_a_spine_seg-vert_msk.nii.gz"
    image = sitk.ReadImage(str(label_map))
    array = sitk.GetArrayFromImage(image)
    assert np.array_equal(array[mine.place][mine.voxels], np.full(mine.voxels.sum(), int(Level.T12)))
    assert np.array_equal(array[4:], labels(result)[4:]) and np.allclose(image.GetOrigin(), CT.GetOrigin())
    read = read_centroids(centroids, image)
    assert [point.level.name for point in read] == FOUND
    assert read[Level.L1].position == pytest.approx(flipped(logic.vertebrae(result)[2].ras), abs=1e-3)
    surfaces = logic.exportStl(result, tmp_path)
    assert [path.name for path in surfaces] == [f"CT_of_a_spine_{name}.stl" for name in FOUND]
    (table,) = logic.exportCsv(result, tmp_path / "table.csv")
    assert table.read_text().splitlines()[0].startswith("label,volume_mm3")
    with pytest.raises(SpineError, match="cannot be written"):
        logic.exportVerSe(result, tmp_path / "nowhere")
    with pytest.raises(SpineError, match="no segmentation"):
        logic.exportStl(Result.of(add_volume(logic.scene, CT)), tmp_path)


def test_files_have_no_names_of_others(logic, result, tmp_path):
    """Of another volume that is called the same, and of surfaces before names were shifted."""
    other = logic.process(add_volume(logic.scene, standins.spine_ct(3), "CT/of a spine"), system="standin")
    paths = {
        *logic.exportVerSe(result, tmp_path),
        *logic.exportVerSe(other, tmp_path),
        *logic.exportStl(result, tmp_path),
    }
    assert len(paths) == 9 and tmp_path / "CT_of_a_spine_1_seg-vert_msk.nii.gz" in paths
    logic.shift(result, 1)
    logic.exportStl(result, tmp_path)
    assert not (tmp_path / "CT_of_a_spine_T11.stl").exists() and len({*tmp_path.iterdir()}) == 9


def test_files_lie_on_the_volume_as_slicer_saves_it(logic, volume, tmp_path):
    matrix = np.array([[0.8, -0.6, 0, 12], [0.6, 0.8, 0, -30], [0, 0, 1, 55], [0, 0, 0, 1]])
    volume.SetAndObserveTransformNodeID(add_transform(logic.scene, matrix).GetID())
    result = logic.process(volume, system="standin")
    logic.measure(result)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(tmp_path / "ct.nrrd"))
    assert storage.WriteData(volume)
    ct = sitk.ReadImage(str(tmp_path / "ct.nrrd"))
    path, points = logic.exportVerSe(result, tmp_path)
    label_map = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(label_map)
    assert Grid.of(label_map).same_as(Grid.of(ct)) and np.array_equal(array, fresh(logic, result))
    each = zip(logic.exportStl(result, tmp_path), logic.vertebrae(result), read_centroids(points, ct), strict=True)
    for surface, row, point in each:
        assert array[ct.TransformPhysicalPointToIndex(point.position)[::-1]] == point.level
        corners = np.frombuffer(surface.read_bytes()[84:], "3f4,(3,3)f4,u2")["f1"].reshape(-1, 3)
        places = [ct.TransformIndexToPhysicalPoint(at[::-1].tolist()) for at in np.argwhere(array == point.level)]
        assert np.allclose([corners.min(0), corners.max(0)], [np.min(places, 0), np.max(places, 0)], atol=1.3)
        assert row.volume_mm3 == pytest.approx(len(places) * np.prod(ct.GetSpacing()), rel=1e-3)


def test_places_that_files_cannot_have_are_told(logic, volume, tmp_path):
    stretched = add_transform(logic.scene, np.diag([1.2, 1, 1, 1])).GetID()
    volume.SetAndObserveTransformNodeID(stretched)
    result = logic.process(volume, system="standin")
    for node, transform, words in (
        (volume, stretched, "stretches or mirrors"),
        (volume, add_warp(logic.scene).GetID(), "warping"),
        (volume, None, "was moved"),
        (result.segmentation, stretched, "press Update"),
    ):
        node.SetAndObserveTransformNodeID(transform)
        with pytest.raises(SpineError, match=words):
            logic.exportStl(result, tmp_path)
