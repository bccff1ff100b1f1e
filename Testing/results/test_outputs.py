"""Output files: which are there."""

import pytest

from SpineSegmentationLib.errors import SpineError
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
