"""Segmentations of others taken over into the road: checked, compared with our names, repaired level by level."""
