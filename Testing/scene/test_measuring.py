"""Measures of a segmented scene: shown, renewed, and as a report."""

import numpy as np
import pytest
import standins
from segmented import CT, brush

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml import measures
from SpineSegmentationLib.scene.mrml.record import MEMORY
from SpineSegmentationLib.scene.reporting import export_report
from SpineSegmentationLib.segmentation.mask import VertebraMask


def test_measures_of_a_scene(logic, result, tmp_path):
    assert logic.measures(result) is None
    with pytest.raises(SpineError, match="measure first"):
        export_report(logic, result, tmp_path / "report.html")
    logic.measure(result)
    details = logic.measures(result)
    assert list(details["vertebrae"]) == [vertebra.level for vertebra in logic.vertebrae(result)]
    assert len(measures.show_profiles(result, details)) == 2
    (path,) = export_report(logic, result, tmp_path / "report.html")
    page = path.read_text()
    assert "Not for clinical use" in page and "CT of a spine" in page and "data:image/png" in page
    # A painted segment makes them old.
    brush(result, "L1")
    assert logic.measures(result) is None
    logic.measure(result)
    again = logic.measures(result)["vertebrae"]["L1"]["measures"]
    assert again["volume_mm3"] != details["vertebrae"]["L1"]["measures"]["volume_mm3"]


def test_what_is_measured_is_what_is_seen(logic, result, monkeypatch):
    """Not what would be computed today, as where other weights were chosen or an older version made the scene."""
    voxels = {level: piece.voxels.sum() for level, piece in logic._record(result).segments.pieces()[0].items()}
    whole = standins.Segmenter.__call__
    monkeypatch.setattr(
        standins.Segmenter,
        "__call__",
        lambda *values: VertebraMask((mask := whole(*values)).probability // 200 * 200, mask.corner),
    )
    result.segmentation.SetAttribute(MEMORY, "")
    other, segmentation = SpineLogic(logic.scene, device="cpu"), result.segmentation.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("L2 vertebra"))
    other.measure(result)
    assert {
        v.level: v.volume_mm3 and round(v.volume_mm3 / np.prod(CT.GetSpacing())) for v in other.vertebrae(result)
    } == {level.name: None if level == Level.L2 else count for level, count in voxels.items()}
    # Painted while it is measured.
    other.on_progress = lambda *_: brush(result, "L1")
    other.measure(result)
    assert other.measures(result) is None
    other.close()
