"""Closed surfaces of masks, and their files."""

import numpy as np
import pytest
import vtk
from scipy import ndimage
from scipy.spatial.transform import Rotation
from vtk.util.numpy_support import vtk_to_numpy

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.results.surfaces import FORMATS, surface_of, write_surface
from SpineSegmentationLib.segmentation.mask import Piece, pieces_of

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
    write_surface(surface, tmp_path / "ball.stl")
    assert (tmp_path / "ball.stl").read_bytes()[:80].startswith(b"3D Slicer output. SPACE=LPS")
    with pytest.raises(SpineError, match="cannot be written"):
        write_surface(surface, tmp_path / "nowhere" / "ball.stl")
    assert surface_of(Piece.of(np.zeros((1, 1, 1)), (0, 0, 0)), grid).GetNumberOfPoints() == 0


READERS = {"stl": vtk.vtkSTLReader, "ply": vtk.vtkPLYReader, "obj": vtk.vtkOBJReader, "vtp": vtk.vtkXMLPolyDataReader}


def open_edges(surface: vtk.vtkPolyData) -> int:
    """Edges that do not lie between two triangles."""
    edges = vtk.vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.FeatureEdgesOff()
    edges.ManifoldEdgesOff()
    edges.NonManifoldEdgesOff()
    edges.BoundaryEdgesOn()
    edges.Update()
    return edges.GetOutput().GetNumberOfCells()


def test_a_vertebra_is_watertight_smooth_and_within_half_a_voxel_of_its_mask(column):
    """The border of the mask is that of its voxels as boxes; the distance is counted in voxels along each axis."""
    grid = Grid.of(column.label_map)
    piece = pieces_of(column.label_map)[Level.L2]
    surface = surface_of(piece, grid)
    assert open_edges(surface) == 0
    points = vtk_to_numpy(surface.GetPoints().GetData())
    index = np.c_[points, np.ones(len(points))] @ np.linalg.inv(grid.to_lps).T[:, :3] - piece.corner
    inside = np.pad(piece.voxels, 3)
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    # In the middle between two voxels the depth is 0; half a voxel from there it is within one, at corners more.
    found = ndimage.map_coordinates(depth, index.T[::-1] + 3, order=1)
    assert np.abs(found).max() < 1.0
    mass = vtk.vtkMassProperties()
    mass.SetInputData(surface)
    assert mass.GetVolume() == pytest.approx(np.count_nonzero(piece.voxels) * np.prod(grid.spacing), rel=0.03)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_back_where_it_was(tmp_path, kind):
    z, y, x = np.indices((25, 25, 25)) - 12
    grid = Grid((100, 100, 100), (0.5, 0.5, 0.5), (10.0, 20.0, -30.0), tuple(TURNED.ravel()))
    surface = surface_of(Piece.of(x**2 + y**2 + 2 * z**2 <= 100, (5, 6, 7)), grid)
    write_surface(surface, tmp_path / f"ball.{kind}")
    reader = READERS[kind]()
    reader.SetFileName(str(tmp_path / f"ball.{kind}"))
    reader.Update()
    assert reader.GetOutput().GetBounds() == pytest.approx(surface.GetBounds(), abs=1e-3)
    assert reader.GetOutput().GetNumberOfCells() == surface.GetNumberOfCells()


def test_another_format_is_refused(tmp_path):
    with pytest.raises(SpineError, match=r"must end in .stl, .ply, .obj, .vtp"):
        write_surface(vtk.vtkPolyData(), tmp_path / "ball.3mf")
