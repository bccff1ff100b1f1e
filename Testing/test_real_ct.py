"""The weights of the repository on real CT, which only the final fit of the names has seen; skips without that data."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.metrics import labelling_scores, segmentation_scores
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.pipeline import Pipeline

DATA = Path(__file__).resolve().parents[2] / "shared" / "ct"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real CT in {DATA}")


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(device="cpu")


def test_a_lumbar_spine_is_named_and_segmented(pipeline):
    folder = DATA / "verse008"
    ct = read_ct(folder / "ct.nii.gz").image
    truth = read_centroids(folder / "centroids.json", ct)
    result = pipeline.run(ct)
    assert result.box.contains(truth.positions).all()
    assert labelling_scores(truth, result.centroids).id_rate >= 0.9
    mask = sitk.ReadImage(str(folder / "seg-vert_msk.nii.gz"), sitk.sitkUInt8)
    assert segmentation_scores(mask, result.label_map).dice_mean >= 0.9


@pytest.mark.parametrize("case", ["openkbp_pt034", "qinlsc0049"])
def test_neck_and_chest_are_named(pipeline, case):
    folder = DATA / case
    ct = read_ct(folder / "ct.nii.gz").image
    truth = read_centroids(folder / "centroids.json", ct)
    result = pipeline.run(ct, until="labelling")
    scores = labelling_scores(truth, result.centroids)
    assert scores.id_rate >= 0.9
    assert scores.d_mean <= 5


def test_storage_orientation_changes_nothing(pipeline):
    ct = read_ct(DATA / "ts_example_3mm" / "ct.nii.gz").image
    turned = sitk.DICOMOrient(ct, "PIR")
    first, second = (pipeline.run(image, until="labelling").centroids for image in (ct, turned))
    assert first.levels == second.levels
    np.testing.assert_allclose(first.positions, second.positions, atol=1.0)


def test_one_vertebra_alone_is_the_same_as_among_others(pipeline):
    folder = DATA / "verse008"
    ct = read_ct(folder / "ct.nii.gz").image
    truth = read_centroids(folder / "centroids.json", ct)
    alone = sitk.GetArrayFromImage(pipeline.run(ct, centroids=truth, only=[Level.L2]).label_map)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "seg-vert_msk.nii.gz")))
    assert set(np.unique(alone)) == {0, int(Level.L2)}
    inside = alone == Level.L2
    assert 2 * (inside & (mask == Level.L2)).sum() / (inside.sum() + (mask == Level.L2).sum()) > 0.85
