"""The verdict on the names goes where the centroids go: through messages, states, history and edits."""

import json
from dataclasses import replace

import pytest
import standins

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.numbering import Numbering, Reading
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.session import messages
from SpineSegmentationLib.session.session import Session
from SpineSegmentationLib.session.state import State
from SpineSegmentationLib.spine import Centroid, Centroids

T11, T12, L1 = Level.T11, Level.T12, Level.L1
VERDICT = Numbering("doubtful", (Reading((T11, T12), 0.6), Reading((T12, L1), 0.3)), ("last rib at T11",))
NAMED = State(None, Centroids((Centroid(T11, (0, 0, 0), 0.6), Centroid(T12, (0, 5, -30), 0.7)), VERDICT))


def test_a_message_carries_the_verdict():
    sent = messages.to_state(json.loads(json.dumps(messages.of_state(NAMED))))
    assert sent == NAMED and sent.centroids.numbering == VERDICT
    without = State(None, Centroids(NAMED.centroids.points))
    assert messages.to_state(messages.of_state(without)).centroids.numbering is None
    # As scenes hold it that were saved before there was a verdict.
    old = messages.of_state(NAMED)
    del old["numbering"]
    assert messages.to_state(old).centroids.numbering is None


def test_labelling_brings_it_unless_a_person_named_some():
    assert State().labelled(None, NAMED.centroids).centroids.numbering == VERDICT
    locked = State(None, Centroids((Centroid(L1, (0, 5, -60)),)), frozenset({L1}))
    assert locked.labelled(None, NAMED.centroids).centroids.numbering is None


def test_the_second_reading_is_one_edit_and_runs_no_network(monkeypatch):
    standins.install()
    found = standins.Labeller.__call__

    def with_verdict(stage, ct, box):
        points = found(stage, ct, box).points
        levels = tuple(point.level for point in points)
        lower = tuple(Level[{"T11": "T12", "T12": "L1", "L1": "L2"}[level.name]] for level in levels)
        return Centroids(points, Numbering("unknown", (Reading(levels, 0.5), Reading(lower, 0.4))))

    monkeypatch.setattr(standins.Labeller, "__call__", with_verdict)
    session = Session(standins.spine_ct(3), Pipeline("standin", "cpu"))
    session.run()
    numbering = session.state.centroids.numbering
    assert [level.name for level in numbering.readings[0].levels] == ["T11", "T12", "L1"]
    standins.CALLS.clear()
    pieces = dict(session.pieces)
    session.apply(session.state.read_as(numbering.second))
    assert not standins.CALLS and session.state.centroids.numbering is None
    assert [piece.digest for piece in session.pieces.values()] == [piece.digest for piece in pieces.values()]
    assert [level.name for level in session.pieces] == ["T12", "L1", "L2"]
    session.undo()
    assert session.state.centroids.numbering == numbering


def test_a_locked_name_is_not_read_otherwise():
    with pytest.raises(SpineError, match="T11 is locked"):
        replace(NAMED, locked=frozenset({T11})).read_as(VERDICT.second)
