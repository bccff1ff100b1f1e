"""A set of files is whole or not there, whenever and however its writing ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.results.whole import settle, together

NAMES = ("a.txt", "b.txt", "c.txt")


PATH = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def fill(folder: Path, names=NAMES) -> None:
    for name in names:
        (folder / name).write_text(f"new {name}")


def test_a_set_appears_whole(tmp_path):
    with together(tmp_path, "scan", NAMES) as temporary:
        fill(temporary)
        assert not any((tmp_path / name).exists() for name in NAMES)
    assert contents(tmp_path) == {name: f"new {name}" for name in NAMES}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SpineError("x"), KeyboardInterrupt()])
def test_an_error_while_writing_changes_nothing(tmp_path, error):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else SpineError), \
            together(tmp_path, "scan", NAMES) as temporary:  # fmt: skip
        fill(temporary)
        raise error
    assert contents(tmp_path) == {"b.txt": "old"}


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_an_error_while_renaming_changes_nothing(tmp_path, monkeypatch, at, error):
    """Two of the files are there already, so six renames are needed; each of them may fail."""
    for name in NAMES[:2]:
        (tmp_path / name).write_text(f"old {name}")
    replace, calls = os.replace, []

    def failing(source, target):
        calls.append(source)
        if len(calls) == at:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    if at > 6:
        with together(tmp_path, "scan", NAMES) as temporary:
            fill(temporary)
        assert contents(tmp_path) == {name: f"new {name}" for name in NAMES}
        return
    with pytest.raises((SpineError, KeyboardInterrupt)), together(tmp_path, "scan", NAMES) as temporary:
        fill(temporary)
    assert contents(tmp_path) == {name: f"old {name}" for name in NAMES[:2]}


def test_an_error_names_the_folder_and_not_the_temporary_one(tmp_path):
    with pytest.raises(SpineError) as caught, together(tmp_path, "scan", NAMES) as temporary:
        raise SpineError(f"{temporary / 'a.txt'} cannot be written: disk full")
    assert str(caught.value) == f"{tmp_path / 'a.txt'} cannot be written: disk full"
    with pytest.raises(SpineError, match="cannot be written"), together(tmp_path / "gone", "scan", NAMES):
        pass


# What a process that is killed does: it stops at its n-th renaming, and nothing after it runs.
DYING = """
import os, sys
from pathlib import Path
from SpineSegmentationLib.results.whole import together
replace, calls = os.replace, []
def dying(source, target):
    calls.append(source)
    if len(calls) == int(sys.argv[2]):
        os._exit(1)
    replace(source, target)
os.replace = dying
with together(Path(sys.argv[1]), "scan", ("a.txt", "b.txt", "c.txt")) as temporary:
    for name in ("a.txt", "b.txt", "c.txt"):
        (temporary / name).write_text(f"new {name}")
"""


@pytest.mark.parametrize("at", range(1, 7))
def test_a_process_that_dies_leaves_the_old_or_the_new_set(tmp_path, at):
    for name in NAMES[:2]:
        (tmp_path / name).write_text(f"old {name}")
    died = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path), str(at)], env={**os.environ, **PATH}, check=False
    )
    assert died.returncode == 1
    settle(tmp_path, "scan")
    # Before the first renaming, which decides, all is old; after it, all is new.
    expected = NAMES[:2] if at == 1 else NAMES
    assert contents(tmp_path) == {name: f"{'old' if at == 1 else 'new'} {name}" for name in expected}


def test_only_the_own_set_is_settled(tmp_path):
    others = [
        tmp_path / f".{state}-01234567-{name}" for state in ("unfinished", "finished") for name in ("x-scan", "s")
    ]
    own = tmp_path / ".unfinished-01234567-scan"
    for folder in (*others, own):
        folder.mkdir()
    settle(tmp_path, "scan")
    assert sorted(tmp_path.iterdir()) == sorted(others)
