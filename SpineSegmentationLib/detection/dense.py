"""McCouat and Glocker's detector: a U-Net that marks vertebral bodies, applied patch by patch (2019, section 2.1)."""

from __future__ import annotations

PATCH = (80, 64, 64)  # voxels z,y,x
BORDER = (20, 16, 16)  # discarded on every side of a patch's result
