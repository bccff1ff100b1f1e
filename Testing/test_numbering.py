"""The verdict on the names, and taking its second-best reading."""

import pytest

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.spine import Centroid, Centroids

T12, L1, L2 = Level.T12, Level.L1, Level.L2
VERDICT = Numbering("doubtful", (Reading((T12, L1), 0.6), Reading((L1, L2), 0.3)), ("last rib at T12",))
POINTS = (Centroid(T12, (0, 0, 0), 0.6), Centroid(L1, (0, 5, -30), 0.6))


def test_the_second_reading_names_the_same_places():
    named = Centroids(POINTS, VERDICT)
    other = named.read_as(named.numbering.second)
    assert other.levels == (L1, L2) and other.positions.tolist() == named.positions.tolist()
    assert [point.confidence for point in other] == [1, 1] and other.numbering is None


def test_an_edit_ends_the_verdict_and_the_verdict_is_no_difference():
    named = Centroids(POINTS, VERDICT)
    assert named.moved(L1, (1, 5, -30)).numbering is None
    assert named == Centroids(POINTS)
    assert VERDICT.certainty is Certainty.DOUBTFUL
    assert all(certainty.sentence for certainty in Certainty)


def test_one_reading_has_no_second():
    assert Numbering("certain", (Reading((T12,), 1.0),)).second is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Reading((T12,), 1.5),
        lambda: Numbering("doubtful", (Reading((T12,), 0.5), Reading((T12, L1), 0.5))),
        lambda: Centroids(POINTS[:1], VERDICT),
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(SpineError):
        wrong()


def test_the_verdict_in_a_sentence():
    assert VERDICT.sentence == "The names are doubtful: check them. T12-L1 (60%), or L1-L2 (30%)"
    with_t13 = Reading((Level.T11, T12, Level.T13, L1), 0.97)
    assert Numbering("certain", (with_t13,)).sentence == "The names are certain. T11-L1 with T13 (97%)"
    without = Reading((Level.T10, Level.T11, L1, L2), 0.5)
    assert Numbering("unknown", (without,)).sentence.endswith(". T10-L2 with no T12 (50%)")
    assert Numbering("certain", (Reading((L1,), 1.0),)).sentence == "The names are certain. L1 (100%)"
