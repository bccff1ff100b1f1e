"""Centroids that are taken from masks."""

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.dataset import centroids_of_mask
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.training.subjects import _body_centres


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "ASR"])
def test_in_the_neck_the_centre_lies_in_the_body_too(orientation):
    # Joints and arches are as thick as these bodies.
    phantom = make_phantom(PhantomSpec(first=Level.C3, last=Level.C5, seed=1), spacing=(1.5, 1.5, 2.0))
    found = centroids_of_mask(sitk.DICOMOrient(phantom.label_map, orientation))
    for level in (Level.C3, Level.C4, Level.C5):
        assert np.linalg.norm(np.subtract(found[level].position, phantom.centroids[level].position)) < 2


def test_of_what_the_border_cuts_the_centre_lies_in_the_body():
    phantom = make_phantom(PhantomSpec.random(0), (1.5, 1.5, 2.0))
    found = centroids_of_mask(phantom.label_map[:, :, 3:])[Level.T1].position
    assert np.linalg.norm(np.subtract(found, phantom.centroids[Level.T1].position)) < 2


def test_networks_learn_from_centres_in_the_body():
    phantom = make_phantom(PhantomSpec.random(3), (1.5, 1.5, 1.5))
    centres = _body_centres(sitk.GetArrayFromImage(phantom.label_map))
    for level in (Level.C3, Level.C5, Level.C6):
        place = phantom.label_map.TransformContinuousIndexToPhysicalPoint(centres[level][::-1].tolist())
        assert np.linalg.norm(np.subtract(place, phantom.centroids[level].position)) < 5
