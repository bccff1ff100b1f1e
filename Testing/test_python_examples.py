"""The examples of docs/python.md, one after the other, as a person would type them."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

TEXT = (Path(__file__).parents[1] / "docs" / "python.md").read_text()


def test_the_examples_run(column, monkeypatch, tmp_path, capsys):
    pytest.importorskip("vtk")
    sitk.WriteImage(column.ct, str(tmp_path / "scan.nii.gz"))
    labels = sitk.GetArrayFromImage(column.label_map)
    labels[~np.isin(labels, list(column.centroids.levels))] = 0
    theirs = sitk.GetImageFromArray(labels)
    theirs.CopyInformation(column.ct)
    sitk.WriteImage(theirs, str(tmp_path / "theirs.nii.gz"))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert capsys.readouterr().out == "your T11 looks like our T10 (6 of 6 agree): shift by -1?\n"
    shifted = sitk.GetArrayFromImage(sitk.ReadImage("ours_seg-vert_msk.nii.gz"))
    assert np.array_equal(shifted, np.where(labels > 0, labels - 1, 0))
    assert len(list(tmp_path.glob("ours_*.ply"))) == 6
