"""The versions of what computes. Needs no PyTorch, so that Slicer can say them, too."""

from __future__ import annotations

import platform
from importlib.metadata import version

from .. import __version__

COMPUTING = ("torch", "numpy", "scipy", "SimpleITK")


def versions() -> dict[str, str]:
    """Of this library, of Python and of the packages it computes with, as they are installed."""
    own = {"SpineSegmentationLib": __version__, "python": platform.python_version()}
    return {**own, **{name: version(name) for name in COMPUTING}}
