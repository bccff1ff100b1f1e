"""What runs in Slicer does without the libraries that Slicer does not have."""

import subprocess
import sys
from pathlib import Path

LEAN = """
import sys
sys.modules["nibabel"] = None
import numpy as np
import SpineSegmentationLib.session.worker, SpineSegmentationLib.session.session, SpineSegmentationLib.results.export
from SpineSegmentationLib.voxels import Voxels, image_of
array = np.full((8, 8, 8), 40, np.int16)
array[:4], array[4, 4] = -1000, 700
print(image_of(Voxels(array, np.eye(4)), []).GetSize())
"""


def test_slicer_needs_no_nibabel():
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", LEAN], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(8, 8, 8)", done.stderr
