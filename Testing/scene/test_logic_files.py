"""What outlives a session: the saved scene, measurements, exports."""

import json

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
from scenes import add_volume, save_and_load
from segmented import CT, FOUND, brush, drag, fresh, labels, segment_names

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
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
