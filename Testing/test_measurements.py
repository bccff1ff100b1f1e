"""Measurements against boxes measured by hand and against the phantom's known dimensions."""

import csv
import io
import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.measurements import COLUMNS, Measurement, measure, table
from SpineSegmentationLib.phantom import PhantomSpec, Scoliosis, make_phantom
from SpineSegmentationLib.phantom.column import build_column
from SpineSegmentationLib.phantom.grid import rotation
from SpineSegmentationLib.spine import Centroid, Centroids

L = Level
WIDTH, DEPTH, HEIGHT = 40.0, 30.0, 24.0


def grid(spacing, size, direction=None, middle=(10.0, -20.0, 300.0)) -> sitk.Image:
    """An image whose middle lies at a place in LPS mm."""
    axes = np.eye(3) if direction is None else direction
    image = sitk.Image(list(size), sitk.sitkUInt8)
    image.SetSpacing(spacing)
    image.SetDirection(axes.ravel().tolist())
    image.SetOrigin((np.array(middle) - axes @ (np.array(spacing) * (np.array(size) - 1) / 2)).tolist())
    return image


def places(image: sitk.Image) -> np.ndarray:
    """LPS mm of every voxel, (z, y, x, 3)."""
    index = np.indices(image.GetSize()[::-1])[::-1]
    steps = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return np.moveaxis(np.tensordot(steps, index, 1), 0, -1) + image.GetOrigin()


