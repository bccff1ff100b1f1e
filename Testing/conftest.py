"""No test is timed; what those of detection and labelling share of McCouat and Glocker's system; a small column."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import settings

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.detection.mccouat_glocker import McCouatGlockerDetector
from SpineSegmentationLib.labelling.mccouat_glocker import McCouatGlockerLabeller
from SpineSegmentationLib.labelling.mccouat_glocker_labels import NUMBER, UNKNOWN, densify
from SpineSegmentationLib.phantom import Phantom, PhantomSpec, make_phantom

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def mccouat_glocker(monkeypatch):
    """Both stages with networks that read HU: 100 + 20 times the number of a vertebra inside its body, 0 outside."""

    def detect(compute, image):
        bone = (image > 0.05).float() * 20 - 10
        return torch.cat([-bone, bone], 1)

    def identify(compute, slabs):
        return ((slabs[:, 3:4] * 1000 - 100) / 20).clamp(0, 40)

    detector = McCouatGlockerDetector.__new__(McCouatGlockerDetector)
    detector.spacing, detector.runner = 2.0, detect
    labeller = McCouatGlockerLabeller.__new__(McCouatGlockerLabeller)
    labeller.detector, labeller.runner = detector, identify
    return detector, labeller


@pytest.fixture
def coded_ct():
    """A CT at 2 mm of T11 to L2 whose HU tell the level, and the positions of the vertebrae in LPS mm."""
    levels = (Level.T11, Level.T12, Level.L1, Level.L2)
    z = 12 + np.array([48.0, 33.0, 17.0, 0.0])
    positions = np.stack([z, 22 + np.sin(z / 10), 31 + np.cos(z / 12)], 1)
    labels = densify(levels, positions, (76, 50, 60), 2.0)
    labels[labels == UNKNOWN] = 0
    hu = np.where(labels > 0, 100 + 20 * NUMBER[np.minimum(labels, 26)], 0).astype(np.float32)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-60.0, 10.0, -200.0))
    points = [image.TransformContinuousIndexToPhysicalPoint([float(v) for v in p[::-1]]) for p in positions]
    return image, np.array(points)


@pytest.fixture(scope="session")
def column() -> Phantom:
    """T11 to L4 and what is seen of their neighbours."""
    spec = PhantomSpec(seed=7, first=Level.T11, last=Level.L4, field=(60.0, 110.0))
    return make_phantom(spec, (1.5, 1.5, 2.0))


@pytest.fixture
def labels(column) -> np.ndarray:
    """T11 to L4, VerSe codes, to be changed."""
    array = sitk.GetArrayFromImage(column.label_map)
    array[~np.isin(array, list(column.centroids.levels))] = 0
    return array
