"""A small column with known names, and ways to spoil its label map."""

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.phantom import Phantom, PhantomSpec, make_phantom


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
