"""Output files: their names, and that a set of them is whole or not there."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.results.outputs import FILES, existing, output_names, together

NAMES = ("a.txt", "b.txt", "c.txt")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def fill(folder: Path, names=NAMES) -> None:
    for name in names:
        (folder / name).write_text(f"new {name}")


def test_a_set_appears_whole(tmp_path):
    with together(tmp_path, NAMES) as temporary:
        fill(temporary)
        assert not any((tmp_path / name).exists() for name in NAMES)
    assert contents(tmp_path) == {name: f"new {name}" for name in NAMES}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SpineError("x"), KeyboardInterrupt()])
def test_an_error_while_writing_changes_nothing(tmp_path, error):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else SpineError), \
            together(tmp_path, NAMES) as temporary:  # fmt: skip
        fill(temporary)
        raise error
    assert contents(tmp_path) == {"b.txt": "old"}


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_an_error_while_renaming_changes_nothing(tmp_path, monkeypatch, at, error):
    """Two of the files are there already, so five renames are needed; each of them may fail."""
    for name in NAMES[:2]:
        (tmp_path / name).write_text(f"old {name}")
    replace, calls = os.replace, []

    def failing(source, target):
        calls.append(source)
        if len(calls) == at:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    if at > 5:
        with together(tmp_path, NAMES) as temporary:
            fill(temporary)
        assert contents(tmp_path) == {name: f"new {name}" for name in NAMES}
        return
    with pytest.raises((SpineError, KeyboardInterrupt)), together(tmp_path, NAMES) as temporary:
        fill(temporary)
    assert contents(tmp_path) == {name: f"old {name}" for name in NAMES[:2]}


def test_an_error_names_the_folder_and_not_the_temporary_one(tmp_path):
    with pytest.raises(SpineError) as caught, together(tmp_path, NAMES) as temporary:
        raise SpineError(f"{temporary / 'a.txt'} cannot be written: disk full")
    assert str(caught.value) == f"{tmp_path / 'a.txt'} cannot be written: disk full"
    with pytest.raises(SpineError, match="cannot be written"), together(tmp_path / "gone", NAMES):
        pass


def test_what_is_there_already(tmp_path):
    assert not existing(tmp_path, "one", "segmentation")
    files = [tmp_path / file.format("one") for file in FILES["segmentation"]]
    files[0].write_text("")
    with pytest.raises(SpineError, match=r"one_seg-vert_msk\.nii\.gz is there"):
        existing(tmp_path, "one", "segmentation")
    for file in files:
        file.write_text("")
    assert existing(tmp_path, "one", "segmentation") and not existing(tmp_path, "two", "segmentation")


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
