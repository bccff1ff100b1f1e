"""Closed surfaces of masks, and their files."""

import numpy as np
import pytest
import vtk
from scipy.spatial.transform import Rotation
from vtk.util.numpy_support import vtk_to_numpy

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.results.surfaces import surface_of, write_stl
from SpineSegmentationLib.segmentation.mask import Piece
from SpineSegmentationLib.voxels import Grid

TURNED = Rotation.from_euler("xyz", [10, 20, -30], degrees=True).as_matrix()


def test_the_surface_of_a_ball_is_closed_and_lies_where_it_should(tmp_path):
    z, y, x = np.indices((25, 25, 25)) - 12
    grid = Grid((100, 100, 100), (0.5, 0.5, 0.5), (10.0, 20.0, -30.0), tuple(TURNED.ravel()))
    surface = surface_of(Piece.of(x**2 + y**2 + z**2 <= 100, (5, 6, 7)), grid)
    mass = vtk.vtkMassProperties()
    mass.SetInputData(surface)
    assert mass.GetVolume() == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.03)
    centre = vtk_to_numpy(surface.GetPoints().GetData()).mean(0)
    assert centre == pytest.approx((grid.to_lps @ [17, 18, 19, 1])[:3], abs=0.05)
    outwards = vtk_to_numpy(surface.GetPointData().GetNormals())
    assert np.all(np.sum(outwards * (vtk_to_numpy(surface.GetPoints().GetData()) - centre), axis=1) > 0)
    write_stl(surface, tmp_path / "ball.stl")
    assert (tmp_path / "ball.stl").read_bytes()[:80].startswith(b"3D Slicer output. SPACE=LPS")
    with pytest.raises(SpineError, match="cannot be written"):
        write_stl(surface, tmp_path / "nowhere" / "ball.stl")
    assert surface_of(Piece.of(np.zeros((1, 1, 1)), (0, 0, 0)), grid).GetNumberOfPoints() == 0
