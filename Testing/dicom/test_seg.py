"""Label maps as DICOM SEG: where every voxel lies, what it is called, and reading it back, ours and others'."""

import copy
import shutil
import subprocess
from functools import cache

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_series import BLOCKS, label_map_of, levels_at, places_of, write_series

from SpineSegmentationLib.anatomy import SACRUM, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.evaluation.command import score_folders
from SpineSegmentationLib.exchange.adopt import adopt
from SpineSegmentationLib.foreign.fit import fit
from SpineSegmentationLib.foreign.masks import read_mask
from SpineSegmentationLib.io.ct import read_ct

hd = pytest.importorskip("highdicom", reason="highdicom is not installed")
seg_writer = pytest.importorskip("SpineSegmentationLib.dicom.seg")
source_module = pytest.importorskip("SpineSegmentationLib.dicom.source")

TILT = np.radians(18)
SERIES = {
    "axial": {},
    "feet first in the files": {"track": (0, 0, -1)},
    "sagittal": {"orientation": (0, 1, 0, 0, 0, -1), "size": (60, 30), "count": 20},
    "coronal": {"orientation": (1, 0, 0, 0, 0, -1), "size": (60, 30), "count": 20},
    "turned round": {"orientation": (-1, 0, 0, 0, -1, 0)},
    "oblique": {"orientation": (0.96, 0.28, 0, -0.28 * 0.8, 0.96 * 0.8, -0.6)},
    "gantry tilt": {"orientation": (1, 0, 0, 0, np.cos(TILT), -np.sin(TILT)), "track": (0, 0, 1)},
    "missing slices": {"left_out": (12, 13)},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """For a name in SERIES: the folder with the series and its SEG, the scan, its truth, and the source; made once."""

    @cache
    def make(name="axial"):
        folder = tmp_path_factory.mktemp("series")
        write_series(folder / "ct", **SERIES[name])
        scan = read_ct(folder / "ct")
        truth = label_map_of(scan.image)
        source = source_module.source_of(scan)
        algorithm = seg_writer.Algorithm("combined", parameters={"labelling": "0123"})
        seg_writer.write_dicom(seg_writer.segmentation(source, truth, algorithm), folder / "seg.dcm")
        return folder, scan, truth, source

    return make


@pytest.mark.parametrize("name", SERIES)
def test_every_pixel_lies_where_the_truth_is(made, name):
    """Read with pydicom alone: each frame's own place, against the phantom's formula."""
    folder, *_ = made(name)
    seg = pydicom.dcmread(folder / "seg.dcm")
    images = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, (folder / "ct").iterdir())}
    labels = {item.SegmentNumber: item.SegmentLabel for item in seg.SegmentSequence}
    assert labels == {1: "T12 vertebra", 2: "L1 vertebra", 3: "L6 vertebra"}
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    pixel = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
    wrong = total = 0
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        level = Level[labels[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber].split()[0]]
        position = [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
        expected = levels_at(places_of(position, orientation, pixel, seg.Rows, seg.Columns)) == level
        wrong += np.count_nonzero(expected != (frame > 0))
        total += np.count_nonzero(expected)
        # The image that the frame refers to lies at the same place.
        uid = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_allclose(position, np.array(images[uid].ImagePositionPatient, float), atol=1e-4)
    # On the tilted series the label map itself was made on an upright grid.
    assert wrong <= (0.12 if name == "gantry tilt" else 0) * total
    assert total > 3000


@pytest.mark.parametrize("name", SERIES)
def test_our_reader_brings_back_what_was_written(made, name):
    folder, scan, truth, _ = made(name)
    mask = read_mask(folder / "seg.dcm")
    assert {one.level for one in mask.segments} == set(BLOCKS)
    result = sitk.GetArrayFromImage(adopt(mask, scan.image).label_map(scan.image))
    expected = sitk.GetArrayFromImage(truth)
    if name == "missing slices":
        kept = [k for k in range(len(expected)) if k not in (12, 13)]
        result, expected = result[kept], expected[kept]
    share = (
        2
        * np.count_nonzero((result == expected) & (expected > 0))
        / (np.count_nonzero(result) + np.count_nonzero(expected))
    )
    assert share > 0.9 if name == "gantry tilt" else share == 1


@pytest.mark.parametrize("name", ["axial", "feet first in the files", "sagittal", "oblique"])
def test_highdicom_reads_the_volume_where_the_truth_is(made, name):
    folder, *_ = made(name)
    volume = hd.seg.segread(folder / "seg.dcm").get_volume(combine_segments=True, relabel=False)
    index = np.stack(np.indices(volume.spatial_shape), -1)
    places = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    codes = np.array([0, Level.T12, Level.L1, Level.L6])
    assert np.array_equal(codes[volume.array], levels_at(places))


def test_what_the_object_says(made):
    folder, *_ = made()
    seg, image = pydicom.dcmread(folder / "seg.dcm"), pydicom.dcmread(next((folder / "ct").iterdir()))
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[name].value == image[name].value
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == image.SeriesInstanceUID
    first, _, last = seg.SegmentSequence
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "23215003"
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "123037004"
    assert first.TrackingID == "T12"
    assert first.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "combined"
    assert last.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "L6"
    color = hd.color.CIELabColor.from_dicom_value(first.RecommendedDisplayCIELabValue).to_rgb()
    np.testing.assert_allclose(color, [round(255 * value) for value in Level.T12.color], atol=2)


def test_the_sacrum_is_a_segment_of_its_own(made):
    _, _, truth, source = made()
    label_map = sitk.ChangeLabel(truth, {int(Level.L6): int(SACRUM)})
    seg = seg_writer.segmentation(source, label_map, seg_writer.Algorithm("combined"))
    last = seg.SegmentSequence[-1]
    assert (last.SegmentLabel, last.TrackingID) == ("Sacrum", "SACRUM")
    code = last.SegmentedPropertyTypeCodeSequence[0]
    assert (code.CodeValue, code.CodeMeaning) == ("54735007", "Sacrum")
    assert "SegmentedPropertyTypeModifierCodeSequence" not in code


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
def test_the_validator_finds_no_error(made):
    folder, *_ = made()
    said = subprocess.run(["dciodvfy", str(folder / "seg.dcm")], capture_output=True, text=True)
    assert "Segmentation" in said.stderr + said.stdout
    assert [line for line in (said.stderr + said.stdout).splitlines() if line.startswith("Error")] == []


@pytest.mark.skipif(
    shutil.which("segimage2itkimage") is None, reason="segimage2itkimage (PyPI: dcmqi) is not installed"
)
@pytest.mark.parametrize("name", ["axial", "feet first in the files", "oblique"])
def test_dcmqi_reads_every_voxel_where_the_truth_is(made, tmp_path, name):
    folder, _, truth, _ = made(name)
    words = ["segimage2itkimage", "--inputDICOM", folder / "seg.dcm", "--outputDirectory", tmp_path]
    subprocess.run([*map(str, words), "--outputType", "nii"], check=True, capture_output=True)
    expected = sitk.GetArrayFromImage(truth)
    for number, level in enumerate((Level.T12, Level.L1, Level.L6), 1):
        segment = sitk.ReadImage(str(tmp_path / f"{number}.nii.gz"))
        there = sitk.Resample(segment, truth, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        assert np.array_equal(sitk.GetArrayFromImage(there) > 0, expected == level)


def test_a_multi_frame_scan_is_the_source_of_its_frames(tmp_path):
    write_series(tmp_path / "ct")
    legacy = sorted(map(pydicom.dcmread, (tmp_path / "ct").iterdir()), key=lambda one: one.InstanceNumber)
    image = hd.legacy.LegacyConvertedEnhancedCTImage(legacy, "1.2.826.0.1.6", 3, "1.2.826.0.1.6.1", 1)
    (tmp_path / "enhanced").mkdir()
    image.save_as(tmp_path / "enhanced" / "one.dcm")
    scan = read_ct(tmp_path / "enhanced")
    source = source_module.source_of(scan)
    seg = seg_writer.segmentation(source, label_map_of(scan.image), seg_writer.Algorithm("combined"))
    seg_writer.write_dicom(seg, tmp_path / "seg.dcm")
    result = adopt(read_mask(tmp_path / "seg.dcm"), scan.image).label_map(scan.image)
    assert np.array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(label_map_of(scan.image)))


def test_of_two_passes_only_the_one_that_was_read_is_referred_to(tmp_path):
    """The second one lies at the same places: the images differ in nothing but what was read."""
    for number in (1, 2):
        write_series(tmp_path / "ct" / str(number), AcquisitionNumber=number)
        for file in (tmp_path / "ct" / str(number)).iterdir():
            image = pydicom.dcmread(file)
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.7.{number}.{file.stem[3:]}"
            image.save_as(tmp_path / "ct" / f"{number}-{file.name}")
            file.unlink()
    for asked, number in ((None, 1), ("1.2.826.0.1.5:2", 2)):
        scan = read_ct(tmp_path / "ct", series=asked)
        source = source_module.source_of(scan)
        own = {f"1.2.826.0.7.{number}.{place}" for place in range(28)}
        assert {image.SOPInstanceUID for image in source.images} == own
        truth = label_map_of(scan.image)
        seg = seg_writer.segmentation(source, truth, seg_writer.Algorithm("combined"))
        referred = {
            item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        }
        assert referred and referred <= own
        seg_writer.write_dicom(seg, tmp_path / "seg.dcm")
        result = adopt(read_mask(tmp_path / "seg.dcm"), scan.image).label_map(scan.image)
        assert np.array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(truth))


