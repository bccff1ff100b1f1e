"""Payer's system without trained networks: intensities, targets, losses, parts of a scan, and what maps decode to."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.detection import anduin, payer
from SpineSegmentationLib.detection.anduin import spine_box
from SpineSegmentationLib.labelling import payer as labelling
from SpineSegmentationLib.labelling.payer_markov import VECTORS
from SpineSegmentationLib.labelling.sequence import best_sequence
from SpineSegmentationLib.networks.heatmap import gaussians
from SpineSegmentationLib.networks.intensity import payer_intensity
from SpineSegmentationLib.networks.payer_unet import Convolution, PayerUNet, PointedUNet, SpineUNet
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.training.detection import PayerDetectionTask
from SpineSegmentationLib.training.losses import learned_sigma_loss, level_heatmaps
from SpineSegmentationLib.training.segmentation import PayerSegmentationTask


def image_of(shape, spacing, origin=(0.0, 0.0, 0.0)):
    image = sitk.Image([int(n) for n in reversed(shape)], sitk.sitkFloat32)
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin(origin)
    return image


def test_intensities_are_divided_by_2048_and_clamped():
    for hu, value in ((1024.0, 0.5), (-512.0, -0.25), (3000.0, 1.0), (-3000.0, -1.0)):
        np.testing.assert_allclose(payer_intensity(torch.full((4, 4, 4), hu), 8.0), value)


def test_intensities_are_smoothed_by_three_quarters_of_a_millimetre():
    impulse = torch.zeros(11, 11, 11)
    impulse[5, 5, 5] = 1024
    result = payer_intensity(impulse, 1.0)
    assert float(result[5, 5, 6] / result[5, 5, 5]) == pytest.approx(np.exp(-0.5 / 0.75**2), abs=1e-5)
    assert float(result.sum()) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 9, 17), (16, 12, 5)])
def test_the_networks_keep_any_size(size):
    image = torch.zeros(1, 1, *size)
    with torch.inference_mode():
        assert SpineUNet()(image).shape == image.shape
        assert PointedUNet()(image, image).shape == image.shape


def test_the_papers_width_has_64_filters_at_every_level():
    network = PayerUNet(1, 1, SpineUNet.WIDTHS["paper"])
    assert {m.out_channels for m in network.modules() if isinstance(m, Convolution)} == {64}
    assert len(network.contract) == 5


@pytest.mark.parametrize(("size", "kernel"), [((2, 5, 4), 3), ((5, 3, 9), 7)])
def test_gradients_of_thin_volumes_are_right_in_bfloat16(size, kernel):
    torch.manual_seed(0)
    convolution = Convolution(16, 16, kernel)
    image = torch.randn(1, 16, *size)
    gradients = []
    for mixed in (False, True):
        convolution.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            convolution(image).float().square().sum().backward()
        gradients.append(convolution.weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0.05, atol=0.05 * float(gradients[0].abs().max()))


def test_wide_and_narrow_heat_give_the_same_box():
    points = np.array([[z, 180.0, 140.0] for z in range(120, 300, 25)])  # mm z,y,x
    boxes = []
    for spacing, sigma in ((anduin.SPACING, anduin.SIGMA), (payer.SPACING, payer.SIGMA)):
        shape = tuple(int(length / spacing) for length in (420, 360, 280))
        image = image_of(shape, spacing)
        heat = gaussians(points / spacing, shape, sigma / spacing).numpy()
        boxes.append(spine_box(heat, image, SpineBox.of_image(image), sigma))
    np.testing.assert_allclose(boxes[0].lower[:2], boxes[1].lower[:2], atol=8)
    np.testing.assert_allclose(boxes[0].upper[:2], boxes[1].upper[:2], atol=8)
    assert boxes[1].lower[2] <= 120 - 20 and boxes[1].upper[2] >= 295 + 20


def test_a_column_that_goes_on_is_followed_to_the_border_of_the_scan():
    image = image_of((30, 40, 40), payer.SPACING)
    heat = np.zeros((30, 40, 40), np.float32)
    heat[:, 18:24, 18:24] = 0.9
    box = spine_box(heat, image, SpineBox.of_image(image), payer.SIGMA)
    scan = SpineBox.of_image(image)
    assert (box.lower[2], box.upper[2]) == (scan.lower[2], scan.upper[2])


def test_detection_samples_are_means_over_8_mm():
    task = PayerDetectionTask.__new__(PayerDetectionTask)
    hu, heat = torch.zeros(4, 6, 5), torch.zeros(4, 6, 5)
    hu[0:2, 0:2, 0:2] = torch.arange(8.0).reshape(2, 2, 2) * 128
    heat[2, 2, 4] = 1.0
    image, target = task.prepare(hu, heat)
    assert image.shape == target.shape == (1, 2, 3, 3)
    assert float(image[0, 0, 0, 0]) == pytest.approx(3.5 * 128 / 2048)
    assert float(target[0, 1, 1, 2]) == pytest.approx(1 / 4)  # half of the last column lies outside


def test_detection_is_scored_by_the_squared_error():
    network = torch.nn.Conv3d(1, 1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(0.0)
    image, target = torch.full((1, 2, 2, 2), 0.5), torch.full((1, 2, 2, 2), 0.25)
    assert PayerDetectionTask.loss(network, [(image, target)]).item() == pytest.approx(0.75**2)


def test_segmentation_is_scored_by_the_sigmoid_cross_entropy():
    # Logit ln 3 is the probability 3/4: -ln(3/4) inside, -ln(1/4) outside.
    logits = torch.full((1, 1, 1, 1, 2), float(np.log(3)))
    mask = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 1, 2)
    expected = -(np.log(3 / 4) + np.log(1 / 4)) / 2
    assert float(PayerSegmentationTask.criterion(logits, mask)) == pytest.approx(expected, abs=1e-6)


def test_windows_of_segmentation_show_the_same_place_in_image_gaussian_and_mask():
    task = PayerSegmentationTask.__new__(PayerSegmentationTask)
    whole = torch.arange(float(np.prod(task.size))).reshape(1, *task.size)
    parts = task.vary((whole, whole + 1, whole + 2), np.random.default_rng(3))
    assert all(part.shape == (1, *task.seen) for part in parts)
    assert (parts[1] - parts[0] == 1).all() and (parts[2] - parts[0] == 2).all()


def test_target_heatmaps_by_hand():
    # Twice the width of the unit: an eighth of the height; one sigma away exp(-1/2) of it.
    sigma = torch.full((len(COLUMN),), 2.0)
    heat = level_heatmaps(np.array([4]), np.array([[3.0, 3.0, 3.0]]), (7, 7, 7), sigma, 1.0)
    assert float(heat[4, 3, 3, 3]) == pytest.approx(1 / 8)
    assert float(heat[4, 3, 5, 3]) == pytest.approx(np.exp(-0.5) / 8)
    assert float(heat.sum()) == pytest.approx(float(heat[4].sum()))


def test_the_loss_with_learned_sigma_by_hand():
    # Two levels of two voxels: squared error 0.04 + 0.25; the paper's heatmaps are higher by the factor
    # 1000 / ((2 pi)^1.5 2^3), so alpha |sigma|^2 = 100 * (4 + 9) is divided by its square.
    heatmaps = torch.tensor([[0.2, 0.0], [0.5, 1.0]]).reshape(2, 1, 1, 2)
    target = torch.tensor([[0.0, 0.0], [0.0, 1.0]]).reshape(2, 1, 1, 2)
    sigma = torch.tensor([2.0, 3.0], requires_grad=True)
    loss = learned_sigma_loss(heatmaps, target, sigma, 2.0)
    factor = 1000 / ((2 * np.pi) ** 1.5 * 8)
    assert loss.item() == pytest.approx(0.29 + 1300 / factor**2, rel=1e-5)
    loss.backward()
    np.testing.assert_allclose(sigma.grad, 200 * np.array([2.0, 3.0]) / factor**2, rtol=1e-5)


def test_sigma_settles_where_error_and_penalty_meet():
    """A network that predicts no vertebra makes the targets wider (and lower); the penalty keeps them from growing."""
    sigma = torch.full((len(COLUMN),), 2.0, requires_grad=True)
    target = level_heatmaps(np.array([0]), np.array([[8.0, 8.0, 8.0]]), (17, 17, 17), sigma, 2.0)
    functional.mse_loss(torch.zeros_like(target), target, reduction="sum").backward()
    assert sigma.grad[0] < 0 and (sigma.grad[1:] == 0).all()


@given(st.integers(1, 400), st.integers(8, 128))
def test_parts_cover_the_scan_and_overlap(total, length):
    rows = labelling.starts(total, length)
    assert rows[0] == 0 and rows[-1] == max(total - length, 0)
    assert all(0 < b - a <= length * (1 - labelling.OVERLAP) + 1 for a, b in zip(rows, rows[1:], strict=False))


def test_the_field_holds_the_box_and_enough_voxels():
    scan = SpineBox((0, 0, 0), (400, 400, 600))
    usual = labelling.field(SpineBox((150, 150, 100), (250, 250, 500)), scan, 4.0)
    assert usual == SpineBox((104, 104, 100), (296, 296, 500))
    wide = labelling.field(SpineBox((50, 150, 100), (350, 250, 500)), scan, 4.0)
    assert (wide.lower[0], wide.upper[0]) == (50, 350)
    thin = labelling.field(SpineBox((150, 150, 300), (250, 250, 310)), SpineBox((0, 0, 300), (400, 400, 310)), 4.0)
    assert np.all(thin.size >= labelling.LEAST * 4.0)
    assert (thin.lower[2], thin.upper[2]) == (305 - 32, 305 + 32)


def test_parts_are_merged_by_the_largest_response():
    labeller = labelling.PayerLabeller.__new__(labelling.PayerLabeller)
    labeller.spacing = 4.0
    # A network that answers more the later it is asked: rows that two parts show take the later answer.
    asked = []

    def runner(compute, part):
        asked.append(part.shape[2])
        return torch.full((1, len(COLUMN), *part.shape[2:]), float(len(asked)))

    labeller.runner = runner
    heat = labeller.heatmaps(torch.zeros(150, 3, 3))
    assert asked == [64, 64, 64, 64]
    assert heat[7, :, 1, 1].tolist() == [1.0] * 29 + [2.0] * 28 + [3.0] * 29 + [4.0] * 64


@pytest.fixture
def column():
    """Ideal heatmaps of T10 to L3, where their vertebrae are, and the grid."""
    levels = [level for level in COLUMN if Level.T10.rank <= level.rank <= Level.L3.rank and level != Level.T13]
    places = np.cumsum([[50.0, 60.0, 230.0], *(VECTORS[edge] for edge in zip(levels, levels[1:], strict=False))], 0)
    image = image_of((70, 32, 28), 4.0)
    heat = np.zeros((len(COLUMN), 70, 32, 28), np.float32)
    for level, place in zip(levels, places, strict=True):
        heat[level.rank] = 0.9 * gaussians(place[None, ::-1] / 4, heat.shape[1:], 2.0).numpy()
    return levels, places, heat, image


def test_ideal_heatmaps_give_the_vertebrae_back(column):
    levels, places, heat, image = column
    found = labelling.decode(heat, image)
    assert found.levels == tuple(levels)
    assert np.linalg.norm(found.positions - places, axis=1).max() < 0.5
    assert min(point.confidence for point in found) > 0.7


def test_candidates_of_ideal_heatmaps_are_decoded_to_the_same_column(column):
    levels, places, heat, image = column
    seen = labelling.candidates(heat, image)
    assert len(seen) == len(levels)
    assert all(0.8 < one.probability <= 1 and one.levels.sum() == pytest.approx(1) for one in seen)
    found = best_sequence(seen)
    assert found.levels == tuple(levels)
    assert np.linalg.norm(found.positions - places, axis=1).max() < 0.5


def test_doubt_between_two_levels_lowers_the_confidence(column):
    levels, _, heat, image = column
    doubtful = 0.55 * heat
    for upper, lower in zip(levels, levels[1:], strict=False):
        doubtful[lower.rank] += 0.45 * heat[upper.rank]
    sure, unsure = labelling.decode(heat, image), labelling.decode(doubtful, image)
    assert max(point.confidence for point in unsure) < min(point.confidence for point in sure)


def test_an_overlooked_vertebra_is_left_out_and_the_others_keep_their_names(column):
    levels, _, heat, image = column
    heat[Level.T12.rank] = 0
    found = labelling.decode(heat, image)
    assert found.levels == tuple(level for level in levels if level != Level.T12)


def test_empty_heatmaps_give_no_vertebra():
    nothing = np.zeros((len(COLUMN), 16, 16, 16), np.float32)
    assert len(labelling.decode(nothing, image_of((16, 16, 16), 4.0))) == 0
    assert labelling.candidates(nothing, image_of((16, 16, 16), 4.0)) == []
