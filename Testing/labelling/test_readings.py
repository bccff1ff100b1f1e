"""The ways to name neighbouring vertebrae."""

import pytest

from SpineSegmentationLib.anatomy import COLUMN, S1, Level
from SpineSegmentationLib.labelling.readings import COLUMNS, readings

RANK = {level.name: level.rank for level in Level} | {"S1": S1}


def named(*names):
    return tuple(RANK[name] for name in names)


def test_one_vertebra_may_be_any_level_or_s1():
    assert {way[0] for way in readings(1).tolist()} == set(range(len(COLUMN) + 1))


@pytest.mark.parametrize(
    ("way", "allowed"),
    [
        (("T11", "T12", "L1"), True),
        (("T12", "T13", "L1"), True),
        (("T11", "L1"), True),
        (("L5", "L6", "S1"), True),
        (("L4", "S1"), True),
        (("L5", "S1"), True),
        (("T13", "L2"), False),
        (("C7", "T2"), False),
        (("L6", "L5"), False),
        (("T10", "L1"), False),
    ],
)
def test_which_neighbours_there_are(way, allowed):
    assert (named(*way) in {tuple(found) for found in readings(len(way)).tolist()}) is allowed


def test_every_way_is_listed_once_and_the_usual_ones_first():
    for count in range(1, 26):
        found = [tuple(way) for way in readings(count).tolist()]
        assert len(set(found)) == len(found)
        mine = [tuple(COLUMNS["usual"][i : i + count]) for i in range(len(COLUMNS["usual"]) - count + 1)]
        assert found[: len(mine)] == mine


def test_no_column_is_longer_than_the_longest_person():
    assert len(readings(26)) == 2  # thirteen thoracic or six lumbar, from C1 to S1
    assert len(readings(27)) == 0