def test_of_two_phases_in_one_file_only_the_frames_of_the_one_that_was_read_count(tmp_path):
    write_series(tmp_path / "ct")
    legacy = sorted(map(pydicom.dcmread, (tmp_path / "ct").iterdir()), key=lambda one: one.InstanceNumber)
    image = hd.legacy.LegacyConvertedEnhancedCTImage(legacy, "1.2.826.0.1.6", 3, "1.2.826.0.1.6.1", 1)
    frames, pixels = list(image.PerFrameFunctionalGroupsSequence), image.PixelData
    both = [copy.deepcopy(frame) for frame in [*frames, *frames]]
    for number, frame in enumerate(both):
        frame.FrameContentSequence[0].TemporalPositionIndex = 1 + number // len(frames)
    image.PerFrameFunctionalGroupsSequence, image.NumberOfFrames, image.PixelData = both, len(both), 2 * pixels
    (tmp_path / "enhanced").mkdir()
    image.save_as(tmp_path / "enhanced" / "two.dcm")
    scan = read_ct(tmp_path / "enhanced", series="1.2.826.0.1.6:2")
    source = source_module.source_of(scan)
    assert sorted(source.numbers) == list(range(len(frames) + 1, 2 * len(frames) + 1))
    seg = seg_writer.segmentation(source, label_map_of(scan.image), seg_writer.Algorithm("combined"))
    referred = {
        int(number)
        for frame in seg.PerFrameFunctionalGroupsSequence
        for number in np.atleast_1d(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
    }
    assert referred and min(referred) > len(frames)


# Segmentations of others


def test_a_fractional_seg_counts_from_one_half(made, tmp_path):
    _, scan, truth, source = made()
    array = sitk.GetArrayFromImage(truth) == Level.L1
    plain = np.where(array, 0.8, 0.3).astype(np.float32)
    one = seg_writer._description(1, Level.L1, seg_writer.Algorithm("other"))
    seg = hd.seg.Segmentation(
        source.images, plain, "FRACTIONAL", [one], hd.UID(), 1, hd.UID(), 1, "other", "other", "1", "1"
    )  # fmt: skip
    seg.save_as(tmp_path / "fractional.dcm")
    result = fit(read_mask(tmp_path / "fractional.dcm"), scan.image)
    voxels = np.zeros(array.shape, bool)
    voxels[result.segments[0].piece.place] = result.segments[0].piece.voxels
    assert np.array_equal(voxels, array)


def test_segments_by_label_where_the_code_is_only_a_vertebra(made, tmp_path):
    folder, *_ = made()
    seg = pydicom.dcmread(folder / "seg.dcm")
    for item, label in zip(seg.SegmentSequence, ("vertebrae_T10", "Sacrum", "Bone"), strict=True):
        item.SegmentedPropertyTypeCodeSequence[0].CodeValue = "51282000"
        item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = "Vertebra"
        item.SegmentedPropertyTypeCodeSequence[0].pop("SegmentedPropertyTypeModifierCodeSequence", None)
        item.SegmentLabel = label
    seg.save_as(tmp_path / "seg.dcm")
    mask = read_mask(tmp_path / "seg.dcm")
    assert [one.level for one in mask.segments] == [Level.T10]
    assert mask.others == ("Sacrum", "Bone")


def test_what_is_no_seg_is_refused(made, tmp_path):
    folder, *_ = made()
    path = folder / "seg.dcm"
    with pytest.raises(SpineError, match="holds 28 DICOM files; give the one SEG"):
        read_mask(folder / "ct")
    with pytest.raises(SpineError, match="no segmentation"):
        read_mask(next((folder / "ct").iterdir()))
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SpineError, match="no complete DICOM segmentation"):
        read_mask(cut)
    seg = pydicom.dcmread(path)
    del seg.PerFrameFunctionalGroupsSequence
    seg.save_as(cut)
    with pytest.raises(SpineError, match="no complete DICOM segmentation"):
        read_mask(cut)


