"""Learning from what people corrected: which results count, from which weights, and that nothing is forgotten."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from small_cohort import cohort_in
from torch import nn

from SpineSegmentationLib import weights
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.cohort.results import read_result
from SpineSegmentationLib.cohort.review import verdicts
from SpineSegmentationLib.cohort.review.apply import apply_review
from SpineSegmentationLib.cohort.review.verdicts import Say, Verdict
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.values import read_centroids, write_centroids
from SpineSegmentationLib.training import command
from SpineSegmentationLib.training.corrections import check_forgetting, corrected_subjects
from SpineSegmentationLib.training.subjects import Subject

L = Level


@pytest.fixture
def out(tmp_path):
    """Results of three scans, of which one was reviewed and shifted by one."""
    out = cohort_in(tmp_path)
    verdicts.add(out, Verdict("carl", read_result(out, "carl").digest, "me", verdicts.now(), Say.SHIFT, by=1))
    [applied], _ = apply_review(out)
    assert applied.done
    return out


def test_reviewed_results_are_learnt_with_their_new_names(out):
    [subject] = corrected_subjects(out, 2.0)
    assert subject.name == "carl, corrected" and subject.source == "real"
    assert subject.levels == (L.T12, L.L1, L.L2)
    # 12 mm apart, the upper one first; arrays begin at the feet.
    assert np.allclose(np.diff(subject.positions[:, 0]), -6, atol=0.5)
    hu = [subject.hu[tuple(np.rint(position).astype(int))] for position in subject.positions]
    assert min(hu) > 300
    # The masks are nobody's, and blocks of the stand-in are no whole vertebrae.
    assert subject.labels is None


def test_what_was_mended_in_slicer_is_learnt_as_it_is(out):
    mended = out / "cohort" / "corrected"
    mended.mkdir()
    label_map = sitk.ReadImage(str(out / "bert_seg-vert_msk.nii.gz"))
    sitk.WriteImage(label_map, str(mended / "bert_seg-vert_msk.nii.gz"))
    found = read_centroids(out / "bert_seg-subreg_ctd.json", label_map)
    write_centroids(found.moved(L.T12, found[L.T12].position), label_map, mended / "bert_seg-subreg_ctd.json")
    bert, carl = corrected_subjects(out, 1.0)
    assert (bert.name, carl.name) == ("bert, corrected", "carl, corrected")
    assert bert.levels == (L.T11, L.T12) and np.unique(bert.labels).tolist() == [0, L.T11, L.T12]


def test_a_scan_that_has_changed_is_refused(out, tmp_path):
    (tmp_path / "scans" / "carl.nii.gz").write_bytes(b"another")
    with pytest.raises(SpineError, match="not the scan any more"):
        list(corrected_subjects(out, 2.0))


def test_forgetting_is_an_error():
    check_forgetting(1.0, 1.05)
    for after in (1.2, float("nan")):
        with pytest.raises(SpineError, match="forgets"):
            check_forgetting(1.0, after)


class Tiny(nn.Module):
    """Learns one number."""

    def __init__(self, width: str) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1, 1, 1, 1))


class Number:
    """The number to be learnt: 1 where the subjects are phantoms alone, ``of_people`` otherwise."""

    spacing, batch, reuse, of_people = 2.0, 2, 1, 1.0

    def __init__(self, subjects: list[Subject]) -> None:
        self.number = 1.0 if all(subject.source == "phantom" for subject in subjects) else self.of_people

    def draw(self, rng):
        return self.number

    def loss(self, network, batch):
        return (network.value - torch.tensor(batch)).square().mean() + 0.01


@pytest.fixture
def tuned(monkeypatch, tmp_path, out):
    """Fine-tunes a network of one number, which ships as 0.9, towards the number given."""
    shipped = Tiny("small")
    nn.init.constant_(shipped.value, 0.9)
    weights.save(shipped, "tiny-labelling", "small", tmp_path / "models")
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path / "models",))
    monkeypatch.setitem(command.RECIPES, ("tiny", "labelling"), command.Recipe(Tiny, Number, 8, ((80, 80), (90, 90))))

    def phantoms(count, seed, spacing, field):
        zeros = np.zeros((2, 2, 2), np.int16)
        return [
            Subject(f"p{n}", zeros, None, False, (L.L1,), np.zeros((1, 3)), spacing, "phantom") for n in range(count)
        ]

    monkeypatch.setattr(command, "phantom_subjects", phantoms)

    def tune(number: float, corrections=out):
        monkeypatch.setattr(Number, "of_people", number)
        folder = tmp_path / "tuned"
        path = command.train_stage(
            stage="labelling", system="tiny", width="compact", folder=folder, steps=200, seed=0, device="cpu",
            phantoms=0, verse=[], shared=None, corrections=corrections,
        )  # fmt: skip
        assert path.parent == folder
        with weights.preferring(folder):
            return weights.load("tiny-labelling", Tiny, torch.device("cpu"))

    return tune


def test_the_shipped_weights_learn_and_come_before_the_shipped_ones(tuned, tmp_path):
    network, used = tuned(1.0)
    assert 0.9 < network.value.item() < 1.0 and used.path.parent == tmp_path / "tuned" and used.width == "small"
    card = json.loads((tmp_path / "tuned" / "tiny-labelling.json").read_text())
    assert card["fine-tuned from"] == weights.find("tiny-labelling").sha256 != used.sha256
    assert card["trained on"]["real"] == ["carl, corrected"] and len(card["trained on"]["phantom"]) == command.REHEARSED


def test_weights_that_forget_are_not_kept(tuned, tmp_path):
    with pytest.raises(SpineError, match="forgets"):
        tuned(-50.0)
    assert not list((tmp_path / "tuned").glob("*.safetensors"))


def test_nothing_to_learn_from(tuned, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpineError, match="nobody has checked"):
        tuned(1.0, tmp_path / "empty")
