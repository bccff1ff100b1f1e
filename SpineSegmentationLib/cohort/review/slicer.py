"""The script that opens one result of a cohort in 3D Slicer."""

from __future__ import annotations

from pathlib import Path

from ...io.values import write_text
from ..layout import REVIEW, cohort_folder

SCRIPT = '''"""Opens the result of one scan in 3D Slicer, to be corrected with the module Spine Segmentation.

Slicer --python-script THIS_FILE
"""

import sys

import slicer

sys.path.append({root!r})  # Where the module is not installed in Slicer.

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.opened import open_result

try:
    result = open_result(slicer.mrmlScene, {output!r}, {scan})
except SpineError as error:
    slicer.util.errorDisplay(str(error))
else:
    slicer.util.setSliceViewerLayers(background=result.volume, fit=True)
    if hasattr(slicer.modules, "spinesegmentation"):
        slicer.util.selectModule("SpineSegmentation")
'''


def script(output: Path, scan: str) -> str:
    """The text of the script for the result of that name; ``"@SCAN@"`` stays as it is, to be filled in later."""
    root = str(Path(__file__).resolve().parents[3])
    return SCRIPT.format(root=root, output=str(output.resolve()), scan=scan if scan == "@SCAN@" else repr(scan))


def write_script(output: Path, scan: str) -> Path:
    """Writes the script beside the page and returns its path.

    Raises:
        SpineError: it cannot be written.
    """
    path = cohort_folder(output, REVIEW) / f"{scan}.py"
    write_text(path, script(output, scan))
    return path
