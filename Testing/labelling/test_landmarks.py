"""Landmarks in words."""

import numpy as np

from SpineSegmentationLib.anatomy import COLUMN, S1, Level
from SpineSegmentationLib.labelling.evidence import Evidence
from SpineSegmentationLib.labelling.landmarks import landmarks
from SpineSegmentationLib.networks.evidence import PLACES


def row(right=-3.0, left=-3.0, sacrum=-3.0, level=Level.T6):
    levels = np.full(PLACES, -9.0)
    levels[level.rank] = -0.1
    return Evidence(levels, np.float64(3), np.array([right, left]), np.float64(sacrum))


def told(**rows):
    seen = {Level[name]: found for name, found in rows.items()}
    return landmarks([level for level in COLUMN if level in seen], seen).phrases


def test_the_last_rib_and_the_sacrum():
    assert told(T11=row(3, 3), T12=row(3, 3), L1=row()) == ("last rib at T12 on both sides",)
    assert told(T12=row(3, -3), L1=row()) == ("last rib at T12 on the right",)
    assert told(L4=row(), L5=row(sacrum=3)) == ("sacrum below L5",)
    assert told(T12=row(3, 3), T13=row(3, 3), L1=row()) == ("last rib at T13 on both sides",)


def test_s1_is_told_by_its_shape():
    below = row()
    below.levels[S1] = -0.2
    levels = [Level.L4, Level.L5]
    seen = {level: row() for level in levels}
    assert landmarks(levels, seen, below).seen == ("sacrum below L5",) and landmarks(levels, seen, below).anchored
    assert not landmarks(levels, seen, row()).anchored


def test_the_first_rib_and_the_dens():
    assert told(C1=row(level=Level.C1), C2=row(level=Level.C2)) == ("C1 and C2 told by their shape",)
    assert told(C7=row(), T1=row(-3, 3)) == ("first rib at T1 on the left",)


def test_the_middle_of_the_chest_has_none():
    (sentence,) = told(T5=row(3, 3), T6=row(3, 3))
    assert sentence.startswith("no landmark")


def test_contradictions_are_told():
    assert "but no rib seen at T12" in told(T11=row(3, 3), T12=row(), L1=row())
    assert "but ribs seen at L1" in told(T12=row(3, 3), L1=row(3, 3), L2=row())


def test_what_nobody_looked_at_is_not_spoken_of():
    assert landmarks([Level.T12, Level.L1], {}).phrases[0].startswith("no landmark")
