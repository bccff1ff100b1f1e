"""A volume node as CT, and back."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
from scenes import add_transform, add_volume, add_warp
from turned import CT, rigid

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.mrml.volume import ct_of
from SpineSegmentationLib.voxels import Grid


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
