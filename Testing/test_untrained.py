"""The stages of systems that wait for their weights, with untrained networks: they load, run and end."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SpineSegmentationLib import weights
from SpineSegmentationLib.detection.attention import AttentionDetector
from SpineSegmentationLib.detection.lessmann import RIBS, LessmannDetector, Network
from SpineSegmentationLib.detection.lessmann_patches import Answer, Fragment, Lattice
from SpineSegmentationLib.labelling.lessmann import LessmannLabeller
from SpineSegmentationLib.networks.attention import AttentionNet, SegmentationNet
from SpineSegmentationLib.networks.lessmann import IterativeFCN, RibNetwork
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox

CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path,))
    torch.manual_seed(0)
    return tmp_path


@pytest.fixture
def ct() -> sitk.Image:
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(-50, 600, (18, 16, 15)).astype(np.int16))
    image.SetSpacing((3.0, 3.0, 3.0))
    return image


def save(place, name, architecture, bias=None):
    network = architecture("compact")
    if bias is not None:
        torch.nn.init.constant_(network.head.bias, bias)
    weights.save(network, name, "compact", place)


def test_lessmanns_network_answers_as_the_traversal_expects(place):
    save(place, "lessmann-segmentation", IterativeFCN)
    network = Network(CPU)
    answer = network(np.zeros((64, 64, 64), np.float32), np.zeros((64, 64, 64), bool))
    assert answer.probability.shape == (64, 64, 64)
    assert 0 <= answer.probability.min() <= answer.probability.max() <= 1
    assert answer.label >= 0 and 0 <= answer.complete <= 1


def test_lessmanns_stages_find_nothing_where_the_network_sees_nothing(place, ct):
    save(place, "lessmann-segmentation", IterativeFCN, bias=-30.0)
    assert LessmannDetector(CPU)(ct) is None
    labeller = LessmannLabeller(CPU)
    assert [found.name for found in labeller.weights] == ["lessmann-segmentation"]
    assert len(labeller(ct, SpineBox.of_image(ct))) == 0
    one = Centroids((Centroid(1, (20.0, 20.0, 20.0)),))
    result = Pipeline("anduin", "cpu", segmenter="lessmann").run(ct, centroids=one)
    assert not sitk.GetArrayViewFromImage(result.label_map).any()


def test_the_rib_network_is_asked_once_it_is_there(place, ct):
    save(place, "lessmann-segmentation", IterativeFCN)
    save(place, RIBS, RibNetwork)
    labeller = LessmannLabeller(CPU)
    assert [found.name for found in labeller.weights] == ["lessmann-segmentation", RIBS]
    assert len(labeller.runners) == 2
    lattice = Lattice(np.zeros((64, 64, 64), np.float32), np.zeros(3, int), 2.0, 64)
    mask = np.zeros((64, 64, 64), bool)
    mask[24:40, 24:40, 24:40] = True
    fragment = Fragment(mask, Answer(mask.astype(np.float32), 5.0, 2.0), np.zeros(3, int))
    judged = labeller.network.judged(lattice, fragment)
    assert judged.answer.label == 5.0 and judged.mask is mask
    assert judged.answer.names.sum() == pytest.approx(1) and judged.answer.thoracic in (True, False)
    assert 0 <= judged.answer.complete <= 1


def test_the_rib_network_sees_its_own_resolution_whatever_the_other_ones_is(place):
    save(place, "lessmann-segmentation", IterativeFCN)
    save(place, RIBS, RibNetwork)
    network = Network(CPU)
    coarse = Lattice(np.random.default_rng(0).normal(200, 99, (64, 64, 64)).astype(np.float32), np.zeros(3, int), 2, 64)
    fine = Lattice(np.kron(coarse.hu, np.ones((2, 2, 2), np.float32)), np.zeros(3, int), 1, 128)
    mask = coarse.hu > 200
    patches = ((coarse, mask), (fine, np.kron(mask, np.ones((2, 2, 2), bool))))
    first, second = (
        network.judged(lattice, Fragment(part, Answer(part, 5.0, 2.0), np.zeros(3, int))).answer
        for lattice, part in patches
    )
    np.testing.assert_allclose(second.names, first.names, rtol=1e-5)
    assert second.complete == pytest.approx(first.complete)


def test_attentions_stages_run(place, ct):
    save(place, "attention-detection", AttentionNet, bias=30.0)
    save(place, "attention-segmentation", SegmentationNet, bias=30.0)
    box = AttentionDetector(CPU)(ct)
    assert box == SpineBox.of_image(ct)  # spine everywhere
    one = Centroids((Centroid(1, (20.0, 20.0, 20.0)),))
    result = Pipeline("anduin", "cpu", segmenter="attention").run(ct, centroids=one)
    assert sitk.GetArrayViewFromImage(result.label_map).any()
