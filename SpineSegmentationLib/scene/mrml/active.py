"""The node that the next click with a place tool goes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import slicer


@contextmanager
def active_list_kept(scene: slicer.vtkMRMLScene) -> Iterator[None]:
    """Within this, new markups nodes do not become the one that points are placed in, as Slicer would have it."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    if selection is None:
        yield
        return
    before = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    try:
        yield
    finally:
        kind, node = before
        if (selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()) != before:
            selection.SetReferenceActivePlaceNodeClassName(kind)
            selection.SetReferenceActivePlaceNodeID(node)
