"""Measures of a segmented scene: shown, renewed, and as a report."""

import pytest
from segmented import brush

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.mrml import measures
from SpineSegmentationLib.scene.reporting import export_report


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
