"""Segmentations of others as they lie in their files: what their segments mean, and where their voxels are."""
