"""Folds of a cross-validation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.training.folds import Fold

NAMES = st.lists(st.sampled_from([f"scan{n}" for n in range(40)] + ["acrin_flt_001_a", "acrin_flt_001_b"]), unique=True)


@given(NAMES, st.integers(2, 6))
def test_everybody_is_left_out_once_and_a_person_as_a_whole(names, count):
    parts = [Fold(number, count).leaves_out(names) for number in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    for part in parts:
        if "acrin_flt_001_b" in part and "acrin_flt_001_a" in names:
            assert "acrin_flt_001_a" in part


def test_parsing():
    assert Fold.parse("2/4") == Fold(2, 4)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/1", "1", "a/b", "-1/4", "1/4/2", ""])
def test_what_is_no_fold_is_told(text):
    with pytest.raises(SpineError, match="--fold"):
        Fold.parse(text)
