"""Edits and their history, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.session.state import History, State
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox


def state(names: str, locked: str = "") -> State:
    """Vertebrae 20 mm apart, the first of the list at height 0."""
    points = [Centroid(Level[name], (0, 0, -20 * number), 0.5) for number, name in enumerate(names.split())]
    return State(None, Centroids(tuple(points)), frozenset(Level[name] for name in locked.split()))


def names(value: State) -> str:
    """Names from the head down by place, however they are called."""
    return " ".join(point.level.name for point in sorted(value.centroids, key=lambda point: -point.position[2]))


@pytest.mark.parametrize(
    ("before", "by", "after"),
    [
        ("T11 T12 L1 L2", 1, "T12 L1 L2 L3"),
        ("T11 T12 L1 L2", -1, "T10 T11 T12 L1"),
        ("T9 T11", 2, "T11 L1"),
        ("T12 T13 L1", 1, "T13 L1 L2"),
        ("L4 L5", 1, "L5 L6"),
        ("L5 L6", -1, "L4 L5"),
    ],
)
def test_shift(before, by, after):
    assert names(state(before).shifted(by)) == after


def test_what_is_locked_stays_when_all_are_shifted():
    assert names(state("T11 L3 L4", locked="T11").shifted(-1)) == "T11 L2 L3"
    with pytest.raises(SpineError, match="T11 is given twice"):
        state("T11 T12", locked="T11").shifted(-1)


@pytest.mark.parametrize(("before", "by"), [("C1 C2", -1), ("L5 L6", 1), ("T1", 40)])
def test_the_column_has_ends(before, by):
    with pytest.raises(SpineError, match="column ends"):
        state(before).shifted(by)


@given(st.sets(st.sampled_from(COLUMN[2:18]), min_size=1), st.integers(-2, 2))
def test_shifting_back_restores_the_names(levels, by):
    start = State(None, Centroids(tuple(Centroid(level, (0, 0, -level.rank)) for level in levels)))
    assert start.shifted(by).shifted(-by) == start


@pytest.mark.parametrize(
    ("before", "level", "new", "after"),
    [
        ("T10 T11 T12 L1", "T11", "T12", "T10 T12 L1 L2"),
        ("T10 T12 L1 L3", "T12", "T11", "T10 T11 T12 L2"),
        ("T11 T12 L1 L2", "L1", "T13", "T11 T12 T13 L1"),
        ("T12 T13 L1", "T13", "L1", "T12 L1 L2"),
    ],
)
def test_relabel_from_here_counts_on_below(before, level, new, after):
    assert names(state(before).relabelled_from(Level[level], Level[new])) == after


def test_relabel_does_not_touch_what_is_above():
    with pytest.raises(SpineError, match="T11 is given twice"):
        state("T10 T11 T12").relabelled_from(Level.T12, Level.T11)


def test_insert_between_fills_the_gap_evenly():
    after = state("T9 T12").inserted_between(Level.T9, Level.T12)
    assert names(after) == "T9 T10 T11 T12"
    assert after.centroids[Level.T10].position == pytest.approx((0, 0, -20 / 3), abs=1e-3)
    assert after.centroids[Level.T11].position == pytest.approx((0, 0, -40 / 3), abs=1e-3)
    assert after.centroids[Level.T11].confidence == 1


def test_insert_between_neighbours_by_name_moves_the_lower_ones_down():
    after = state("L1 L2 L3").inserted_between(Level.L1, Level.L2)
    assert names(after) == "L1 L2 L3 L4"
    assert after.centroids[Level.L2].position == (0, 0, -10)


@pytest.mark.parametrize(("upper", "lower"), [("L1", "L3"), ("L2", "L1"), ("L1", "L5")])
def test_insert_needs_two_neighbours(upper, lower):
    with pytest.raises(SpineError):
        state("L1 L2 L3").inserted_between(Level[upper], Level[lower])


@pytest.mark.parametrize(
    "edit",
    [
        lambda s: s.moved(Level.L1, (0, 0, 0)),
        lambda s: s.renamed(Level.L1, Level.L5),
        lambda s: s.deleted(Level.L1),
        lambda s: s.relabelled_from(Level.L1, Level.L2),
    ],
)
def test_what_is_locked_or_missing_is_refused(edit):
    with pytest.raises(SpineError, match="L1 is locked"):
        edit(state("L1 L2", locked="L1"))
    with pytest.raises(SpineError, match="L1 is not among"):
        edit(state("L2 L3"))
    edit(state("L1").with_lock(Level.L1).with_lock(Level.L1, False))


def test_rename_to_a_name_in_use_is_refused():
    with pytest.raises(SpineError, match="L2 is given twice"):
        state("L1 L2").renamed(Level.L1, Level.L2)


@pytest.mark.parametrize(
    ("names", "height", "free"),
    [
        ("T11 L1", -8, "T12"),
        ("T9 T12", -7, "T10"),
        ("T9 T12", -13, "T11"),
        ("T9 T12", -1, "T10"),
        ("L1 L2", -10, None),
        ("T12 L1", -50, "L2"),
        ("L4 L5", -50, "L6"),
        ("L5 L6", -50, None),
        ("T12 L1", 30, "T11"),
        ("L1 L2", 30, "T12"),
        ("C1", 30, None),
        ("", 0, None),
    ],
)
def test_neighbours_tell_the_name_of_a_new_vertebra(names, height, free):
    assert state(names).free_level((5, 5, height)) == (Level[free] if free else None)


def test_a_deleted_vertebra_is_not_locked():
    assert state("L1 L2", locked="L1 T5").locked == {Level.L1}


def test_locked_vertebrae_stay_when_labelling_anew():
    box = SpineBox((0, 0, 0), (1, 1, 1))
    found = state("L2 L3 L4").centroids
    after = state("L1 L2 L3", locked="L1").labelled(box, found)
    # What was found as L2 lies where the locked L1 is; so what was found as L3 is L2.
    assert after.box == box
    assert names(after) == "L1 L2 L3"
    assert after.locked == {Level.L1}


@pytest.mark.parametrize(
    ("before", "locked", "found", "after"),
    [
        ("T12 L1 L2 L3 L4", "L1", "T11 T12 L1 L2 L3", "T12 L1 L2 L3 L4"),
        ("T12 T13 L1 L2", "T13", "T12 L1 L2 L3", "T12 T13 L1 L2"),
        ("T10 T11 L1 L2 L3", "T11 L1", "T10 T11 T12 L1 L2", "T10 T11 L1 L2 L3"),
        ("L2 L3 L4 L5 L6", "L6", "L1 L2 L3 L4 L5", "L2 L3 L4 L5 L6"),
        ("T1 T2 T3", "T2", "T1 T2 T3", "T1 T2 T3"),
    ],
)
def test_found_names_follow_the_locked_ones(before, locked, found, after):
    assert names(state(before, locked=locked).labelled(None, state(found).centroids)) == after


def test_history_goes_back_and_forth():
    steps = [state("L1").moved(Level.L1, (0, 0, height)) for height in range(60)]
    history = History(steps[0])
    assert not history.can_undo and history.undo() == steps[0]
    for step in steps[1:]:
        history.push(step)
        history.push(step)
    assert [history.undo() for _ in range(59)] == steps[58::-1]
    assert history.redo() == steps[1] and history.can_redo
    history.push(steps[7])
    assert not history.can_redo and history.redo() == steps[7] and history.undo() == steps[1]


def test_history_forgets_the_oldest_steps():
    history = History(limit=50)
    for height in range(100):
        history.push(State(SpineBox((0, 0, 0), (1, 1, 1 + height))))
    for _ in range(50):
        assert history.can_undo
        history.undo()
    assert not history.can_undo
