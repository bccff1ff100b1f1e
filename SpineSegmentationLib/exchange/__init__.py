"""Segmentations that others made: read, understood, checked, and taken over into the road."""
