"""Vertebrae cut by the border of the scan keep all that is seen of them, and only that."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.segmentation.mask import VertebraMask, bounds, merge

EVERYWHERE = np.ones((3, 3, 3))


@pytest.fixture(scope="module")
def truth():
    """The voxels (z, y, x; 1 mm) of a neck, a chest and a lumbar vertebra."""
    found = {}
    for level in (Level.C5, Level.T8, Level.L4):
        spec = PhantomSpec(seed=3, first=level, last=level, field=(110, 120), margin=15.0, noise=0.0)
        labels = sitk.GetArrayFromImage(make_phantom(spec, (1.0, 1.0, 1.0)).label_map) == level
        where = bounds(labels)
        pieces, _ = ndimage.label(labels[where], EVERYWHERE)
        found[level] = np.pad(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1, 6)
    return found


def lattice(voxels, first=(0, 0, 0)):
    image = sitk.GetImageFromArray(np.zeros(voxels.shape, np.int16))
    image.SetOrigin([float(v) for v in reversed(first)])
    return image


def merged(voxels, grid, probability=0.95, point=None):
    mask = replace(VertebraMask.of(voxels.astype(np.float32) * probability, lattice(voxels)), point=point)
    return sitk.GetArrayFromImage(merge({Level.L4: mask}, grid)) > 0


def block(shape, *slices):
    voxels = np.zeros(shape, bool)
    voxels[slices] = True
    return voxels


def tilts(voxels):
    """As it is, and leaning 25 degrees forwards and backwards, as vertebrae in the neck and above the sacrum do."""
    yield voxels
    for angle in (-25, 25):
        turned = ndimage.rotate(voxels.astype(np.float32), angle, axes=(0, 1), order=1) >= 0.5
        yield np.pad(turned[bounds(turned)], 6)


def cuts(voxels):
    """Every fourth plane across each axis, both sides kept in turn, as a place that holds the middle of the body."""
    middle = np.unravel_index(ndimage.distance_transform_edt(voxels).argmax(), voxels.shape)
    for axis in range(3):
        for plane in range(8, voxels.shape[axis] - 8, 4):
            place = [slice(None)] * 3
            place[axis] = slice(None, plane) if middle[axis] < plane else slice(plane, None)
            yield tuple(place)


@pytest.mark.parametrize("level", [Level.C5, Level.T8, Level.L4])
def test_cut_at_any_plane_a_vertebra_keeps_what_is_seen_of_it(truth, level):
    apart = 0
    for voxels, place in ((tilted, place) for tilted in tilts(truth[level]) for place in cuts(tilted)):
        seen = voxels[place]
        grid = lattice(seen, [side.start or 0 for side in place])
        cut = np.zeros_like(voxels)
        cut[place] = seen  # a network sees air beyond the scan
        kept = merged(cut, grid)
        assert not (kept & ~seen).any()
        # Across the body, ends of cervical transverse processes may lie beside it and not behind.
        assert (seen & ~kept).sum() <= (0.06 if place[1] != slice(None) else 0.002) * seen.sum(), place
        pieces, _ = ndimage.label(seen, EVERYWHERE)
        apart += np.bincount(pieces.ravel())[1:].max() < 0.98 * seen.sum()
    assert apart >= 1  # the largest piece alone would not do


def test_the_body_of_a_neighbour_that_nobody_listed_is_no_piece():
    body = block((40, 60, 40), slice(0, 20), slice(10, 26), slice(10, 30))
    arch = block((40, 60, 40), slice(0, 12), slice(26, 40), slice(14, 26))
    process = block((40, 60, 40), slice(0, 6), slice(44, 54), slice(16, 24))
    other = block((40, 60, 40), slice(30, 40), slice(4, 18), slice(10, 30))
    np.testing.assert_array_equal(merged(body | arch | process | other, lattice(body)), body | arch | process)


def test_oblique_scans_are_cut_alike(truth):
    voxels = truth[Level.L4]
    centre = np.array(voxels.shape[::-1]) / 2 + 0.3  # where nothing is exactly one half
    angle = np.deg2rad(25)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    size = np.array([70, 30, 60])
    grid = sitk.Image(size.tolist(), sitk.sitkInt16)
    grid.SetDirection(turn.ravel().tolist())
    kept = []
    for back in range(-20, 21, 5):  # a slab of 30 mm from front to back, farther and farther behind
        grid.SetOrigin((centre + turn @ (-(size - 1) / 2 + [0, back, 0])).tolist())
        resampled = sitk.Resample(sitk.GetImageFromArray(voxels.astype(np.float32)), grid, sitk.Transform())
        inside = sitk.Resample(sitk.Image(grid) + 1, lattice(voxels), sitk.Transform(), sitk.sitkNearestNeighbor)
        mask = voxels & (sitk.GetArrayFromImage(inside) > 0)
        seen = sitk.GetArrayFromImage(resampled) >= 0.5
        inner = (slice(2, -2),) * 3  # the outermost voxels lie half beyond the border
        kept.append((merged(mask, grid, 1.0) & seen)[inner].sum() / seen[inner].sum())
    assert min(kept) > 0.97, kept


def test_inside_the_scan_there_is_one_piece():
    body = block((30, 30, 30), slice(8, 20), slice(8, 20), slice(8, 20))
    beside = block((30, 30, 30), slice(8, 14), slice(23, 27), slice(8, 14))
    np.testing.assert_array_equal(merged(body | beside, lattice(body)), body)


def test_pieces_at_the_border_go_where_the_vertebra_itself_does_not_reach_it():
    body = block((30, 30, 30), slice(8, 20), slice(8, 20), slice(8, 20))
    beside = block((30, 30, 30), slice(8, 14), slice(24, 30), slice(8, 14))
    np.testing.assert_array_equal(merged(body | beside, lattice(body)), body)


def test_crumbs_and_what_the_segmenter_doubts_go_from_the_border_too():
    body = block((30, 44, 30), slice(0, 20), slice(4, 16), slice(8, 20))
    crumb = block((30, 44, 30), slice(0, 2), slice(34, 37), slice(8, 11))
    np.testing.assert_array_equal(merged(body | crumb, lattice(body)), body)
    doubted = block((30, 44, 30), slice(0, 6), slice(34, 40), slice(8, 14))
    probability = body * 0.95 + doubted * 0.7
    np.testing.assert_array_equal(merged(probability, lattice(body), 1.0), body)
    np.testing.assert_array_equal(merged(body | doubted, lattice(body)), body | doubted)


def test_of_a_vertebra_of_which_little_is_seen_the_piece_at_the_point_stays():
    """T9 of ts0328_boneonly: only its spinous process is in the scan, and a part of T10 in its mask is larger."""
    process = block((30, 50, 40), slice(22, 30), slice(34, 46), slice(14, 24))
    other = block((30, 50, 40), slice(16, 30), slice(2, 16), slice(10, 30))
    crumb = block((30, 50, 40), slice(27, 30), slice(22, 25), slice(18, 21))
    seen, grid = process | other | crumb, lattice(process)
    np.testing.assert_array_equal(merged(seen, grid, point=(19, 40, 26)), process)
    for point in (None, (19, 10, 26), (19, 23, 28), (19, 18, 26), (19, 90, -7)):  # in none, in a crumb, beside, outside
        np.testing.assert_array_equal(merged(seen, grid, point=point), other | process)


def test_inside_the_scan_the_point_decides_nothing():
    body = block((30, 30, 30), slice(8, 20), slice(8, 20), slice(8, 20))
    beside = block((30, 30, 30), slice(8, 18), slice(23, 28), slice(8, 18))
    np.testing.assert_array_equal(merged(body | beside, lattice(body), point=(10, 25, 10)), body)


def test_a_mask_of_another_point_is_another_mask():
    mask = VertebraMask(np.ones((2, 3, 4), np.uint8), (5, 6, 7), point=(6, 7, 8))
    assert len({one.digest for one in (mask, replace(mask, point=None), replace(mask, point=(6, 7, 9)))}) == 3
