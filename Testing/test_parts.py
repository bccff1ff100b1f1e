"""Parts of a label map: nothing is lost, and no file, picture or measure tells that it was made of a part."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from grids import image_of, turn
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.io.writing import write_image, write_part
from SpineSegmentationLib.measures.column import body_map, measure
from SpineSegmentationLib.measures.table import vertebra_rows
from SpineSegmentationLib.parts import filled, planes_of, start_of, whole_of
from SpineSegmentationLib.pictures.snapshot import snapshot
from SpineSegmentationLib.segmentation.mask import Piece, paint, paint_part, pieces_of
from SpineSegmentationLib.spine import Centroid, Centroids


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@given(
    shape=st.tuples(*[st.integers(4, 24)] * 3),
    ends=st.tuples(*[st.tuples(st.floats(0, 1), st.floats(0, 1))] * 3),
    spacing=st.tuples(*[st.sampled_from([0.2, 0.7, 1.0, 3.0])] * 3),
    tilt=st.sampled_from([0, 20]),
)
@settings(max_examples=60)
def test_a_part_holds_all_and_knows_its_place(shape, ends, spacing, tilt):
    voxels = np.zeros(shape, np.uint8)
    place = tuple(slice(int(min(e) * (n - 1)), int(max(e) * (n - 1)) + 1) for e, n in zip(ends, shape, strict=True))
    voxels[place] = 3
    image = image_of(voxels, spacing, direction=turn(0, tilt))
    part = filled(image)
    whole = whole_of(part, Grid.of(image))
    assert Grid.of(whole) == Grid.of(image) and np.array_equal(array(whole), voxels)
    assert np.array_equal(list(planes_of(part, image)), voxels)
    low, high = start_of(part, image), np.add(start_of(part, image), part.GetSize())
    for axis, side in enumerate(reversed(place)):
        # Two voxels and more than a millimetre, unless the scan ends before.
        least = max(2, 1 / spacing[axis] + 1e-9)
        assert low[axis] == 0 or side.start - low[axis] >= least
        assert high[axis] == image.GetSize()[axis] or high[axis] - side.stop >= least


def test_nothing_is_a_part_of_one_voxel():
    image = image_of(np.zeros((5, 6, 7), np.uint8))
    for part in (filled(image), paint_part({}, image)):
        assert part.GetSize() == (1, 1, 1) and not array(whole_of(part, Grid.of(image))).any()
        assert Grid.of(whole_of(part, Grid.of(image))) == Grid.of(image)


def test_pieces_are_painted_where_they_are():
    image = image_of(np.zeros((30, 40, 50), np.uint8), direction=turn(2, 30))
    one, other = Piece.of(np.ones((3, 4, 5), bool), (20, 10, 6)), Piece.of(np.eye(3, dtype=bool)[None], (22, 16, 4))
    pieces = {Level.L1: one, Level.L2: other, Level.L3: Piece.of(np.zeros((2, 2, 2), bool), (0, 0, 0))}
    expected = np.zeros((30, 40, 50), np.uint8)
    expected[6:9, 10:14, 20:25] = Level.L1
    expected[4, [16, 17, 18], [22, 23, 24]] = Level.L2
    part = paint_part(pieces, image)
    assert np.array_equal(array(paint(pieces, image)), expected)
    assert part.GetNumberOfPixels() < expected.size / 4
    assert np.array_equal(array(whole_of(part, Grid.of(image))), expected)
    again = pieces_of(part, start_of(part, image))
    assert {level: again[level].digest for level in again} == {Level.L1: one.digest, Level.L2: other.digest}


@pytest.mark.parametrize("number", [0, 1])
def test_a_file_of_a_part_is_that_of_the_whole(tmp_path, number):
    voxels = np.zeros((30, 20, 25), np.uint8)
    voxels[5:9, 4:7, 20:25] = 7 * number
    image = image_of(voxels, (0.7, 0.9, 1.1), direction=turn(0, 17) @ np.diag([-1, 1, -1]))
    write_image(image, tmp_path / "whole.nii.gz")
    write_part(filled(image), image, tmp_path / "part.nii.gz")
    whole, part = (gzip.decompress((tmp_path / f"{name}.nii.gz").read_bytes()) for name in ("whole", "part"))
    assert part == whole and len(whole) == 352 + voxels.size


def test_a_part_that_cannot_be_written_leaves_what_was_there(tmp_path):
    resource = pytest.importorskip("resource")
    voxels = np.random.default_rng(0).integers(0, 255, (30, 40, 50)).astype(np.uint8)
    path = tmp_path / "out.nii.gz"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(SpineError, match="space"):
            write_part(image_of(voxels), image_of(voxels), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["out.nii.gz"] and path.read_text() == "old"
    with pytest.raises(SpineError, match="cannot be written"):
        write_part(image_of(voxels), image_of(voxels), tmp_path / "none" / "out.nii.gz")


def test_a_picture_of_a_part_is_that_of_the_whole():
    # Half-millimetre pixels from the border of a scan with voxels of 1.1 mm: many lie half way between two voxels.
    values = np.random.default_rng(0).integers(-500, 900, (60, 90, 80)).astype(np.int16)
    labels = np.zeros(values.shape, np.uint8)
    labels[20:41, 30:61, 33:53] = np.random.default_rng(1).integers(20, 23, (21, 31, 20))
    for spacing in ((1.0, 1.0, 1.0), (1.1, 1.1, 1.1)):
        ct, whole = (image_of(one, spacing, (-30.1, 12.7, -500.3)) for one in (values, labels))
        middle = ct.TransformContinuousIndexToPhysicalPoint((43.0, 44.0, 30.0))
        centroids = Centroids((Centroid(Level.L3, middle),))
        assert np.array_equal(snapshot(ct, filled(whole), centroids), snapshot(ct, whole, centroids))


def test_measures_of_a_part_are_those_of_the_whole(column, labels):
    whole = image_of(np.where(labels == Level.L2, labels, 0))
    whole.CopyInformation(column.label_map)
    part = filled(whole)
    assert part.GetNumberOfPixels() < whole.GetNumberOfPixels() / 3
    of_part, of_whole = (measure(column.ct, one, column.centroids) for one in (part, whole))
    assert vertebra_rows(of_part) == vertebra_rows(of_whole)
    # The origin of a part is rounded.
    frames = [measures.vertebrae[0].body.frame.to_lps for measures in (of_part, of_whole)]
    np.testing.assert_allclose(*frames, rtol=0, atol=1e-9)
    bodies = array(body_map(whole, of_whole))
    assert bodies.any() and np.array_equal(array(whole_of(body_map(part, of_part), Grid.of(whole))), bodies)
