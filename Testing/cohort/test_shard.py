"""Shards: every scan in exactly one, whatever the list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.cohort.shard import Shard
from SpineSegmentationLib.errors import SpineError

NAMES = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=30)


@given(NAMES, st.integers(1, 9))
def test_every_scan_is_in_exactly_one_shard(names, of):
    for name in names:
        assert sum(Shard(number, of).holds(name) for number in range(1, of + 1)) == 1


def test_the_split_is_the_same_everywhere():
    """The SHA-256 of "sub-001" begins with 1e4dded85485337d, which is 0 modulo 7: the first shard."""
    assert 0x1E4DDED85485337D % 7 == 0
    names = [f"sub-{number:03}" for number in range(1, 8)]
    assert [next(n for n in range(1, 8) if Shard(n, 7).holds(name)) for name in names] == [1, 1, 4, 1, 2, 5, 2]


def test_shards_are_of_like_size():
    counts = [sum(Shard(number, 8).holds(f"scan{n}") for n in range(4000)) for number in range(1, 9)]
    # 500 each; the standard deviation of a fair split is 21.
    assert all(400 < count < 600 for count in counts)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "1/2/3", "-1/2", ""])
def test_what_is_no_shard(text):
    with pytest.raises(SpineError):
        Shard.parse(text)
