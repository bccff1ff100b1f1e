"""Training: deformations, synthesis, targets, and the loop on a tiny network."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from SpineSegmentationLib import weights
from SpineSegmentationLib.anatomy import COLUMN, SACRUM, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.values import write_centroids
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.quantising import restored
from SpineSegmentationLib.training.anduin_labelling import LabellingTask, level_distribution
from SpineSegmentationLib.training.command import RECIPES, train_stage
from SpineSegmentationLib.training.deformation import Deformation, sample
from SpineSegmentationLib.training.detection import DetectionTask
from SpineSegmentationLib.training.folds import Fold
from SpineSegmentationLib.training.loop import train
from SpineSegmentationLib.training.segmentation import SegmentationTask
from SpineSegmentationLib.training.subjects import (
    VALIDATION,
    Subject,
    _make,
    phantom_subjects,
    rarity,
    real_subjects,
    verse_subjects,
)
from SpineSegmentationLib.training.synthesis import scanned, smooth, synthesise


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_points_and_voxels_are_deformed_alike(seed):
    rng = np.random.default_rng(seed)
    size = (30, 34, 38)
    deformation = Deformation(rng, size, rng.uniform(20, 40, 3), rotation=15, scale=0.2, bend=1.0, wavelength=16)
    points = rng.uniform(8, 22, (5, 3))
    grid = deformation.grid()
    source = np.array([grid[tuple(np.rint(p).astype(int))].numpy() for p in points])
    np.testing.assert_allclose(deformation.to_sample(source), np.rint(points), atol=0.35)


def test_sampling_without_deformation_copies():
    volume = np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in volume.shape), indexing="ij")
    values = sample(volume, torch.stack(axes, -1), fill=-1024)
    np.testing.assert_allclose(values, volume, atol=1e-3)


def test_outside_the_source_is_air():
    grid = torch.full((2, 2, 2, 3), -50.0)
    assert (sample(np.zeros((4, 4, 4), np.int16), grid, fill=-1024) == -1024).all()


def test_smoothing_keeps_the_mean_and_its_width():
    impulse = torch.zeros(21, 21, 21)
    impulse[10, 10, 10] = 1
    result = smooth(impulse, (2.0, 0.0, 0.0))
    assert float(result.sum()) == pytest.approx(1, abs=1e-5)
    positions = torch.arange(21) - 10.0
    assert float((result[:, 10, 10] * positions**2).sum()) == pytest.approx(4, rel=0.12)


def test_synthetic_tissue_has_plausible_hounsfield_units():
    labels = torch.zeros(24, 24, 24)
    labels[:, :, 8:] = 71
    labels[6:18, 6:18, 12:20] = int(Level.L3)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        hu = synthesise(labels, True, 2.0, rng, torch.Generator().manual_seed(seed))
        assert float(hu[:, :, :4].mean()) < -900
        muscle = float(hu[0:4, :, 10:].mean())
        assert -40 < muscle < 140
        assert float(hu[8:16, 8:16, 14:18].mean()) > muscle


def test_real_bones_stay_in_synthetic_surroundings():
    labels = np.full((20, 24, 24), 71, np.uint8)
    labels[:, :, :6] = 0
    labels[5:15, 8:16, 10:18] = int(Level.L2)
    hu = np.zeros(labels.shape, np.int16)
    hu[5:15, 8:16, 10:18] = 1500
    subject = Subject("bones", hu, labels, True, (Level.L2,), np.array([[10.0, 12, 14]]), 2.0)
    grid = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in hu.shape), indexing="ij"), -1)
    for seed in range(5):
        result = scanned(subject, grid, 2.0, np.random.default_rng(seed), torch.Generator().manual_seed(seed))
        assert float(result[8:12, 10:14, 12:16].mean()) > 1200
        assert -60 < float(result[8:12, 19:, 12:].mean()) < 160
        assert float(result[:, :, :3].mean()) < -850


def test_rare_levels_are_drawn_more_often():
    def person(*levels):
        return Subject("x", None, np.zeros((2, 2, 2), np.uint8), True, levels, np.zeros((len(levels), 3)), 2.0)

    subjects = [person(Level.C1, Level.C2), person(Level.C2, Level.C3), person(Level.L1)]
    np.testing.assert_allclose(rarity(subjects), [0.75, 0.75, 1.0])


def test_levels_distribution_sums_to_one_and_peaks_at_the_vertebra():
    maps = level_distribution(np.array([3, 4]), np.array([[5.0, 6.0], [13.0, 7.0]]), (20, 12))
    torch.testing.assert_close(maps.sum(0), torch.ones(20, 12))
    assert float(maps[1 + 3, 5, 6]) == pytest.approx(1, abs=0.01)
    assert int(maps[1:, 13, 7].argmax()) == 4
    assert float(maps[0, 0, 0]) > 0.9


@pytest.fixture(scope="module")
def subjects():
    by_spacing = {}
    for spacing in (1.0, 2.0, 4.0):
        by_spacing[spacing] = list(phantom_subjects(2, 7, spacing, ((95, 105), (100, 110))))
    return by_spacing


def test_phantom_subjects_know_their_centroids(subjects):
    subject = subjects[1.0][0]
    assert subject.source == "phantom"
    inside = [
        subject.labels[tuple(np.rint(p).astype(int))] == level
        for level, p in zip(subject.levels, subject.positions, strict=True)
        if level != Level.C1
    ]
    assert np.mean(inside) > 0.9


@pytest.mark.parametrize("task_type", [DetectionTask, LabellingTask, SegmentationTask])
def test_samples_repeat_with_their_seed_and_can_be_learnt_from(task_type, subjects):
    task = task_type(subjects[task_type.spacing])
    first, second = (task.draw(np.random.default_rng(5)) for _ in range(2))
    tensors = [value for value in (vars(first).values() if hasattr(first, "__dict__") else first)]
    again = [value for value in (vars(second).values() if hasattr(second, "__dict__") else second)]
    for a, b in zip(tensors, again, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    recipe = next(r for r in RECIPES.values() if r.task is task_type)
    with torch.autocast("cpu", torch.bfloat16):  # as processors that have it train
        loss = task.loss(recipe.architecture(), [first] * task.batch)
    loss.backward()
    assert torch.isfinite(loss)


def test_the_segmentation_sample_points_at_its_vertebra(subjects):
    task = SegmentationTask(subjects[1.0])
    distances = []
    for seed in range(6):
        _, gaussian, mask = task.draw(np.random.default_rng(seed))
        peak = np.argwhere(gaussian[0].numpy() == gaussian.max().item())[0]
        distances.append(np.linalg.norm(np.argwhere(mask[0].numpy()) - peak, axis=1).min())
    assert np.median(distances) < 3


def test_phantoms_and_atlases_know_where_s1_is():
    phantom = make_phantom(PhantomSpec(seed=3, first=Level.L4, last=Level.L5, margin=45, field=(110, 120)), (2, 2, 2))
    points = {p.level: np.array(p.position) for p in phantom.centroids}
    given = _make("a", phantom.ct, phantom.bones, False, points, 2.0, np.array(phantom.sacrum))
    found, atlas = (
        _make("b", phantom.ct, phantom.bones, False, points, 2.0),
        _make("c", None, phantom.bones, False, None, 2.0),
    )
    for subject in (found, atlas):
        assert np.linalg.norm(subject.sacrum - given.sacrum) * 2 < 12
    assert _make("d", phantom.ct, phantom.label_map, False, points, 2.0).sacrum is None
    # A field of view that ends within S1: what is left of it has no middle that could be S1's.
    end = phantom.bones.TransformPhysicalPointToIndex(phantom.sacrum)[2] + 4
    cut = phantom.ct[:, :, end:], phantom.bones[:, :, end:]
    assert (sitk.GetArrayFromImage(cut[1]) == SACRUM).any()
    assert _make("e", *cut, False, points, 2.0).sacrum is None


class Line(nn.Module):
    def __init__(self, width="compact"):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1, 1))

    def forward(self, x):
        return x @ self.slope


class LineTask:
    spacing, batch, reuse = 1.0, 4, 2

    def draw(self, rng):
        x = float(rng.normal())
        return torch.tensor([[x]]), torch.tensor([[3 * x]])

    @staticmethod
    def loss(network, batch):
        x, y = (torch.cat(part) for part in zip(*batch, strict=True))
        return (network(x).float() - y).square().mean()


def test_the_loop_learns_logs_and_saves(tmp_path):
    lines = []
    network = train(Line(), LineTask(), tmp_path, steps=400, learning_rate=0.1, workers=0, report=lines.append)
    assert network.slope.item() == pytest.approx(3, abs=0.15)
    assert (tmp_path / "loss.png").stat().st_size > 1000
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 8
    assert lines[-1].startswith("step 400 of 400")


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    lines = []
    train(Line(), LineTask(), tmp_path, steps=60, workers=0)
    train(Line(), LineTask(), tmp_path, steps=120, workers=0, report=lines.append)
    assert lines[0] == "resumed at step 60 of 120"
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 120


def test_train_stage_writes_checked_weights_and_a_card(tmp_path, monkeypatch):
    path = train_stage(
        stage="detection", system="anduin", width="compact", folder=tmp_path, steps=2, seed=7, device="cpu",
        phantoms=2, verse=[], shared=None,
    )  # fmt: skip
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path,))
    assert weights.find("anduin-detection").path == path
    card = json.loads((tmp_path / "anduin-detection.json").read_text())
    assert card["sha256"] == weights.find("anduin-detection").sha256
    assert len(card["trained on"]["phantom"]) == 2


def test_fine_tuning_begins_with_the_weights_at_hand(tmp_path):
    train_stage(
        stage="detection", system="anduin", width="paper", folder=tmp_path, steps=1, seed=7, device="cpu",
        phantoms=2, verse=[], shared=None, fine_tune=True,
    )  # fmt: skip
    shipped, tuned = weights.find("anduin-detection"), restored(load_file(tmp_path / "anduin-detection.safetensors"))
    for key, value in restored(load_file(shipped.path)).items():
        rounding = value.flatten(1).abs().max() / 62 if value.ndim > 1 else 0.0
        assert (tuned[key] - value).abs().max() < 2e-3 + rounding, key
    card = json.loads((tmp_path / "anduin-detection.json").read_text())
    assert card["fine-tuned from"] == shipped.sha256 and card["width"] == shipped.width


@pytest.mark.parametrize(
    ("system", "member", "words"),
    [("payer", 2, "payer labelling has no committee; leave out --member"), ("anduin", 0, "--member counts from 1")],
)
def test_only_the_projections_labeller_has_a_committee(tmp_path, system, member, words):
    with pytest.raises(SpineError, match=words):
        train_stage(
            stage="labelling", system=system, width="compact", folder=tmp_path, steps=1, seed=0, device="cpu",
            phantoms=1, verse=[], shared=None, member=member,
        )  # fmt: skip


def test_validation_cases_are_learnt_from_in_a_final_fit_alone(tmp_path):
    phantom = make_phantom(PhantomSpec(seed=3, first=Level.L1, last=Level.L3, field=(90, 100)), (2.0, 2.0, 2.0))
    for name in ("someone", VALIDATION[0]):
        folder = tmp_path / "ct" / name
        folder.mkdir(parents=True)
        sitk.WriteImage(phantom.ct, str(folder / "ct.nii.gz"))
        points = [{"label": point.level.name, "position": point.position} for point in phantom.centroids]
        (folder / "centroids.json").write_text(json.dumps({"points": points}))
    assert [subject.name for subject in real_subjects(tmp_path, 3.0)] == ["someone"]
    assert sorted(subject.name for subject in real_subjects(tmp_path, 3.0, final=True)) == ["someone", VALIDATION[0]]


@pytest.mark.parametrize("missing", [{"shared": None}, {"fold": Fold(1, 4)}])
def test_a_final_fit_is_of_everybody(tmp_path, missing):
    with pytest.raises(SpineError, match="--final learns from everybody"):
        train_stage(
            stage="labelling", system="combined", width="compact", folder=tmp_path, steps=1, seed=0, device="cpu",
            phantoms=0, verse=[], final=True, **{"shared": tmp_path, **missing},
        )  # fmt: skip


def test_training_needs_something_to_train_on(tmp_path):
    with pytest.raises(SpineError, match="nothing to train on"):
        train_stage(
            stage="detection", system="anduin", width="compact", folder=tmp_path, steps=1, seed=0, device="cpu",
            phantoms=0, verse=[], shared=None,
        )  # fmt: skip


def test_verse_folders_are_read(tmp_path):
    phantom = make_phantom(PhantomSpec(seed=3, first=Level.L1, last=Level.L3, field=(90, 100)), (2.0, 2.0, 2.0))
    raw, derived = tmp_path / "rawdata" / "sub-1", tmp_path / "derivatives" / "sub-1"
    raw.mkdir(parents=True)
    derived.mkdir(parents=True)
    sitk.WriteImage(phantom.ct, str(raw / "sub-1_ct.nii.gz"))
    sitk.WriteImage(phantom.label_map, str(derived / "sub-1_seg-vert_msk.nii.gz"))
    write_centroids(phantom.centroids, phantom.ct, derived / "sub-1_seg-subreg_ctd.json")
    (subject,) = verse_subjects(tmp_path, 2.0)
    assert isinstance(subject, Subject)
    assert subject.levels == phantom.centroids.levels
    for level, position in zip(subject.levels, subject.positions, strict=True):
        assert subject.labels[tuple(np.rint(position).astype(int))] == level


def test_every_level_has_a_rank_in_the_training_targets():
    assert [level.rank for level in COLUMN] == list(range(len(COLUMN)))
