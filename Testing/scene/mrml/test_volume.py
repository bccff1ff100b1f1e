"""A volume node as CT, and back."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from scenes import add_transform, add_volume, add_warp
from turned import CT, rigid
from vtk.util.numpy_support import numpy_to_vtk

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.scene.mrml.volume import ct_of, hardened_copy, is_warped


def test_an_oblique_anisotropic_volume_is_the_same_ct(scene):
    ct = ct_of(add_volume(scene, CT))
    assert np.array_equal(sitk.GetArrayFromImage(ct), sitk.GetArrayFromImage(CT))
    assert np.allclose(Grid.of(ct).to_lps, Grid.of(CT).to_lps, atol=1e-9)


@pytest.mark.parametrize("pixel", [sitk.sitkInt16, sitk.sitkInt32, sitk.sitkFloat32, sitk.sitkFloat64])
def test_scalar_types(scene, pixel):
    ct = ct_of(add_volume(scene, sitk.Cast(CT, pixel)))
    assert ct.GetPixelID() == sitk.sitkInt16
    assert np.array_equal(sitk.GetArrayFromImage(ct), sitk.GetArrayFromImage(CT))


def test_a_volume_under_transforms_lies_where_it_is_shown(scene):
    volume = add_volume(scene, CT)
    outer, inner = (
        add_transform(scene, rigid([0, 0, 90], (100, 0, 0))),
        add_transform(scene, rigid([0, 0, 0], (0, 7, 0))),
    )
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    ct = ct_of(volume)
    x, y, z = CT.TransformIndexToPhysicalPoint((3, 4, 5))
    # RAS (-x, -y, z), 7 mm to the front, a quarter turn round the long axis, 100 mm to the right.
    expected = (-(y - 7 + 100), x, z)
    assert ct.TransformIndexToPhysicalPoint((3, 4, 5)) == pytest.approx(expected, abs=1e-6)


def test_a_shearing_transform_is_resampled_and_a_warp_is_refused(scene):
    volume = add_volume(scene, CT)
    matrix = np.eye(4)
    matrix[1, 2] = 0.2
    volume.SetAndObserveTransformNodeID(add_transform(scene, matrix).GetID())
    direction = np.reshape(ct_of(volume).GetDirection(), (3, 3))
    assert np.allclose(direction.T @ direction, np.eye(3), atol=1e-6)
    volume.SetAndObserveTransformNodeID(add_warp(scene).GetID())
    with pytest.raises(SpineError, match="CT is under a warping transform; harden"):
        ct_of(volume)


def test_volumes_that_are_none(scene):
    with pytest.raises(SpineError, match="choose a CT"):
        ct_of(None)
    with pytest.raises(SpineError, match="has no voxels"):
        ct_of(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    with pytest.raises(SpineError, match="cannot be Hounsfield"):
        ct_of(add_volume(scene, CT > 0))


def add_grid(scene, displacement) -> object:
    """A displacement field that moves the middle of the volume by RAS mm, and the rest less, down to nothing."""
    size, spacing = 9, 30.0
    places = np.moveaxis(np.indices((size,) * 3)[::-1], 0, -1) - (size - 1) / 2
    weight = np.exp(-0.5 * (np.linalg.norm(places, axis=-1) * spacing / 90.0) ** 2)
    vectors = (weight[..., None] * np.array(displacement)).astype(np.float64)
    image = vtk.vtkImageData()
    image.SetDimensions(size, size, size)
    image.SetSpacing(spacing, spacing, spacing)
    image.SetOrigin(*[-spacing * (size - 1) / 2] * 3)
    image.GetPointData().SetScalars(numpy_to_vtk(vectors.reshape(-1, 3), deep=True))
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformToParent(grid)
    return node


def middle(volume) -> np.ndarray:
    """The centre of what is brighter than 200 HU, RAS mm."""
    array = slicer.util.arrayFromVolume(volume)
    matrix = slicer.util.arrayFromVTKMatrix(volume_matrix(volume))
    return matrix[:3] @ [*np.argwhere(array > 200).mean(0)[::-1], 1.0]


def volume_matrix(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_a_volume_under_a_displacement_field_is_hardened_into_a_copy(scene):
    """A bright cube in the middle goes where the field takes it, and values stay what they are."""
    z, y, x = np.indices((40, 40, 40)) - 19.5
    far = np.max(np.abs([x, y, z]), 0)
    cube = np.where(far < 6, 700, np.where(far < 17, 40, -1000)).astype(np.int16)
    image = sitk.GetImageFromArray(cube)
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-39.0, -39.0, -39.0))
    volume = add_volume(scene, image, "tilted")
    before = middle(volume)
    assert not is_warped(volume)
    volume.SetAndObserveTransformNodeID(add_grid(scene, (3.0, -6.0, 9.0)).GetID())
    assert is_warped(volume)
    copy = hardened_copy(volume)
    assert not is_warped(copy) and copy.GetParentTransformNode() is None and copy.GetName() == "tilted hardened"
    assert middle(copy) - before == pytest.approx((3.0, -6.0, 9.0), abs=1.0)
    array = slicer.util.arrayFromVolume(copy)
    assert array.dtype == np.int16 and (array.min(), array.max()) == (-1000, 700)
    # The one that was given stays as it was.
    assert np.array_equal(slicer.util.arrayFromVolume(volume), cube) and is_warped(volume)
