"""The sacrum in a scene: a segment that follows what a person does, and no vertebra."""

import pytest

pytest.importorskip("slicer")

import numpy as np
import SimpleITK as sitk
import standins
import vtk
from segmented import brush, segment_names

from SpineSegmentationLib import systems
from SpineSegmentationLib.anatomy import SACRUM
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.segment import segments_of

FOUND = ["T11", "T12", "L1", "L2"]


@pytest.fixture(autouse=True)
def able(monkeypatch):
    monkeypatch.setattr(systems, "SACRAL", {"labeller": "sacral", "segmenter": "standin"})


@pytest.fixture
def result(logic, volume):
    result = logic.process(volume, system="sacral", sacrum=True)
    standins.CALLS.clear()
    return result


def digest(result):
    return next(shown.digest for shown in segments_of(result.segmentation) if shown.level is SACRUM)


def test_a_segment_of_its_own_and_no_vertebra(logic, result, tmp_path):
    assert segment_names(result) == [*FOUND, "Sacrum"]
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == FOUND
    segment = result.segmentation.GetSegmentation().GetSegment(segments_of(result.segmentation)[-1].id)
    assert segment.GetColor() == pytest.approx(SACRUM.color)
    entry = vtk.reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), entry) and "SCT^54735007^Sacrum" in str(entry)
    logic.measure(result)
    assert result.table.GetNumberOfRows() == len(FOUND)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(logic.exportVerSe(result, tmp_path)[0])))
    assert int(SACRUM) in np.unique(written)


def test_it_follows_the_edits(logic, result):
    before = digest(result)
    logic.shift(result, 1)
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "Sacrum"]
    assert digest(result) == before and standins.CALLS == {} and not logic.hasEdits(result)
    logic.showSacrum(result, False)
    assert segment_names(result) == ["T12", "L1", "L2", "L3"] and standins.CALLS == {}
    logic.undo(result)
    assert segment_names(result)[-1] == "Sacrum" and digest(result) == before and standins.CALLS == {}


def test_off_unless_asked_for(logic, volume):
    result = logic.process(volume, system="sacral")
    assert segment_names(result) == FOUND
    logic.showSacrum(result)
    assert segment_names(result) == [*FOUND, "Sacrum"]


def test_a_painted_one_stays_and_is_measured(logic, result):
    painted = brush(result, "SACRUM")
    logic.shift(result, 1)
    assert logic.edited(result) == ["SACRUM"]
    pieces, _ = logic._record(result).segments.pieces()
    assert pieces[SACRUM].digest == painted.digest
    logic.measure(result)
    assert result.table.GetNumberOfRows() == len(FOUND)


def test_another_session_on_the_same_scene_goes_on(scene, logic, result):
    before = digest(result)
    other = SpineLogic(scene, device="cpu")
    other.shift(result, 1)
    assert segment_names(result)[-1] == "Sacrum" and digest(result) == before and standins.CALLS == {}
    other.close()
