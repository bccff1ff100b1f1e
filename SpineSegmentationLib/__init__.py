"""Spine segmentation in CT: every vertebra detected, named and segmented, and every step open to correction."""

__version__ = "0.1.0"
