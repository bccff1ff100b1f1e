"""Scans for the command line, and a system of stand-in stages."""

from pathlib import Path

import pytest
import SimpleITK as sitk
import standins

from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.pipeline import SYSTEMS
from SpineSegmentationLib.systems import DEFAULT


@pytest.fixture(scope="module")
def ct() -> sitk.Image:
    """Three vertebrae for the stand-in stages."""
    return standins.spine_ct(3)


@pytest.fixture
def called(monkeypatch):
    """The names of the stages that ran, in order; the system is one of stand-ins."""
    names = []
    standins.install()
    monkeypatch.setitem(SYSTEMS, DEFAULT, SYSTEMS["standin"])
    monkeypatch.setattr(standins._Stage, "begin", lambda stage: names.append(stage.name))
    return names


@pytest.fixture
def scan(tmp_path, ct) -> Path:
    path = tmp_path / "in" / "one_ct.nii.gz"
    path.parent.mkdir()
    write_image(ct, path)
    return path


@pytest.fixture
def two(scan, ct) -> Path:
    write_image(ct, scan.with_name("two_ct.nii.gz"))
    return scan.parent
