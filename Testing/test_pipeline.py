"""The systems, and their stages by name."""

import pytest
import SimpleITK as sitk

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.pipeline import Pipeline


def test_stages_are_loaded_once_and_only_when_needed(monkeypatch):
    made = []

    class Stage:
        def __init__(self, device):
            made.append(device)

    monkeypatch.setitem(pipeline.LABELLERS, "test", Stage)
    road = Pipeline("anduin", "cpu", labeller="test")
    assert made == []
    assert road.stage("labelling") is road.stage("labelling")
    assert len(made) == 1


@pytest.mark.parametrize("system", pipeline.SYSTEMS)
def test_every_system_is_made_of_known_stages(system):
    assert Pipeline(system, "cpu").stages.stages == pipeline.SYSTEMS[system].stages


@pytest.mark.parametrize("kind", ["system", "detector", "labeller", "segmenter"])
def test_an_unknown_name_is_told_with_the_known_ones(kind):
    with pytest.raises(SpineError, match=rf"^{kind} 'none' is unknown; known are \w+"):
        Pipeline(**{kind: "none"})


@pytest.mark.parametrize("detector", sorted(pipeline.DETECTORS))
def test_a_scan_smaller_than_a_vertebra_shows_no_spine(detector):
    tiny = sitk.Image([3, 3, 3], sitk.sitkInt16) + 40
    try:
        road = Pipeline("combined", "cpu", detector=detector)
        road.stage("detection")
    except SpineError as error:
        pytest.skip(str(error))
    assert road.run(tiny, until="detection").box is None
