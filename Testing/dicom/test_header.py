"""What every DICOM object of ours shares."""

import warnings

import pytest

from SpineSegmentationLib.errors import SpineError

hd = pytest.importorskip("highdicom", reason="the extra dicom is not installed")

from SpineSegmentationLib.dicom.header import complete  # noqa: E402


def test_how_the_source_writes_names_is_no_warning_of_ours():
    with pytest.warns(UserWarning):
        hd.valuerep.check_person_name("One Name")
    with warnings.catch_warnings(record=True) as told, complete("SEG"):
        hd.valuerep.check_person_name("One Name")
    assert told == []


def test_what_the_images_lack_is_told():
    with pytest.raises(SpineError, match="lack what a DICOM SEG needs"), complete("SEG"):
        raise AttributeError("no StudyInstanceUID")
