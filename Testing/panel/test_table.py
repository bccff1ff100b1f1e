"""What a person does in the table of vertebrae."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import COLUMN
from SpineSegmentationLib.errors import SpineError


def choose(steps, row: int, level: str) -> None:
    """Picks a name in a row's list."""
    combo = steps.panel.table.choosers[row].combo
    combo.setCurrentIndex([level.name for level in COLUMN].index(level))
    combo.activated.emit(combo.currentIndex)


def check(steps, row: int, column: int, on: bool) -> None:
    """Ticks a box in the table."""
    import qt

    steps.ui.vertebraTable.item(row, column).setCheckState(qt.Qt.Checked if on else qt.Qt.Unchecked)


def checked(steps, row: int, column: int) -> bool:
    import qt

    return steps.ui.vertebraTable.item(row, column).checkState() == qt.Qt.Checked


def choose_directly(steps, row: int, new: str) -> None:
    """As the table does; an exception in a slot would only be printed."""
    steps.panel.onRename(steps.panel.table.vertebrae[row], new)


def test_a_name_is_chosen_in_the_table(steps):
    names = steps.names(steps.result)
    choose(steps, 0, "T9")
    steps.settle(steps.result)
    assert steps.names(steps.result) == ["T9", *names[1:]] == steps.segment_names(steps.result)


def test_a_name_that_is_taken_is_refused(steps):
    names = steps.names(steps.result)
    with pytest.raises(SpineError, match="given twice"):
        choose_directly(steps, 0, names[1])
    assert steps.panel.table.choosers[0].combo.currentText == names[0]
    assert steps.names(steps.result) == names


def test_locked_vertebrae_keep_their_names(steps):
    names = steps.names(steps.result)
    check(steps, 2, 5, True)
    steps.settle(steps.result)
    assert [v.locked for v in steps.logic.vertebrae(steps.result)] == [number == 2 for number in range(len(names))]
    steps.ui.vertebraTable.selectRow(2)
    with pytest.raises(SpineError, match="locked"):
        steps.panel.onDelete()
    check(steps, 2, 5, False)
    steps.settle(steps.result)
    assert not any(v.locked for v in steps.logic.vertebrae(steps.result))


def test_a_painted_segment_is_kept_until_its_box_is_unchecked(steps):
    import slicer

    result, name = steps.result, steps.names(steps.result)[1]
    computed, mask = steps.mask(result, name), np.zeros_like(steps.mask(result, name))
    mask[5:8, 5:8, 5:8] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        mask, result.segmentation, steps.segment_id(result, name), result.volume
    )
    steps.drag(result.centroids, steps.index(result, name), steps.place(result, name) + (1.0, 0.0, 0.0))
    steps.settle(result)
    np.testing.assert_array_equal(steps.mask(result, name), mask)
    assert checked(steps, 1, 6)
    steps.ui.undoButton.click()
    steps.settle(result)
    check(steps, 1, 6, False)
    steps.settle(result)
    np.testing.assert_array_equal(steps.mask(result, name), computed)
    assert not checked(steps, 1, 6)


def test_a_click_jumps_to_the_vertebra_and_so_does_the_least_certain(steps):
    import slicer

    def looked_at() -> list:
        view = slicer.mrmlScene.GetSingletonNode("Yellow", "vtkMRMLSliceNode")
        return [view.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]

    vertebrae = steps.logic.vertebrae(steps.result)
    least = min(vertebrae, key=lambda vertebra: vertebra.confidence)
    # After Apply the most doubtful one is chosen.
    assert steps.panel.table.selected == least.level and looked_at() == pytest.approx(least.ras)
    steps.ui.vertebraTable.cellClicked.emit(2, 1)
    assert looked_at() == pytest.approx(vertebrae[2].ras)
    steps.ui.vertebraTable.cellClicked.emit(3, 5)  # the lock's box jumps nowhere
    assert looked_at() == pytest.approx(vertebrae[2].ras)
    steps.ui.reviewButton.click()
    assert looked_at() == pytest.approx(least.ras) and steps.panel.table.selected == least.level


def test_doubtful_names_are_flagged(steps):
    vertebrae = steps.logic.vertebrae(steps.result)
    flags = ["⚠" in steps.ui.vertebraTable.item(row, 2).text() for row in range(len(vertebrae))]
    assert flags == [vertebra.confidence < 0.5 for vertebra in vertebrae]
    assert any(flags) and not all(flags)


def test_a_missing_vertebra_is_inserted_and_the_rest_relabelled(steps):
    names = steps.names(steps.result)
    steps.ui.vertebraTable.selectRow(2)
    steps.ui.deleteButton.click()
    steps.settle(steps.result)
    steps.ui.vertebraTable.selectRow(1)
    steps.ui.insertButton.click()
    steps.settle(steps.result)
    assert steps.names(steps.result) == names
    steps.ui.vertebraTable.cellClicked.emit(3, 1)
    steps.ui.vertebraTable.selectRow(3)
    assert steps.ui.relabelComboBox.currentText == names[3]
    steps.ui.relabelComboBox.setCurrentIndex(steps.ui.relabelComboBox.currentIndex + 1)
    steps.ui.relabelButton.click()
    steps.settle(steps.result)
    assert steps.names(steps.result)[:3] == names[:3]
    assert steps.names(steps.result)[3] == names[4]


def test_buttons_that_need_a_row_say_so(steps):
    steps.ui.vertebraTable.clearSelection()
    steps.ui.vertebraTable.setCurrentCell(-1, -1)
    for button, words in (("deleteButton", "Select a vertebra"), ("insertButton", "Select the vertebra above")):
        getattr(steps.ui, button).click()
        assert words in steps.panel.status.text


def test_a_placed_point_gets_the_name_that_is_missing(steps):
    import vtk

    result, names = steps.result, steps.names(steps.result)
    place = steps.place(result, names[2])
    steps.ui.vertebraTable.selectRow(2)
    steps.ui.deleteButton.click()
    steps.settle(result)
    result.centroids.AddControlPointWorld(vtk.vtkVector3d(*place))
    steps.wait(lambda: steps.names(result) == names, "the name")
    steps.settle(result)
    assert steps.segment_names(result) == names


def test_two_points_of_one_name_are_refused_until_one_is_renamed(steps):
    result, names = steps.result, steps.names(steps.result)
    result.centroids.SetNthControlPointLabel(steps.index(result, names[0]), names[1])
    steps.wait(lambda: f"Two points are called {names[1]}" in steps.panel.status.text, "the message")
    assert steps.segment_names(result) == names
    result.centroids.SetNthControlPointLabel(0, "T10")
    steps.wait(lambda: "T10" in steps.segment_names(result), "the new name")


def test_a_correction_replaces_a_run(steps):
    names = steps.names(steps.result)
    steps.ui.applyButton.click()
    choose(steps, 0, "T9")
    steps.settle(steps.result)
    assert steps.names(steps.result) == ["T9", *names[1:]] == steps.segment_names(steps.result)


def test_the_mask_says_how_good_it_is_beside_the_name(steps):
    first, second = steps.logic.vertebrae(steps.result)[:2]
    table = steps.panel.table
    table.show([replace(first, mask_confidence=0.93), replace(second, mask_confidence=0.6)], [])
    texts = [steps.ui.vertebraTable.item(row, 2).text() for row in range(2)]
    assert texts[0].endswith("· mask 93 %") and texts[1].endswith("· mask 60 % ⚠")
    table.show([first], [])
    assert "mask" not in steps.ui.vertebraTable.item(0, 2).text()
