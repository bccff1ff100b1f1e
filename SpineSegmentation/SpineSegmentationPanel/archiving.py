"""DICOM SEG out of the panel: by highdicom, or by Slicer's own export where that is all there is."""

from pathlib import Path

import slicer
import slicer.packaging
from slicer.i18n import tr as _

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene import archiving

PLUGIN = "DICOMSegmentationPlugin"
"""Slicer's own, of the extension QuantitativeReporting."""


def export_dicom(logic, result, folder, name) -> list[Path]:
    """Writes ``<name>_seg.dcm``; returns the paths, or the folder for Slicer's own export, which names its file itself.

    Raises:
        SpineError: the images of the volume are not known, or cannot be referred to.
        RuntimeError: a person declined to install highdicom.
    """
    database = slicer.dicomDatabase
    files = archiving.images_of(result, database.fileForInstance if database is not None else lambda uid: "")
    if not has_highdicom() and PLUGIN in (plugins := getattr(slicer.modules, "dicomPlugins", {})):
        return by_plugin(plugins[PLUGIN](), result, folder)
    if not has_highdicom():
        from packaging.requirements import Requirement

        slicer.packaging.pip_ensure([Requirement("highdicom>=0.27")], requester="Spine Segmentation")
    return archiving.export_seg(logic, result, Path(folder) / f"{name}_seg.dcm", files)


def has_highdicom() -> bool:
    """Whether the library that writes SEG is installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError:
        return False
    return True


def by_plugin(plugin, result, folder) -> list[Path]:
    """Slicer's own export of the segmentation node."""
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    exportables = plugin.examineForExport(tree.GetItemByDataNode(result.segmentation))
    if not exportables:
        raise SpineError(_("Slicer's DICOM export cannot take this segmentation; install highdicom"))
    for exportable in exportables:
        exportable.directory = str(folder)
    problem = plugin.export(exportables)
    if problem:
        raise SpineError(problem)
    return [Path(folder)]
