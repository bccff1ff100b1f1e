"""Trains the network of one stage from whatever data there is: phantoms, VerSe folders, shared CT and atlases."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import torch
from torch import nn

from .. import __version__, weights
from .. import device as devices
from ..errors import SpineError
from ..io.values import write_json
from ..networks.anduin_btrfly import Btrfly
from ..networks.anduin_fcn import SpineFCN
from ..networks.anduin_unet import VertebraUNet
from ..networks.attention import AttentionNet, SegmentationNet
from ..networks.context import ContextNet
from ..networks.evidence import EvidenceNet
from ..networks.lessmann import IterativeFCN, RibNetwork
from ..networks.mccouat_glocker import DenseDetectionUNet, DenseIdentificationUNet
from ..networks.payer_scn import SpatialConfigurationNet
from ..networks.payer_unet import PointedUNet, SpineUNet
from ..pipeline import Pipeline
from .anduin_labelling import LabellingTask
from .attention import AttentionTask, SpineMaskTask
from .context import ContextTask
from .corrections import RATE, check_forgetting, corrected_subjects, forgetting, mean_loss
from .detection import DetectionTask, PayerDetectionTask
from .evidence import EvidenceTask
from .folds import SAME_PERSON, Fold
from .lessmann import LessmannTask
from .lessmann_ribs import LessmannRibTask
from .loop import Task, train
from .mccouat_glocker import McCouatGlockerDetectionTask, McCouatGlockerLabellingTask
from .own_masks import own_mask_subjects
from .payer_labelling import PayerLabellingTask
from .segmentation import PayerSegmentationTask, SegmentationTask
from .subjects import (
    Subject,
    atlas_subjects,
    negative_subjects,
    phantom_subjects,
    real_subjects,
    scan_names,
    verse_subjects,
)

SOURCES = ("real", "own", "atlas", "phantom")
REHEARSED, KEPT = 8, 4  # phantoms that are learnt beside corrections, and on which forgetting is measured
FRESH, GENTLE = 2e-3, 6e-4  # learning rates, from nothing and from weights that know the task
Drawing = Callable[[Path, float], Iterator[Subject]]
WHOLE = 4.0  # mm: at this spacing the shared scans show their whole field of view


@dataclass(frozen=True)
class Recipe:
    """How a stage's network is trained: architecture, task, buffer size, phantoms' field of view in mm.

    ``committee``: several networks may be trained apart for the same answer. ``negatives``: scans without a vertebra
    are of use.
    """

    architecture: type[nn.Module]
    task: type[Task]
    capacity: int
    field: tuple[tuple[float, float], tuple[float, float]]
    committee: bool = False
    negatives: bool = False


RECIPES: dict[tuple[str, str], Recipe] = {
    ("anduin", "detection"): Recipe(SpineFCN, DetectionTask, 64, ((180, 160), (400, 330))),
    ("anduin", "labelling"): Recipe(Btrfly, LabellingTask, 512, ((85, 110), (130, 150)), committee=True),
    ("anduin", "segmentation"): Recipe(VertebraUNet, SegmentationTask, 48, ((125, 135), (130, 140))),
    ("payer", "detection"): Recipe(SpineUNet, PayerDetectionTask, 64, ((180, 160), (400, 330))),
    ("payer", "labelling"): Recipe(SpatialConfigurationNet, PayerLabellingTask, 128, ((180, 160), (400, 330))),
    ("payer", "segmentation"): Recipe(PointedUNet, PayerSegmentationTask, 48, ((125, 135), (130, 140))),
    ("mccouat-glocker", "detection"): Recipe(
        DenseDetectionUNet, McCouatGlockerDetectionTask, 96, ((180, 160), (400, 330))
    ),
    ("mccouat-glocker", "labelling"): Recipe(
        DenseIdentificationUNet, McCouatGlockerLabellingTask, 160, ((85, 110), (130, 150))
    ),
    ("attention", "detection"): Recipe(AttentionNet, AttentionTask, 400, ((125, 135), (300, 260))),
    ("attention", "segmentation"): Recipe(SegmentationNet, SpineMaskTask, 160, ((125, 135), (300, 260))),
    ("combined", "labelling"): Recipe(
        EvidenceNet, EvidenceTask, 256, ((150, 150), (220, 200)), committee=True, negatives=True
    ),
    ("combined", "context"): Recipe(ContextNet, ContextTask, 160, ((200, 180), (420, 330)), committee=True),
    ("lessmann", "labelling"): Recipe(RibNetwork, LessmannRibTask, 160, ((125, 135), (180, 180))),
    ("lessmann", "segmentation"): Recipe(IterativeFCN, LessmannTask, 160, ((125, 135), (180, 180))),
}


def train_stage(
    *,
    stage: str,
    system: str,
    width: str,
    folder: Path,
    steps: int,
    seed: int,
    device: str,
    phantoms: int,
    verse: list[Path],
    shared: Path | None,
    own_masks: Path | None = None,
    member: int = 1,
    corrections: Path | None = None,
    fold: Fold | None = None,
    final: bool = False,
    fine_tune: bool = False,
    start: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Trains one network and writes weights, registry and model card to ``folder``; resumes what was begun there.

    Args:
        stage, system: a key of ``RECIPES``.
        width: ``"compact"`` or ``"paper"``.
        steps: in all, those of an interrupted run included.
        phantoms: how many to generate; ``verse``: folders in the VerSe layout; ``shared``: the folder with ``ct/`` and
            ``anatomy/``, of which the validation cases are left out.
        own_masks: a folder of label maps of the scans of ``shared`` that have no mask, to learn from, too
            (:mod:`.own_masks`); those that are not there are drawn with the weights at hand and kept there.
        member: number of the network in its committee (:func:`weights.load_committee`).
        corrections: a folder of results that people checked (:mod:`.corrections`): the shipped network learns from
            them, in its own width, beside the other sources, and is kept only if it forgets nothing.
        fold: leave out these people of ``shared`` for a cross-validation.
        final: learn from the validation cases, too, when all is decided; the card says so.
        fine_tune: begin with the weights at hand, in their width, in place of random ones.
        start: a folder that a training wrote, whose weights are at hand before the shipped ones.

    Returns:
        The file of weights.

    Raises:
        SpineError: unknown stage, nothing to train on, or a folder that cannot be read.
    """
    recipe = RECIPES.get((system, stage))
    if recipe is None:
        raise SpineError(f"{system} {stage} cannot be trained; known are {', '.join(map(' '.join, RECIPES))}")
    place = devices.choose(device)
    torch.manual_seed(seed)
    name = weights.member(f"{system}-{stage}", member)
    fine_tune = fine_tune or corrections is not None
    if fine_tune:
        with weights.preferring(start):
            network, shipped = weights.load(name, recipe.architecture, place)
        width = shipped.width
    else:
        network = recipe.architecture(width)
    spacing = float(getattr(network, "spacing", recipe.task.spacing))
    if own_masks is not None and not (recipe.task.masks and shared is not None):
        raise SpineError(
            "--own-masks draws masks on the scans of --shared, for networks that learn from masks; give both"
        )
    if final and (fold is not None or shared is None):
        raise SpineError("--final learns from everybody of --shared; give that, and no --fold")
    if member < 1:
        raise SpineError("--member counts from 1")
    if member != 1 and not recipe.committee:
        raise SpineError(f"{system} {stage} has no committee; leave out --member")
    subjects: list[Subject] = []
    if corrections is not None:
        subjects += corrected_subjects(corrections, spacing)
        if not subjects:
            raise SpineError(f"nobody has checked any result in {corrections}; see review and apply-review")
        phantoms = phantoms or REHEARSED
    drawing = None
    if own_masks is not None:
        drawing = partial(own_mask_subjects, pipeline=Pipeline(device=device, weights=start), kept=own_masks)
    kept_aside = fold.leaves_out(scan_names(shared)) if fold and shared else set()
    for subject in _subjects(spacing, stage, recipe, seed, phantoms, verse, shared, final, drawing):
        if SAME_PERSON.get(subject.name, subject.name) in kept_aside or subject.name in kept_aside:
            continue
        subjects.append(subject)
        report(f"read {subject.name}: {len(subject.levels)} vertebrae")
    if not subjects:
        raise SpineError("nothing to train on; give --phantoms N, --verse DIR or --shared DIR")
    task = recipe.task(subjects)
    task.spacing = spacing
    before = 0.0
    if corrections is not None:
        others = recipe.task([*phantom_subjects(KEPT, seed + 1, spacing, recipe.field)])
        others.spacing = spacing
        batches = forgetting(others, seed)
        before = mean_loss(others, network, batches)
        report(f"loss on phantoms before: {before:.4f}")
    network = train(
        network,
        task,
        folder,
        steps=steps,
        seed=seed,
        device=place,
        learning_rate=FRESH if not fine_tune else GENTLE if corrections is None else RATE,
        capacity=recipe.capacity,
        report=report,
    )
    if corrections is not None:
        after = mean_loss(others, network, batches)
        report(f"loss on phantoms after: {after:.4f}")
        check_forgetting(before, after)
    saved = weights.save(network, name, width, folder)
    card = {
        "name": saved.name,
        "sha256": saved.sha256,
        "width": width,
        "parameters": sum(p.numel() for p in network.parameters()),
        "version": __version__,
        "date": date.today().isoformat(),
        "seed": seed,
        "steps": steps,
        "torch": torch.__version__,
        "device": f"{place.type} ({platform.machine()})",
        "licence": "that of the material trained on; see DATA.md beside the shipped weights",
        **({"fine-tuned from": shipped.sha256} if fine_tune else {}),
        "fold": f"{fold.number}/{fold.count}" if fold else None,
        "left out": sorted(kept_aside),
        "final": final,
        "trained on": {source: [s.name for s in subjects if s.source == source] for source in SOURCES},
    }
    write_json(folder / f"{saved.name}.json", card)
    return saved.path


def _subjects(spacing: float, stage: str, recipe: Recipe, seed: int, phantoms: int, verse: list[Path],
              shared: Path | None, final: bool, drawing: Drawing | None) -> Iterator[Subject]:  # fmt: skip
    for folder in verse:
        yield from verse_subjects(folder, spacing)
    if shared is not None:
        yield from real_subjects(shared, spacing, recipe.task.masks, final)
        if stage == "detection" and spacing < WHOLE and not recipe.task.masks:
            yield from real_subjects(shared, WHOLE, final=final)
        if recipe.negatives:
            yield from negative_subjects(shared, spacing)
        yield from atlas_subjects(shared, spacing)
        if drawing is not None:
            yield from drawing(shared, spacing)
    yield from phantom_subjects(phantoms, seed, spacing, recipe.field)