def test_a_series_that_lacks_what_a_seg_needs_is_refused(tmp_path):
    write_series(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        image = pydicom.dcmread(file)
        del image.FrameOfReferenceUID
        image.save_as(file)
    scan = read_ct(tmp_path / "ct")
    source = source_module.source_of(scan)
    with pytest.raises(SpineError, match=r"lack what a DICOM SEG needs: .*Frame Of Reference UID"):
        seg_writer.segmentation(source, label_map_of(scan.image), seg_writer.Algorithm("combined"))


def test_a_scan_that_is_not_dicom_has_no_source(tmp_path):
    write_series(tmp_path / "ct")
    sitk.WriteImage(read_ct(tmp_path / "ct").image, str(tmp_path / "scan.nii.gz"))
    with pytest.raises(SpineError, match="is not DICOM"):
        source_module.source_of(read_ct(tmp_path / "scan.nii.gz"))


def test_an_empty_label_map_is_refused(made):
    _, _, truth, source = made()
    with pytest.raises(SpineError, match="no vertebra lies on the images"):
        seg_writer.segmentation(source, truth * 0, seg_writer.Algorithm("combined"))


def test_a_seg_is_evaluated_like_a_label_map(made, tmp_path):
    folder, _, truth, _ = made()
    (tmp_path / "truth").mkdir()
    (tmp_path / "ours").mkdir()
    sitk.WriteImage(truth, str(tmp_path / "truth" / "one_seg.nii.gz"))
    shutil.copy(folder / "seg.dcm", tmp_path / "ours" / "one_seg.dcm")
    (result,) = score_folders(tmp_path / "truth", {"ours": tmp_path / "ours"}).results
    assert result.failures == ()
    assert result.segmentation.dice == dict.fromkeys(BLOCKS, 1.0)
    # As segment writes it beside its label map.
    sitk.WriteImage(truth, str(tmp_path / "ours" / "one_seg-vert_msk.nii.gz"))
    sitk.WriteImage(truth, str(tmp_path / "ours" / "one_seg-body_msk.nii.gz"))
    evaluation = score_folders(tmp_path / "truth", {"ours": tmp_path / "ours"})
    (result,) = evaluation.results
    assert result.failures == () and not any("body" in line for line in evaluation.messages)
