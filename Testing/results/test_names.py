"""What the output files of several scans are called."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.results.names import output_names


def test_names_are_those_of_the_scans():
    assert output_names([Path("/x/a_ct.nii.gz"), Path("/x/b.nrrd"), Path("/y/c/ct.nii.gz")]) == ["a", "b", "c"]
    assert output_names([]) == []


def test_scans_of_one_name_are_told_apart_by_their_folders():
    assert output_names([Path("/d/x/s.nii.gz"), Path("/d/y/s.nii.gz"), Path("/d/y/t.nrrd")]) == ["x_s", "y_s", "t"]
    # One folder more where that is not enough, also for names that differ by case alone.
    assert output_names([Path("/p/x/s.mha"), Path("/q/x/S.mha")]) == ["p_x_s", "q_x_S"]
    with pytest.raises(SpineError, match="same output files"):
        output_names([Path("/d/s.nii.gz"), Path("/d/s.nrrd")])


@given(st.lists(st.tuples(*[st.sampled_from(["a", "b", "a_b", "A"])] * 3), unique=True, max_size=8))
def test_names_never_collide(parts):
    try:
        names = output_names([Path("/root", *path[:-1], f"{path[-1]}.nrrd") for path in parts])
    except SpineError:
        return
    assert len({name.casefold() for name in names}) == len(parts)
