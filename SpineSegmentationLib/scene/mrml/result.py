"""The nodes of one volume."""

from __future__ import annotations

from collections.abc import Iterator

import slicer

from ...errors import SpineError

VOLUME = "SpineSegmentation.volume"
"""The reference by which a node of a result knows its volume."""

MEASURE = "SpineSegmentation.measure"
"""Attribute of a node that shows a measure: which one, such as ``"L3 anterior"`` or ``"cobb upper"``."""


class Result:
    """The nodes of one volume. They refer to it, so they are found again in a scene that was saved and loaded.

    Each node is None when it was not made yet, or was deleted; the next update makes it anew.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
        self.scene, self._volume = scene, volume

    @classmethod
    def of(cls, volume: slicer.vtkMRMLScalarVolumeNode) -> Result:
        """The result of a volume node in a scene; makes nothing."""
        return cls(volume.GetScene(), volume)

    @classmethod
    def all(cls, scene: slicer.vtkMRMLScene) -> list[Result]:
        """The results in a scene, in the order of their volumes."""
        volumes = nodes_of_class(scene, "vtkMRMLScalarVolumeNode")
        results = [cls(scene, volume) for volume in volumes]
        return [result for result in results if result.segmentation or result.centroids or result.box]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self._volume is other._volume

    def __hash__(self) -> int:
        return hash(self._volume)

    @property
    def volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume node; None after it was deleted or the scene closed."""
        return self._volume if self.scene is not None and self._volume.GetScene() is self.scene else None

    def required_volume(self) -> slicer.vtkMRMLScalarVolumeNode:
        """The volume node.

        Raises:
            SpineError: it was deleted.
        """
        if self.volume is None:
            raise SpineError("the volume of this result was deleted; choose another one")
        return self.volume

    @property
    def box(self) -> slicer.vtkMRMLMarkupsROINode | None:
        """The ROI node of the spine box."""
        return self._node("vtkMRMLMarkupsROINode")

    @property
    def centroids(self) -> slicer.vtkMRMLMarkupsFiducialNode | None:
        """The point list."""
        return self._node("vtkMRMLMarkupsFiducialNode")

    @property
    def segmentation(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation node."""
        return self._node("vtkMRMLSegmentationNode")

    @property
    def table(self) -> slicer.vtkMRMLTableNode | None:
        """The table of measurements."""
        return self._node("vtkMRMLTableNode")

    @property
    def nodes(self) -> list:
        """Those that are there, without the volume."""
        return [node for node in (self.box, self.centroids, self.segmentation, self.table) if node is not None]

    def adopt(self, segmentation: slicer.vtkMRMLSegmentationNode) -> None:
        """Makes a segmentation node that of the result; the one before stays in the scene, for nobody.

        Raises:
            SpineError: it is that of another volume.
        """
        other = segmentation.GetNodeReference(VOLUME)
        if other is not None and other is not self._volume:
            name = segmentation.GetName()
            raise SpineError(f"{name} is the result of {other.GetName()}; choose another segmentation, or none")
        while self.segmentation not in (None, segmentation):
            # Copies that a person made refer to the volume, too.
            self.segmentation.RemoveNodeReferenceIDs(VOLUME)
        if self.segmentation is None:
            segmentation.SetNodeReferenceID(VOLUME, self.required_volume().GetID())

    def make(self, kind: str, name: str) -> slicer.vtkMRMLNode:
        """A new node of the result, under its volume in the subject hierarchy.

        Raises:
            SpineError: as :meth:`required_volume`.
        """
        volume = self.required_volume()
        node = self.scene.AddNewNodeByClass(f"vtkMRML{kind}Node", f"{volume.GetName()} {name}")
        node.SetNodeReferenceID(VOLUME, volume.GetID())
        if isinstance(node, slicer.vtkMRMLDisplayableNode):
            node.CreateDefaultDisplayNodes()
        tree = self.scene.GetSubjectHierarchyNode()
        parent = tree.GetItemByDataNode(volume) if tree is not None else 0
        if parent:
            item = tree.GetItemByDataNode(node) or tree.CreateItem(parent, node)
            tree.SetItemParent(item, parent)
        return node

    def _node(self, kind: str) -> slicer.vtkMRMLNode | None:
        volume = self.volume
        if volume is None:
            return None
        own = (node for node in nodes_of_class(self.scene, kind) if node.GetNodeReferenceID(VOLUME) == volume.GetID())
        return next((node for node in own if not node.GetAttribute(MEASURE)), None)


def nodes_of_class(scene: slicer.vtkMRMLScene, kind: str) -> Iterator:
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        yield scene.GetNthNodeByClass(number, kind)
