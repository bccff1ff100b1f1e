"""A result of a cohort, opened in a real scene: the nodes are those that the module makes itself."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
from scenes import new_scene
from small_cohort import cohort_in

from SpineSegmentationLib.cohort.review.slicer import script, write_script
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.volume import ct_of
from SpineSegmentationLib.scene.opened import open_result


@pytest.fixture
def out(tmp_path):
    return cohort_in(tmp_path)


def test_an_opened_result_is_as_computed_and_can_be_corrected(out, tmp_path):
    scene = new_scene()
    result = open_result(scene, out, "carl")
    logic = SpineLogic(scene, device="cpu")
    written = read_centroids(out / "carl_seg-subreg_ctd.json", ct_of(result.volume))
    shown = logic.vertebrae(result)
    assert [vertebra.level for vertebra in shown] == ["T11", "T12", "L1"]
    assert [round(vertebra.confidence, 6) for vertebra in shown] == [0.9, 0.8, 0.7]
    assert result.volume.GetName() == "carl" and result.box is not None and result.table.GetNumberOfRows() == 3
    assert not logic.hasEdits(result)
    # What is exported is what was opened, voxel for voxel.
    paths = logic.exportVerSe(result, tmp_path)
    before, after = (sitk.ReadImage(str(path)) for path in (out / "carl_seg-vert_msk.nii.gz", paths[0]))
    assert np.array_equal(sitk.GetArrayFromImage(before), sitk.GetArrayFromImage(after))
    assert np.allclose(read_centroids(paths[1], after).positions, written.positions, atol=1e-4)
    logic.close()


def test_what_does_not_fit_is_refused(out, tmp_path):
    scene = new_scene()
    with pytest.raises(SpineError, match="cannot be read"):
        open_result(scene, out, "nobody")
    (tmp_path / "scans" / "carl.nii.gz").write_bytes(b"other")
    with pytest.raises(SpineError, match="not the scan any more"):
        open_result(scene, out, "carl")
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_the_script_opens_exactly_this_scan(out, monkeypatch):
    import slicer

    opened = []
    monkeypatch.setattr(slicer, "mrmlScene", "the scene", raising=False)
    monkeypatch.setattr(slicer.util, "setSliceViewerLayers", lambda **layers: None, raising=False)
    monkeypatch.setattr(slicer, "modules", object(), raising=False)

    class Opened:
        volume = None

    monkeypatch.setattr(
        "SpineSegmentationLib.scene.opened.open_result", lambda *arguments: opened.append(arguments) or Opened
    )
    path = write_script(out, "carl")
    exec(compile(path.read_text(), str(path), "exec"), {})
    exec(script(out, "@SCAN@").replace("@SCAN@", '"bert"'), {})
    assert opened == [("the scene", str(out.resolve()), name) for name in ("carl", "bert")]
