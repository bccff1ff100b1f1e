"""Small valid files of every kind that is read, and damaged versions of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
import torch
from dicom_files import heights, volume, write_enhanced, write_series
from grids import body, image_of
from safetensors.numpy import save_file
from torch import nn

from SpineSegmentationLib import weights
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids

Reader = Callable[[Path], object]

GRID = image_of(body())


class Tiny(nn.Linear):
    """An architecture of two weights by two."""

    def __init__(self, width: str) -> None:
        super().__init__(2, 2)


def _register(path: Path) -> None:
    entry = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "width": "compact"}
    (path.parent / "models.json").write_text(json.dumps({path.stem: entry}))


def _load(folder: Path) -> None:
    weights.FOLDERS, kept = (folder,), weights.FOLDERS
    try:
        weights.load("a", Tiny, torch.device("cpu"))
    finally:
        weights.FOLDERS = kept


def _load_registered(path: Path) -> None:
    """With a checksum that fits, so that the file itself is looked at."""
    _register(path)
    _load(path.parent)


def seeds(folder: Path) -> dict[str, tuple[Path, Reader]]:
    """For each kind a valid file and what reads it."""
    found: dict[str, tuple[Path, Reader]] = {}

    def add(kind: str, path: Path, reader: Reader = read_ct) -> None:
        found[kind] = (path, reader)

    for extension, packed in (("nii", False), ("nii.gz", True), ("nrrd", False), ("nrrd", True), ("mha", False)):
        kind = f"{extension}{' packed' if packed else ''}"
        path = folder / kind.replace(" ", "_") / f"scan.{extension}"
        path.parent.mkdir()
        sitk.WriteImage(GRID, str(path), packed)
        add(kind, path)
    path = folder / "two.nii"
    nibabel.save(nibabel.Nifti2Image(body().T, np.eye(4)), path)
    add("nii, version 2", path)
    write_series(folder / "series", volume(4))
    add("dicom", sorted((folder / "series").iterdir())[1], lambda file: read_ct(file.parent))
    write_enhanced(folder / "enhanced" / "ct.dcm", volume(4), heights(4))
    add("dicom, many frames", folder / "enhanced" / "ct.dcm")
    texts = {
        "ctd.json": json.dumps([{"direction": ["L", "P", "S"]}, {"label": 20, "X": 1.0, "Y": 2, "Z": 3}]),
        "F.mrk.json": json.dumps(
            {"markups": [{"type": "Fiducial", "controlPoints": [{"label": "L3", "position": [1, 2, 3]}]}]}
        ),
        "F.fcsv": "# CoordinateSystem = LPS\n# columns = id,x,y,z,label,desc\n1,1,2,3,L3,\n2,1,2,9,L2,confidence 0.5\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        add(name, folder / name, lambda file: read_centroids(file, GRID))
    (folder / "models").mkdir()
    save_file(
        {"weight": np.ones((2, 2), np.float32), "bias": np.ones(2, np.float32)}, folder / "models" / "a.safetensors"
    )
    _register(folder / "models" / "a.safetensors")
    add("models.json", folder / "models" / "models.json", lambda file: _load(file.parent))
    add("safetensors", folder / "models" / "a.safetensors", _load_registered)
    return found


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes flipped, taken out, doubled, overwritten by telling values, or cut off; the header is hit more often."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 600)
        if not reach:
            return bytes(changed)
        at, length = int(rng.integers(reach)), int(rng.integers(1, 9))
        way = rng.integers(6)
        if way == 0:
            changed[at] ^= 1 << int(rng.integers(8))
        elif way == 1:
            del changed[at : at + length]
        elif way == 2:
            changed[at:at] = changed[at : at + 8 * length]
        elif way == 3:
            changed[at : at + length] = rng.choice([b"\0", b"\xff", b"\x7f", b"-", b"9", b"e", b'"', b"{"]) * length
        elif way == 4:
            changed[at : at + length] = rng.bytes(length)
        else:
            del changed[at:]
    return bytes(changed)
