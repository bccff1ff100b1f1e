"""Patches round centroids and what is made of a network's answers on them."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SpineSegmentationLib.anatomy import COLUMN, S1, Level
from SpineSegmentationLib.labelling.combined import SACRAL, WORTH, heard
from SpineSegmentationLib.labelling.evidence import Evidence, EvidenceReader
from SpineSegmentationLib.labelling.patches import AIR, EDGE, SPACING, patches
from SpineSegmentationLib.labelling.sequence import Candidate
from SpineSegmentationLib.networks.evidence import PLACES, Answers, EvidenceNet


def test_a_patch_has_its_centre_in_the_middle_and_air_beyond():
    hu = np.arange(20 * 21 * 22, dtype=np.float32).reshape(20, 21, 22)
    patch = patches(hu, np.array([[3.2, 4.4, 5.0]]))[0, 0]
    half = EDGE // 2
    assert patch[half, half, half] == hu[3, 4, 5]
    assert patch[half + 2, half - 1, half + 7] == hu[5, 3, 12]
    assert patch[half - 4, half, half] == AIR
    assert (patch != AIR).sum() <= hu.size


def test_a_patch_outside_is_air():
    assert np.all(patches(np.zeros((5, 5, 5), np.float32), np.array([[400.0, 2, 2]])) == AIR)


def test_the_network_answers_every_question_for_every_patch():
    network = EvidenceNet().eval()
    with torch.inference_mode():
        answers = network(torch.full((2, 1, EDGE, EDGE, EDGE), -100.0))
    assert [tuple(a.shape) for a in answers] == [(2, PLACES), (2,), (2, 2), (2,)]
    assert torch.allclose(answers.levels.exp().sum(1), torch.ones(2), atol=1e-5)


def reader(answer):
    """A reader whose networks answer with a function of the patches."""
    made = EvidenceReader.__new__(EvidenceReader)
    made.weights, made.runners = (), (lambda compute, batch: compute(answer, batch),)
    return made


def test_ribs_are_the_persons_right_and_left_and_mirror_images_agree():
    def answer(batch):
        # Bone on the side of the last voxels along x, the person's left, is a rib there.
        sides = [(batch[..., :20] > 500).any(), (batch[..., 28:] > 500).any()]
        ribs = torch.tensor([[4.0 if side else -4.0 for side in sides]])
        return Answers(torch.zeros(1, PLACES).log_softmax(1), torch.zeros(1), ribs, torch.zeros(1))

    hu = np.zeros((60, 60, 60), np.int16)
    hu[:, :, 40:] = 1000
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((SPACING,) * 3)
    found = reader(answer)(image, np.array([[90.0, 90.0, 90.0]]))
    assert found.ribs.tolist() == [[-4.0, 4.0]]


def test_nothing_to_read():
    found = reader(None)(sitk.Image([5, 5, 5], sitk.sitkInt16), np.zeros((0, 3)))
    assert found.levels.shape == (0, PLACES) and list(found.rows()) == []


def row(vertebra=3.0, **levels):
    shares = np.full(PLACES, 1e-3)
    for name, share in levels.items():
        shares[S1 if name == "S1" else Level[name].rank] = share
    return Evidence(np.log(shares / shares.sum()), np.float64(vertebra), np.zeros(2), np.float64(0))


def candidate(probability=0.6):
    return Candidate((0.0, 0.0, 0.0), probability, np.full(len(COLUMN), 1 / len(COLUMN)))


def test_what_was_heard_speaks_for_the_level():
    flat = np.full(PLACES, -np.log(PLACES))
    found = heard(candidate(), row(L2=1.0), flat)
    assert int(np.argmax(found.evidence)) == Level.L2.rank and len(found.evidence) == PLACES
    # Against chance: log(p) + log(27), weighed; the flat height says nothing.
    expected = WORTH.patch * (np.log(1 / (1 + 26e-3)) + np.log(PLACES))
    assert found.evidence[Level.L2.rank] == pytest.approx(expected)
    heights = np.full(PLACES, -30.0)
    heights[Level.T4.rank] = 0.0
    higher = heard(candidate(), row(L2=1.0), heights).evidence
    gain = higher[Level.T4.rank] - found.evidence[Level.T4.rank]
    assert gain == pytest.approx(WORTH.context * np.log(PLACES))


def test_what_is_no_body_is_doubted():
    flat = np.full(PLACES, -np.log(PLACES))
    sure, doubtful = (heard(candidate(), row(v, L2=1.0), flat).probability for v in (4.0, -4.0))
    assert sure == pytest.approx(0.6, abs=0.01)  # nothing was added: a blurred patch sees bodies in discs, too
    assert doubtful < 0.2
    sacral = [heard(candidate(), row(v, S1=1.0), flat).sacral for v in (4.0, -4.0)]
    assert sacral == [SACRAL, SACRAL - WORTH.body * 4.0]
