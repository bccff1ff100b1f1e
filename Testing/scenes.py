"""Real MRML scenes from slicer-core, as the application sets them up."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from slicer import vtkMRMLScene

from SpineSegmentationLib.grid import Grid


def _register_conversions() -> None:
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    for name in ("vtkBinaryLabelmapToClosedSurfaceConversionRule", "vtkClosedSurfaceToBinaryLabelmapConversionRule"):
        factory.RegisterConverterRule(getattr(slicer, name)())


_register_conversions()


def new_scene(cache: str = "") -> vtkMRMLScene:
    """An empty scene whose node classes are known; ``cache`` is a folder, needed for reading .mrb files."""
    scene = vtkMRMLScene()
    selection = slicer.vtkMRMLSelectionNode()
    selection.SetSingletonTag("Singleton")
    scene.AddNode(selection)
    scene.logics = []
    for name in (
        "vtkSlicerMarkupsLogic",
        "vtkSlicerSegmentationsModuleLogic",
        "vtkSlicerTablesLogic",
        "vtkSlicerVolumesLogic",
    ):
        logic = getattr(slicer, name)()
        logic.SetMRMLScene(scene)
        scene.logics.append(logic)
    if cache:
        remote = slicer.vtkMRMLRemoteIOLogic()
        remote.SetMRMLScene(scene)
        remote.AddDataIOToScene()
        scene.GetCacheManager().SetRemoteCacheDirectory(cache)
        scene.logics.append(remote)
    return scene


def add_volume(scene: vtkMRMLScene, image: sitk.Image, name: str = "CT"):
    """A volume node with the voxels and the place of an image."""
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(volume, sitk.GetArrayFromImage(image))
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ Grid.of(image).to_lps
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return volume


def add_transform(scene: vtkMRMLScene, matrix: np.ndarray):
    """A linear transform node."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return transform


def add_warp(scene: vtkMRMLScene):
    """A transform node that is not linear."""
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    warp = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)):
        source.InsertNextPoint(corner)
        target.InsertNextPoint(corner[0] * 1.1, corner[1] + corner[0] / 9, corner[2] + corner[1] * corner[2] / 500)
    warp.SetSourceLandmarks(source)
    warp.SetTargetLandmarks(target)
    warp.SetBasisToR()
    node.SetAndObserveTransformToParent(warp)
    return node


def save_and_load(scene: vtkMRMLScene, folder) -> vtkMRMLScene:
    """The scene written as .mrb and read again."""
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        scene.GetNthNodeByClass(number, "vtkMRMLStorableNode").AddDefaultStorageNode()
    path = str(folder / "scene.mrb")
    assert scene.WriteToMRB(path)
    loaded = new_scene(str(folder))
    assert loaded.ReadFromMRB(path, False, slicer.vtkMRMLMessageCollection())
    return loaded