def filled(image: sitk.Image, values: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(values)
    result.CopyInformation(image)
    return result


def block(image: sitk.Image, middle, turn=None, arch: bool = False) -> tuple[sitk.Image, sitk.Image]:
    """Mask (L3) and CT of a block WIDTH x DEPTH x HEIGHT: 1000 HU in its outer 3 mm, 150 HU within, -50 HU around."""
    local = (places(image) - middle) @ (np.eye(3) if turn is None else turn)
    beside = np.abs(local) - np.array([WIDTH, DEPTH, HEIGHT]) / 2
    mask = (beside <= 1e-9).all(-1)
    ct = np.where(mask, np.where((beside <= -3).all(-1), 150, 1000), -50).astype(np.int16)
    if arch:
        # Two pedicles of 8 x 10 mm, and a plate behind a canal of 14 mm.
        x, y, z = np.moveaxis(local, -1, 0)
        pedicles = (np.abs(np.abs(x) - 15) <= 4) & (y > 0) & (y < 31) & (np.abs(z - 5) <= 5)
        mask |= pedicles | ((np.abs(x) <= 18) & (y >= 29) & (y <= 36) & (np.abs(z) <= 10))
    return filled(image, mask * np.uint8(L.L3)), filled(image, ct)


def test_a_block_measured_by_hand():
    # 40 x 30 x 24 mm = 80 x 30 x 8 voxels of 0.5 x 1 x 3 mm; the middle lies between voxels, as do the faces.
    image = grid((0.5, 1.0, 3.0), (120, 60, 16))
    mask, ct = block(image, (10.0, -20.0, 300.0))
    (found,) = measure(ct, mask, Centroids((Centroid(L.L3, (10.0, -20.0, 300.0), 0.75),)))
    assert found.level is L.L3 and found.complete and found.confidence == 0.75
    assert found.volume == 40 * 30 * 24
    assert (found.height, found.width, found.depth) == pytest.approx((HEIGHT, WIDTH, DEPTH), abs=0.01)
    assert found.density == pytest.approx(150, abs=1)
    (told,) = measure(ct, mask, Centroids((Centroid(L.L3, (10.0, -20.0, 300.0)),)), {L.L3: False, L.L4: True})
    assert not told.complete and told.height == found.height  # what the segmenter says counts


@settings(max_examples=12, deadline=None)
@given(
    angles=st.tuples(*[st.integers(-25, 25)] * 3),
    spacing=st.tuples(st.floats(0.5, 1.5), st.floats(0.5, 1.5), st.floats(0.5, 2.5)),
    arch=st.booleans(),
)
def test_neither_the_grid_nor_the_arch_changes_the_size_of_the_body(angles, spacing, arch):
    size = [int(n / s) for n, s in zip((90, 110, 90), spacing, strict=True)]
    image = grid(spacing, size, rotation(*angles))
    mask, ct = block(image, (10.0, -20.0, 300.0), arch=arch)
    (found,) = measure(ct, mask, Centroids((Centroid(L.L3, (10.0, -20.0, 300.0)),)))
    tolerance = max(spacing) + 0.3
    assert found.volume == pytest.approx(np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * math.prod(spacing))
    assert found.height == pytest.approx(HEIGHT, abs=tolerance)
    assert found.width == pytest.approx(WIDTH, abs=tolerance)
    assert found.depth == pytest.approx(DEPTH, abs=tolerance)
    assert found.density == pytest.approx(150, abs=5)


def test_a_tilted_vertebra_is_measured_along_the_column():
    turn = rotation(20, -15, 0)
    middle = np.array([10.0, -20.0, 300.0])
    image = grid((1.0, 1.0, 1.0), (90, 100, 90))
    mask, ct = block(image, middle, turn, arch=True)
    neighbours = [
        Centroid(level, tuple(middle + turn @ (0, 0, z))) for level, z in ((L.L2, 33), (L.L3, 0), (L.L4, -33))
    ]
    (found,) = measure(ct, mask, Centroids(tuple(neighbours)))
    assert (found.height, found.width, found.depth) == pytest.approx((HEIGHT, WIDTH, DEPTH), abs=1.0)
    # Alone, its axis is not known, and the patient's is taken.
    (alone,) = measure(ct, mask, Centroids((neighbours[1],)))
    assert alone.height == pytest.approx(HEIGHT / np.cos(np.deg2rad(20)) / np.cos(np.deg2rad(15)), abs=1.5)


def test_what_the_border_cuts_has_no_size():
    image = grid((1.0, 1.0, 1.0), (90, 100, 34))
    mask, ct = block(image, (10.0, -20.0, 309.0))
    (found,) = measure(ct, mask, Centroids((Centroid(L.L3, (10.0, -20.0, 309.0)),)))
    assert not found.complete and math.isnan(found.height + found.width + found.depth)
    assert found.volume < WIDTH * DEPTH * HEIGHT and found.density == pytest.approx(150, abs=3)


def test_a_cut_process_leaves_the_body_measurable():
    image = grid((1.0, 1.0, 1.0), (90, 90, 60), middle=(10.0, -32.0, 300.0))
    mask, ct = block(image, (10.0, -20.0, 300.0), arch=True)
    assert sitk.GetArrayViewFromImage(mask)[:, -1].any()
    (found,) = measure(ct, mask, Centroids((Centroid(L.L3, (10.0, -20.0, 300.0)),)))
    assert not found.complete and found.height == pytest.approx(HEIGHT, abs=1)


def test_what_is_not_defined_is_empty():
    image = grid((1.0, 1.0, 1.0), (60, 60, 60))
    mask, ct = block(image, (10.0, -20.0, 300.0))
    (no_centroid,) = measure(ct, mask, Centroids())
    assert no_centroid.volume == WIDTH * DEPTH * HEIGHT and math.isnan(no_centroid.confidence)
    (outside,) = measure(ct, mask, Centroids((Centroid(L.L3, (10.0, -20.0, 325.0)),)))
    assert math.isnan(outside.height) and outside.confidence == 1
    atlas = sitk.Cast((mask > 0) * int(L.C1), sitk.sitkUInt8)
    (c1,) = measure(ct, atlas, Centroids((Centroid(L.C1, (10.0, -20.0, 300.0)),)))
    assert math.isnan(c1.height + c1.width + c1.depth + c1.density) and c1.volume > 0
    axis = sitk.Cast((mask > 0) * int(L.C2), sitk.sitkUInt8)
    (c2,) = measure(ct, axis, Centroids((Centroid(L.C2, (10.0, -20.0, 300.0)),)))
    assert math.isnan(c2.height) and c2.width == pytest.approx(WIDTH, abs=0.5)
    assert measure(ct, image, Centroids()) == []


def test_the_table_is_csv():
    rows = list(csv.reader(io.StringIO(table([Measurement(L.C1, 12345.67, complete=False, confidence=0.5)]))))
    assert tuple(rows[0]) == COLUMNS
    assert rows[1] == ["C1", "12345.7", "", "", "", "", "incomplete", "0.500"]


@pytest.mark.parametrize(
    "first, last, spacing, direction",
    [
        (L.T8, L.T11, (1.0, 1.0, 1.0), None),
        (L.L1, L.L4, (0.9, 0.9, 2.5), rotation(12, -9, 6)),
        (L.C4, L.C7, (0.8, 0.8, 1.0), None),
    ],
)
def test_phantoms_against_their_known_dimensions(first, last, spacing, direction):
    """Tolerances: height 0.7 mm, depth 1.2 mm, width 2 mm (cervical 5 mm: the transverse processes spring from the
    sides of the body, and their roots count), density 20 %."""
    spec = PhantomSpec(seed=8, first=first, last=last, degeneration=0.0, noise=5.0, margin=45, field=(150, 170),
                       scoliosis=(Scoliosis(L.T12, 20.0),))  # fmt: skip
    phantom = make_phantom(spec, spacing, direction=None if direction is None else tuple(direction.ravel()))
    stream = np.random.SeedSequence(spec.seed).spawn(4)[0]
    column = build_column(spec, np.random.default_rng(stream))
    found = {m.level: m for m in measure(phantom.ct, phantom.label_map, phantom.centroids)}
    for level in (level for level in Level if first.rank <= level.rank <= last.rank):
        member, one = column[level], found[level]
        waist = 0.95 if level.region == "cervical" else 0.89
        assert one.complete and one.confidence == 1
        # The end-plates are sunken, most so in the middle; the back is flattened.
        assert one.height == pytest.approx(member.size.height - 2 * 0.9 * member.sunken, abs=0.7)
        assert one.width == pytest.approx(waist * member.size.width, abs=5 if level.region == "cervical" else 2)
        assert one.depth == pytest.approx((waist - 0.05) * member.size.depth, abs=1.2)
        assert one.density == pytest.approx(spec.trabecular * (1.25 if member.place < 7 else 1), rel=0.2)
