"""Masks that the product draws itself on annotated scans: where they end, which are believed, that they are kept."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Findings
from SpineSegmentationLib.segmentation.mask import HALF, VertebraMask
from SpineSegmentationLib.training import command, own_masks
from SpineSegmentationLib.training.command import train_stage
from SpineSegmentationLib.training.own_masks import believable, best_border, ending_at, own_mask_subjects


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(
        PhantomSpec(seed=5, first=Level.L2, last=Level.L3, field=(110, 130), margin=40.0, noise=5.0), (1.5, 1.5, 1.5)
    )


def image_like(array, image):
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def true_labels(phantom):
    """The truth as people draw it: with the bright voxels beside it, which the bone fills in part."""
    truth, hu = (sitk.GetArrayFromImage(image) for image in (phantom.label_map, phantom.ct))
    truth = np.where((truth == 0) & (hu > 300), ndimage.grey_dilation(truth, 3), truth)
    truth[~np.isin(truth, [int(level) for level in phantom.centroids.levels])] = 0
    return truth


def test_own_masks_are_believed_when_whole_and_on_bone(phantom):
    truth = true_labels(phantom)

    def judged(labels):
        return set(believable(phantom.ct, image_like(labels, phantom.ct), phantom.centroids))

    assert {Level.L2, Level.L3} <= judged(truth)
    halved = truth.copy()
    body = np.argwhere(truth == Level.L3)
    halved[: int(body[:, 0].mean())][truth[: int(body[:, 0].mean())] == Level.L3] = 0
    assert Level.L3 not in judged(halved)
    beside = np.where(truth == Level.L3, 0, truth)
    z, y, x = body.T
    beside[z, np.maximum(y - 45, 0), x] = Level.L3  # in the soft tissue in front of the column
    assert Level.L3 not in judged(beside)
    left = truth.copy()
    left[:, :, : int(x.mean())][left[:, :, : int(x.mean())] == Level.L3] = 0
    assert Level.L3 not in judged(left)
    cut = truth[body[:, 0].min() + 1 :]
    part = phantom.ct[:, :, int(body[:, 0].min()) + 1 :]
    assert Level.L3 not in believable(part, image_like(cut, part), phantom.centroids)
    assert judged(np.zeros_like(truth)) == set()


def test_a_mask_ends_where_it_is_told_to():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    for border in (0.25, 0.4):
        ended = ending_at(VertebraMask(values, (0, 0, 0)), border).probability
        assert ended[0, 0, 0] == 0 and ended[0, 15, 15] == 255
        assert (np.diff(ended.ravel().astype(int)) >= 0).all()
        np.testing.assert_array_equal(ended >= HALF, values >= np.ceil(255 * border - 0.5 / HALF * 255 * border))


class TimidPipeline:
    """Draws what people draw, with a probability of 0.35 beside the inner part of each vertebra."""

    def __init__(self, phantom):
        self.drawn, self.calls = image_like(true_labels(phantom), phantom.ct), 0

    def find(self, ct, *, centroids):
        self.calls += 1
        lattice = sitk.Resample(self.drawn, [110, 130, 240], sitk.Transform(), sitk.sitkNearestNeighbor,
                                [round(v) for v in self.drawn.GetOrigin()], (1.0, 1.0, 1.0))  # fmt: skip
        labels = sitk.GetArrayFromImage(lattice)
        masks = {}
        for level in centroids.levels:
            mine = sitk.GetImageFromArray((labels == level).astype(np.uint8))
            inner = sitk.GetArrayFromImage(sitk.BinaryErode(mine, [1, 1, 1]))
            probability = np.where(inner, 0.95, 0.35 * (labels == level))
            masks[level] = VertebraMask.of(probability.astype(np.float32), lattice)
        return Findings(None, centroids, masks)


@pytest.fixture
def shared(phantom, tmp_path):
    """A folder as ``--shared``: one scan with a mask that a person drew, one without."""
    for name in ("drawn", "bare"):
        folder = tmp_path / "shared" / "ct" / name
        folder.mkdir(parents=True)
        sitk.WriteImage(phantom.ct, str(folder / "ct.nii.gz"))
        points = [{"label": p.level.name, "position": list(p.position)} for p in phantom.centroids]
        (folder / "centroids.json").write_text(json.dumps({"coordinate_system": "LPS", "points": points}))
    sitk.WriteImage(image_like(true_labels(phantom), phantom.ct), str(tmp_path / "shared/ct/drawn/seg-vert_msk.nii.gz"))
    return tmp_path / "shared"


def test_masks_end_where_those_that_people_drew_do(phantom, shared):
    assert best_border(shared, TimidPipeline(phantom)) == 0.3


def test_own_masks_are_drawn_once_and_kept(phantom, shared, tmp_path, monkeypatch):
    monkeypatch.setattr(own_masks, "MISSED", 0.2)  # voxels of 1.5 mm that the bone fills in part are lost on the way
    pipeline = TimidPipeline(phantom)
    [subject] = own_mask_subjects(shared, 2.0, pipeline, tmp_path / "own")
    assert subject.name == "bare" and subject.source == "own"
    assert {Level.L2, Level.L3} <= set(subject.levels)
    assert pipeline.calls == 2  # one on the scan with a mask, to learn where masks end
    [again] = own_mask_subjects(shared, 2.0, pipeline, tmp_path / "own")
    assert pipeline.calls == 2
    np.testing.assert_array_equal(again.labels, subject.labels)


def test_own_masks_need_scans_and_segmentation(tmp_path):
    with pytest.raises(SpineError, match="--own-masks"):
        train_stage(
            stage="labelling", system="anduin", width="compact", folder=tmp_path, steps=1, seed=0, device="cpu",
            phantoms=1, verse=[], shared=None, own_masks=tmp_path,
        )  # fmt: skip


def test_own_masks_are_drawn_where_the_training_runs_and_by_its_weights(tmp_path, monkeypatch):
    for name in ("ct", "anatomy"):
        (tmp_path / name).mkdir()
    made = []
    monkeypatch.setattr(command, "Pipeline", lambda **given: made.append(given))
    with pytest.raises(SpineError, match="nothing to train on"):
        train_stage(
            stage="segmentation", system="payer", width="compact", folder=tmp_path, steps=1, seed=0, device="cpu",
            phantoms=0, verse=[], shared=tmp_path, own_masks=tmp_path / "own", start=tmp_path,
        )  # fmt: skip
    assert made == [{"device": "cpu", "weights": tmp_path}]
