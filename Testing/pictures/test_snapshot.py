"""The snapshot: what is seen where, at the right scale, for every grid and for empty results."""

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.phantom.grid import rotation
from SpineSegmentationLib.pictures.lettering import HEIGHT, lettering
from SpineSegmentationLib.pictures.snapshot import GAP, PIXEL, look_up, planes, snapshot, write_picture
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox

L = Level


def image(values: np.ndarray, spacing=(2.0, 2.0, 4.0), direction=None) -> sitk.Image:
    result = sitk.GetImageFromArray(values)
    result.SetSpacing(spacing)
    result.SetOrigin((-40.0, -60.0, -90.0))
    result.SetDirection((np.eye(3) if direction is None else direction).ravel().tolist())
    return result


def test_letters_can_be_told_apart_and_scaled():
    names = {level.name for level in Level}
    pictures = {lettering(name).tobytes() + bytes([lettering(name).shape[1]]) for name in names}
    assert len(pictures) == len(names)
    assert lettering("L3").shape == (HEIGHT, 11)
    assert np.array_equal(lettering("T12", 3)[::3, ::3], lettering("T12"))


def test_planes_follow_the_column():
    line = np.array([[0.0, 0.0, 100.0], [20.0, 5.0, 60.0], [0.0, 10.0, 20.0]])
    scan = SpineBox((-100.0, -100.0, 0.0), (100.0, 100.0, 120.0))
    sagittal, coronal = planes(line, scan)
    # The scan ends 20 mm above and below the centroids.
    assert np.ptp(sagittal.points[:, 0, 2]) == pytest.approx(120 - PIXEL, abs=PIXEL)
    row = np.argmin(np.abs(sagittal.points[:, 0, 2] - 60))
    assert np.allclose(sagittal.points[row, :, 0], 20) and np.allclose(coronal.points[row, :, 1], 5)
    half = np.argmin(np.abs(sagittal.points[:, 0, 2] - 80))
    assert sagittal.points[half, 0, 0] == pytest.approx(10, abs=PIXEL)
    # From front to back, from the patient's right to left, PIXEL apart.
    assert np.allclose(np.diff(sagittal.points[0, :, 1]), PIXEL) and np.allclose(
        np.diff(coronal.points[0, :, 0]), PIXEL
    )
    for plane in (sagittal, coronal):
        for point in line:
            assert np.linalg.norm(plane.points[plane.place(point)] - point) < PIXEL


def test_look_up_knows_any_grid():
    values = np.random.default_rng(0).integers(0, 99, (8, 9, 10)).astype(np.int16)
    turned = image(values, direction=rotation(20, 10, -30))
    for x, y, z in ((0, 0, 0), (9, 8, 7), (4, 3, 2)):
        point = np.array(turned.TransformIndexToPhysicalPoint((x, y, z)))
        assert look_up(turned, point[None], -1)[0] == values[z, y, x]
    between = np.array(turned.TransformContinuousIndexToPhysicalPoint((4.5, 3.0, 2.0)))
    expected = int(values[2, 3, 4:6].mean() // 1)
    assert abs(float(look_up(turned, between[None], -1, order=1)[0]) - expected) <= 1
    assert look_up(turned, np.array([[900.0, 0.0, 0.0]]), -7)[0] == -7


@pytest.mark.parametrize("direction", [None, np.diag([-1.0, -1.0, 1.0]), rotation(15, 0, 90)])
def test_a_snapshot_shows_vertebra_name_and_background(direction):
    values = np.full((50, 60, 50), -1000, np.int16)
    ct = image(values, direction=direction)
    labels = np.zeros(values.shape, np.uint8)
    labels[20:30, 25:40, 20:32] = L.L3
    middle = ct.TransformContinuousIndexToPhysicalPoint((25.5, 32.0, 24.5))
    picture = snapshot(ct, image(labels, direction=direction), Centroids((Centroid(L.L3, middle),)))
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert not picture[:GAP].any() and not picture[:, :GAP].any()
    # Air is black, the vertebra's border has its colour, the name is white.
    colors = {tuple(color) for color in picture.reshape(-1, 3)}
    assert (0, 0, 0) in colors and (255, 255, 255) in colors
    assert tuple(int(round(255 * part)) for part in L.L3.color) in colors


def test_a_millimetre_is_as_long_down_as_across():
    # 24 mm wide, 30 mm deep, 40 mm high on a grid of 2 x 2 x 4 mm.
    labels = np.zeros((50, 60, 50), np.uint8)
    labels[20:30, 25:40, 20:32] = L.L3
    ct = image(np.full(labels.shape, -1000, np.int16))
    middle = ct.TransformContinuousIndexToPhysicalPoint((25.5, 32.0, 24.5))
    picture = snapshot(ct, image(labels), Centroids((Centroid(L.L3, middle),)))
    seen = picture.any(axis=2)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert len(rows) == pytest.approx(40 / PIXEL, abs=2)
    widths = [len(part) for part in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)]
    assert widths == pytest.approx([30 / PIXEL, 24 / PIXEL], abs=2)


def test_nothing_found_is_still_a_picture():
    values = np.full((20, 30, 30), -1000, np.int16)
    values[:, 10:20, 10:20] = 900
    picture = snapshot(image(values), image(np.zeros(values.shape, np.uint8)), Centroids())
    assert picture.max() > 200 and picture.shape[0] == pytest.approx(20 * 4 / PIXEL + 2 * GAP, abs=2)


def test_centroids_outside_the_scan_do_no_harm():
    values = np.zeros((10, 30, 30), np.int16)
    far = Centroids((Centroid(L.L1, (900.0, 900.0, 900.0)), Centroid(L.L2, (0.0, 0.0, -75.0))))
    assert snapshot(image(values), image(np.zeros(values.shape, np.uint8)), far).any()
    assert snapshot(image(values), image(np.zeros(values.shape, np.uint8)), far.only([L.L1])).ndim == 3


def test_a_picture_is_written_as_png(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    write_picture(picture, tmp_path / "a.png")
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png"))), picture)
    with pytest.raises(SpineError, match="cannot be written"):
        write_picture(picture, tmp_path / "no folder" / "a.png")
