"""Output files: which are there."""

from types import SimpleNamespace

import pytest

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.results import outputs
from SpineSegmentationLib.results.outputs import FILES, existing


def test_what_is_there_already(tmp_path):
    assert not existing(tmp_path, "one", "segmentation")
    files = [tmp_path / file.format("one") for file in FILES["segmentation"]]
    files[0].write_text("")
    with pytest.raises(SpineError, match=r"one_seg-vert_msk\.nii\.gz is there"):
        existing(tmp_path, "one", "segmentation")
    for file in files:
        file.write_text("")
    assert existing(tmp_path, "one", "segmentation") and not existing(tmp_path, "two", "segmentation")


def test_freed_memory_goes_back_before_every_file(tmp_path, monkeypatch):
    there = []
    monkeypatch.setattr(outputs, "return_freed", lambda: there.append(len(list(tmp_path.glob("*/*")))))
    outputs.write_outputs(tmp_path, "one", "detection", None, SimpleNamespace(box=None), {})
    assert there == [0, 1] and len(FILES["detection"]) == 2
