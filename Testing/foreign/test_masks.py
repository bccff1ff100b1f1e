"""Segmentations of others from their files, and onto the grid of the scan."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from grids import turn

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.foreign.codes import TABLES, CodeTable
from SpineSegmentationLib.foreign.fit import fit
from SpineSegmentationLib.foreign.masks import from_labels, read_mask

LEVELS = ["T11", "T12", "L1", "L2", "L3", "L4"]


def like(array: np.ndarray, image: sitk.Image) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def recoded(labels: np.ndarray, table: str) -> np.ndarray:
    """The numbers of VerSe as those of another table."""
    result = np.zeros(labels.shape, np.uint8)
    for code, level in TABLES[table].levels.items():
        result[labels == level] = code
    return result


def painted(mask, shape) -> np.ndarray:
    array = np.zeros(shape, np.uint8)
    for one in mask.segments:
        array[one.piece.place][one.piece.voxels] = one.level
    return array


@pytest.mark.parametrize("table", TABLES)
def test_a_label_map_of_every_table_is_read_as_it_is(tmp_path, column, labels, table):
    path = tmp_path / "mask.nii.gz"
    sitk.WriteImage(like(recoded(labels, table), column.ct), str(path))
    mask = read_mask(path, None if table.startswith(("verse", "total")) else TABLES[table])
    assert [one.level.name for one in sorted(mask.segments, key=lambda one: one.level.rank)] == LEVELS
    assert np.array_equal(painted(mask, labels.shape), labels)


def test_a_folder_of_masks_named_as_totalsegmentator_names_them(tmp_path, column, labels):
    for level in column.centroids.levels:
        sitk.WriteImage(
            like((labels == level).astype(np.uint8), column.ct), str(tmp_path / f"vertebrae_{level.name}.nii.gz")
        )
    sitk.WriteImage(like(np.zeros_like(labels), column.ct), str(tmp_path / "vertebrae_L5.nii.gz"))
    sitk.WriteImage(like((labels == 20).astype(np.uint8), column.ct), str(tmp_path / "rib_left_1.nii.gz"))
    mask = read_mask(tmp_path)
    assert np.array_equal(painted(mask, labels.shape), labels)
    assert mask.others == ("rib_left_1.nii.gz",)


def test_a_segmentation_of_slicer_with_layers_that_overlap(tmp_path, column, labels):
    layers = [np.where(labels == 20, 1, 0).astype(np.uint8), np.where(np.isin(labels, (20, 21)), 1, 0).astype(np.uint8)]
    image = sitk.Compose([like(layer, column.ct) for layer in layers])
    terminology = "TerminologyEntry:any~SCT^123037004^Anatomical Structure~SCT^14293000^L2 vertebra~^^~any~^^~^^|"
    for number, (name, tags) in enumerate((("L1", ""), ("Segment_2", terminology))):
        image.SetMetaData(f"Segment{number}_ID", f"Segment_{number}")
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_Layer", str(number))
        image.SetMetaData(f"Segment{number}_LabelValue", "1")
        image.SetMetaData(f"Segment{number}_Tags", tags)
    path = tmp_path / "own.seg.nrrd"
    sitk.WriteImage(image, str(path))
    first, second = read_mask(path).segments
    assert (first.level, second.level) == (Level.L1, Level.L2)
    assert np.count_nonzero(first.piece.voxels) == np.count_nonzero(layers[0])
    assert np.count_nonzero(second.piece.voxels) == np.count_nonzero(layers[1])


def test_segments_of_an_old_slicer_each_have_their_layer(tmp_path, column, labels):
    image = sitk.Compose([like((labels == code).astype(np.uint8), column.ct) for code in (20, 21)])
    for number, name in enumerate(("L1", "L2")):
        image.SetMetaData(f"Segment{number}_Name", name)
    sitk.WriteImage(image, str(tmp_path / "old.seg.nrrd"))
    found = {one.level: np.count_nonzero(one.piece.voxels) for one in read_mask(tmp_path / "old.seg.nrrd").segments}
    assert found == {code: np.count_nonzero(labels == code) for code in (Level.L1, Level.L2)}


def test_the_label_table_in_a_nifti_header_counts(tmp_path, column, labels):
    """What TotalSegmentator writes; here with numbers that would be read otherwise."""
    plain = tmp_path / "plain.nii"
    sitk.WriteImage(like(labels, column.ct), str(plain))
    data = bytearray(plain.read_bytes())
    names = "".join(f'<Label Key="{int(level)}" Red="1"><![CDATA[vertebrae_{level.name}]]></Label>' for level in Level)
    text = (
        f"<CaretExtension>{names}</CaretExtension>".replace("vertebrae_L4", "vertebrae_L9")
        .replace("vertebrae_L5", "vertebrae_L4")
        .encode()
    )
    size = (len(text) + 8 + 15) // 16 * 16
    struct.pack_into("<f", data, 108, 352 + size)
    extension = struct.pack("<ii", size, 0) + text.ljust(size - 8, b"\0")
    path = tmp_path / "named.nii.gz"
    path.write_bytes(gzip.compress(bytes(data[:348]) + b"\1\0\0\0" + extension + bytes(data[352:])))
    mask = read_mask(path)
    assert [one.level.name for one in mask.segments] == ["T11", "T12", "L1", "L2", "L3"]
    assert mask.others == ("vertebrae_L9",)


def test_unknown_numbers_are_left_out_and_said(column, labels):
    labels[labels == 23] = 99
    mask = from_labels(like(labels, column.ct), "mask", TABLES["verse"])
    assert [one.level.name for one in mask.segments] == LEVELS[:-1]
    assert any("unknown numbers are left out: 99" in note for note in mask.notes)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda labels: np.zeros_like(labels), "is empty"),
        (lambda labels: labels + np.float32(0.5), "broken numbers"),
        (lambda labels: labels.astype(np.int16) - 1, "perhaps a CT"),
        (lambda labels: np.where(labels > 0, 200, 0).astype(np.uint8), "fit no known code table"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, column, labels, spoil, message):
    path = tmp_path / "mask.nrrd"
    sitk.WriteImage(like(spoil(labels), column.ct), str(path))
    with pytest.raises(SpineError, match=message):
        read_mask(path)


def test_a_mask_without_vertebra_is_refused(column, labels):
    with pytest.raises(SpineError, match="no vertebra, only 5"):
        from_labels(like(np.where(labels > 0, 5, 0).astype(np.uint8), column.ct), "m", TABLES["totalsegmentator"])


def test_a_series_of_masks_is_refused(tmp_path, column, labels):
    path = tmp_path / "mask.nii.gz"
    sitk.WriteImage(sitk.JoinSeries([like(labels, column.ct)] * 2), str(path))
    with pytest.raises(SpineError, match="4D series"):
        read_mask(path)


def test_a_folder_of_masks_on_two_grids_is_refused(tmp_path, column, labels):
    sitk.WriteImage(like((labels == 20).astype(np.uint8), column.ct), str(tmp_path / "L1.nii.gz"))
    sitk.WriteImage(like((labels == 21).astype(np.uint8), column.ct)[1:], str(tmp_path / "L2.nii.gz"))
    with pytest.raises(SpineError, match="another grid than the other masks"):
        read_mask(tmp_path)


# On the grid of the scan


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_another_order_of_the_axes_is_exact(column, labels, axes, flips):
    image = sitk.Flip(sitk.PermuteAxes(like(labels, column.ct), axes), flips)
    mask = fit(from_labels(image, "mask", TABLES["verse"]), column.ct)
    assert np.array_equal(painted(mask, labels.shape), labels)
    assert mask.notes == ()


def test_a_part_of_the_scan_is_exact(column, labels):
    mask = fit(from_labels(like(labels, column.ct)[3:, 5:, 7:], "mask", TABLES["verse"]), column.ct)
    expected = labels.copy()
    expected[:7], expected[:, :5], expected[:, :, :3] = 0, 0, 0
    assert np.array_equal(painted(mask, labels.shape), expected)


def test_another_grid_is_resampled_and_said(column, labels):
    finer = sitk.Resample(
        like(labels, column.ct), [2 * n for n in column.ct.GetSize()], sitk.Transform(), sitk.sitkNearestNeighbor,
        column.ct.GetOrigin(), [s / 2 for s in column.ct.GetSpacing()], column.ct.GetDirection(), 0,
    )  # fmt: skip
    mask = fit(from_labels(finer, "mask", TABLES["verse"]), column.ct)
    assert "another grid (0.75 x 0.75 x 1 mm, the scan has 1.5 x 1.5 x 2 mm): nearest voxels taken" in mask.notes[0]
    assert np.array_equal(painted(mask, labels.shape), labels)


def test_an_oblique_mask_lands_where_it_was(column, labels):
    image = like(labels, column.ct)
    turned = sitk.Image([90, 130, 200], sitk.sitkUInt8)
    turned.SetSpacing((1.0, 1.0, 1.0))
    turned.SetDirection(turn(0, 20).ravel())
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()]))
    turned.SetOrigin((middle - turn(0, 20) @ [45, 65, 100]).tolist())
    turned = sitk.Resample(image, turned, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    result = painted(fit(from_labels(turned, "mask", TABLES["verse"]), column.ct), labels.shape)
    for level in (Level.T12, Level.L1, Level.L2):
        both = np.count_nonzero((result == level) & (labels == level))
        assert 2 * both / (np.count_nonzero(result == level) + np.count_nonzero(labels == level)) > 0.85


def test_a_mask_that_reaches_out_of_the_scan_is_cut_and_said(column, labels):
    table = CodeTable("own", {22: Level.L3, 23: Level.L4})
    mask = fit(from_labels(like(labels, column.ct), "mask", table), column.ct[:, :, 25:])
    assert any(note.startswith("23: ") and "outside the scan" in note for note in mask.notes)


def test_a_mask_beside_the_scan_is_refused(column, labels):
    image = like(labels, column.ct)
    image.SetOrigin((500.0, 0.0, 0.0))
    with pytest.raises(SpineError, match="does not overlap the scan"):
        fit(from_labels(image, "mask", TABLES["verse"]), column.ct)
