"""The versions of what computes. Needs no PyTorch, so that Slicer can say them, too."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from .. import __version__

COMPUTING = ("torch", "numpy", "scipy", "SimpleITK")
READING = ("nibabel", "pydicom")
"""Slicer needs none of them."""


def versions() -> dict[str, str]:
    """Of this library, of Python and of the packages it computes and reads with, as they are installed."""
    found = {"SpineSegmentationLib": __version__, "python": platform.python_version()}
    found |= {name: version(name) for name in COMPUTING}
    for name in READING:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
