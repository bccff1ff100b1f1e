"""McCouat and Glocker's system without trained networks: dense labels, losses, patches, votes."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from SpineSegmentationLib.anatomy import COLUMN, STANDARD, Level
from SpineSegmentationLib.detection.mccouat_glocker import (
    BORDER,
    PATCH,
    McCouatGlockerDetector,
    by_patches,
    column,
    patch_size,
)
from SpineSegmentationLib.labelling import mccouat_glocker as labelling
from SpineSegmentationLib.labelling.mccouat_glocker_labels import (
    NUMBER,
    RADIUS,
    UNKNOWN,
    densify,
    least_votes,
    nearest_labels,
    sparsify,
)
from SpineSegmentationLib.labelling.sequence import DISTANCE
from SpineSegmentationLib.networks.mccouat_glocker import DenseDetectionUNet, DenseIdentificationUNet
from SpineSegmentationLib.phantom.dimensions import DIMENSIONS
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.training.command import RECIPES
from SpineSegmentationLib.training.mccouat_glocker import (
    SLICES,
    McCouatGlockerDetectionTask,
    McCouatGlockerLabellingTask,
    Window,
    detection_loss,
    identification_loss,
)
from SpineSegmentationLib.training.subjects import Subject

STRAIGHT = np.array([[60.0, 30.0, 30.0], [40.0, 30.0, 30.0], [20.0, 30.0, 30.0]])  # three vertebrae, 20 voxels apart


def test_a_straight_column_by_hand():
    labels = densify((Level.L3, Level.L4, Level.L5), STRAIGHT, (80, 60, 60), 1.0)
    # Midpoints at 50 and 30; as long beyond L3 and L5 as on the other side. Nothing follows below L5.
    expected = np.zeros(80, int)
    expected[10:30], expected[30:50], expected[50:70] = (level.rank + 1 for level in (Level.L5, Level.L4, Level.L3))
    expected[70:] = UNKNOWN
    np.testing.assert_array_equal(labels[:, 30, 30], expected)


def test_the_discs_have_the_radius_of_their_level():
    labels = densify((Level.L3, Level.L4, Level.L5), STRAIGHT, (80, 60, 60), 1.0)
    size = DIMENSIONS[Level.L4]
    radius = (size.width + size.depth) / 4
    y, x = np.mgrid[:60, :60]
    np.testing.assert_array_equal(labels[40] == Level.L4.rank + 1, (y - 30) ** 2 + (x - 30) ** 2 <= radius**2)
    coarse = densify((Level.L3, Level.L4, Level.L5), STRAIGHT / 2, (40, 30, 30), 2.0)
    assert (coarse > 0).sum() == pytest.approx((labels > 0).sum() / 8, rel=0.06)


def test_the_line_leans_with_the_column():
    leaning = STRAIGHT + [[0, 8, -4], [0, 0, 0], [0, -8, 4]]
    labels = densify((Level.L3, Level.L4, Level.L5), leaning, (80, 70, 70), 1.0)
    for row in (32, 40, 48):
        middle = np.argwhere(labels[row]).mean(0)
        np.testing.assert_allclose(middle, [30 + 8 * (row - 40) / 20, 30 - 4 * (row - 40) / 20], atol=0.3)


def test_vertebrae_that_were_left_out_are_unknown():
    places = np.array([[150.0, 30, 30], [10.0, 30, 30]])
    along = densify((Level.T12, Level.L4), places, (160, 60, 60), 1.0)[:, 30, 30]
    upper, lower = DISTANCE[Level.T12] / 2, DISTANCE[Level.L4] / 2
    rows = np.arange(160)
    np.testing.assert_array_equal(along == Level.T12.rank + 1, (rows >= 150 - upper) & (rows < 150 + upper))
    np.testing.assert_array_equal(along == Level.L4.rank + 1, rows < 10 + lower)
    gap = ((rows >= 150 - 3 * upper) & (rows < 150 - upper)) | ((rows >= 10 + lower) & (rows < 10 + 3 * lower))
    np.testing.assert_array_equal(along == UNKNOWN, gap)


def test_the_atlas_has_nothing_above():
    labels = densify((Level.C1, Level.C2), np.array([[20.0, 20, 20], [4.0, 20, 20]]), (60, 40, 40), 1.0)
    assert labels[:28].any(axis=(1, 2)).all()
    assert not labels[29:].any()


def test_labels_are_in_the_order_of_the_column_and_t13_has_no_whole_number():
    assert NUMBER[Level.C1.rank + 1] == 1
    assert NUMBER[Level.L5.rank + 1] == 24
    assert NUMBER[Level.L6.rank + 1] == 25
    assert NUMBER[Level.T13.rank + 1] == 19.5
    assert (np.diff(NUMBER) > 0).all()
    for level in (*STANDARD, Level.L6):
        number = NUMBER[level.rank + 1]
        labels = nearest_labels(np.array([number - 0.4, number, number + 0.4]))
        assert (labels == level.rank + 1).all()
    assert nearest_labels(np.array([-3.0, 19.5, 99.0])).tolist() == [1, Level.L1.rank + 1, Level.L6.rank + 1]


def test_the_least_votes_by_hand():
    assert least_votes(Level.T5) == 3000
    # Half of a C4 with its disc: a cylinder of radius (17.6 + 15.7) / 4 = 8.325 mm and height 16.4 mm.
    assert least_votes(Level.C4) == pytest.approx(np.pi * 8.325**2 * 16.4 / 2)  # 1785 mm^3
    assert RADIUS[Level.L4] == pytest.approx((48.2 + 35.0) / 4)
    assert least_votes(Level.L4) == pytest.approx(0.4 * 20.8**3)  # 3600 mm^3


def test_the_median_and_the_threshold_by_hand():
    labels = np.zeros((40, 40, 40), np.uint8)
    code = Level.T5.rank + 1
    labels[10:26, 4:19, 5:18] = code  # 16 * 15 * 13 = 3120 voxels: medians 17.5, 11, 11
    labels[30:33, 30:33, 30:33] = code  # few stray votes do not move the median
    labels[0:3, 0:30, 0:30] = Level.T6.rank + 1  # 2700 votes are too few
    found = sparsify(labels, 1.0)
    assert list(found) == [Level.T5]
    np.testing.assert_allclose(found[Level.T5], [17.5, 11, 11], atol=0.51)
    assert sparsify(labels, 0.98) == {}  # the threshold is a volume: 3147 voxels of 0.94 mm^3
    assert set(sparsify(labels, 1.1)) == {Level.T5, Level.T6}


@st.composite
def columns(draw):
    """A run of levels, curved, in voxels of 2 mm, each vertebra of 0.9 to 1.15 of the mean person's height."""
    ordinary = [level for level in COLUMN if level != Level.T13]
    first = draw(st.integers(1, len(ordinary) - 3))
    levels = ordinary[first : first + draw(st.integers(2, 9))]
    size = draw(st.floats(0.9, 1.15))
    sway = draw(st.floats(-6, 6)), draw(st.floats(-6, 6)), draw(st.floats(0, 6))
    below = [DISTANCE[level] * size / 2 for level in levels[:-1]]
    z = 20 + np.append(np.cumsum(below[::-1])[::-1], 0)
    return tuple(levels), np.stack([z, 30 + sway[0] * np.sin(z / 40 + sway[2]), 30 + sway[1] * np.cos(z / 40)], 1)


@given(columns())
@settings(max_examples=40, deadline=None)
def test_dense_labels_give_their_centroids_back(generated):
    levels, positions = generated
    labels = densify(levels, positions, (int(positions[0, 0]) + 20, 60, 60), 2.0)
    labels[labels == UNKNOWN] = 0
    found = sparsify(labels, 2.0)
    assert tuple(found) == levels
    for level, place in found.items():
        assert np.linalg.norm(place - positions[levels.index(level)]) < 1.5  # voxels of 2 mm


def test_detection_loss_by_hand():
    # Q is (1/2, 1/2) everywhere: -0.1 ln 1/2 for one voxel of background, -0.9 ln 1/2 for one of a vertebra.
    labels = torch.tensor([0, 7, UNKNOWN], dtype=torch.uint8).reshape(1, 1, 1, 3)
    logits = torch.zeros(1, 2, 1, 1, 3)
    assert float(detection_loss(logits, labels)) == pytest.approx((0.1 + 0.9) * np.log(2) / 2, abs=1e-6)
    logits[0, 1, 0, 0, 2] = 50.0
    assert float(detection_loss(logits, labels)) == pytest.approx((0.1 + 0.9) * np.log(2) / 2, abs=1e-6)
    logits[0, 1, 0, 0, 1] = 50.0
    assert float(detection_loss(logits, labels)) == pytest.approx(0.1 * np.log(2) / 2, abs=1e-6)


def test_identification_loss_by_hand():
    target = torch.tensor([[[0.0, 5.0, 19.5]]])
    prediction = torch.tensor([[[[99.0, 6.5, 19.0]]]])
    assert float(identification_loss(prediction, target)) == pytest.approx((1.5 + 0.5) / 2)
    assert float(identification_loss(prediction, torch.zeros(1, 1, 3))) == 0


@pytest.mark.parametrize("architecture", [DenseDetectionUNet, DenseIdentificationUNet])
def test_the_papers_width_is_the_wider_one(architecture):
    paper, compact = (sum(p.numel() for p in architecture(width).parameters()) for width in ("paper", "compact"))
    assert paper > 5 * compact


def test_the_networks_keep_the_size():
    torch.manual_seed(0)
    with torch.inference_mode():
        assert DenseDetectionUNet().eval()(torch.zeros(1, 1, 21, 18, 17)).shape == (1, 2, 21, 18, 17)
        numbers = DenseIdentificationUNet().eval()(torch.zeros(2, 8, 48, 32))
    assert numbers.shape == (2, 1, 48, 32)
    assert 5 < float(numbers.mean()) < 20  # begins in the middle of the column


def test_one_slab_sees_320_rows_at_once():
    torch.manual_seed(0)
    network = DenseIdentificationUNet().eval()
    slab = torch.zeros(1, 8, 320, 16)
    other = slab.clone()
    other[:, :, 300:] = 1e6  # an untrained network passes little on
    with torch.inference_mode():
        change = (network(other) - network(slab)).abs()[0, 0, 60].max()
    assert float(change) > 0


@pytest.mark.parametrize("shape", [(33, 30, 25), (40, 9, 5), (32, 28, 24)])
def test_patches_of_a_network_that_sees_no_further_than_the_border_equal_the_whole(shape):
    rng = np.random.default_rng(1)
    kernel, image = rng.normal(size=(5, 5, 5)), rng.normal(size=shape)
    whole = ndimage.correlate(image, kernel, mode="constant", cval=-7.0)

    def compute(part):
        return torch.from_numpy(ndimage.correlate(part.numpy(), kernel, mode="nearest"))

    apart = by_patches(compute, torch.from_numpy(image), (24, 20, 16), (4, 3, 2), -7.0)
    np.testing.assert_allclose(apart, whole, atol=1e-4)
    too_narrow = by_patches(compute, torch.from_numpy(image), (20, 16, 14), (1, 1, 1), -7.0)
    assert np.abs(too_narrow.numpy() - whole).max() > 0.1


def test_the_papers_patches_step_by_half_of_their_size():
    corners = []

    def compute(part):
        assert tuple(part.shape) == PATCH
        corners.append(1)
        return part

    image = torch.arange(80.0 * 64 * 32).reshape(80, 64, 32)
    torch.testing.assert_close(by_patches(compute, image, PATCH, BORDER, 0.0), image)
    assert len(corners) == 2 * 2 * 1


@given(st.tuples(*[st.integers(1, 700)] * 3))
def test_patches_cover_the_image_in_few_parts(shape):
    size = patch_size(shape)
    assert all(n % 16 == 0 for n in size)
    assert all(n > 2 * border for n, border in zip(size, BORDER, strict=True))
    assert np.all(np.array(size) <= (160, 128, 128))


def test_only_the_largest_islands_are_the_column():
    probability = np.zeros((60, 40, 40), np.float32)
    probability[2:30, 10:20, 10:20] = 0.9  # 2800 voxels of 8 mm^3
    probability[32:44, 10:20, 10:20] = 0.6  # 1200: a part of the column
    probability[50:54, 30:34, 30:34] = 0.99  # 64: something else
    probability[0:60, 0:2, 0:40] = 0.5
    bodies = column(probability, 2.0)
    assert bodies.sum() == 2800 + 1200
    assert not column(probability[48:], 2.0).any()  # 64 voxels of 8 mm^3 are no vertebra
    assert not column(np.zeros((4, 4, 4)), 2.0).any()


LEVELS = (Level.T11, Level.T12, Level.L1, Level.L2)


@pytest.fixture
def stages(monkeypatch):
    """Both stages with networks that read HU: 100 + 20 times the number of a vertebra inside its body, 0 outside."""

    def detect(compute, image):
        bone = (image > 0.05).float() * 20 - 10
        return torch.cat([-bone, bone], 1)

    def identify(compute, slabs):
        return ((slabs[:, 3:4] * 1000 - 100) / 20).clamp(0, 40)

    detector = McCouatGlockerDetector.__new__(McCouatGlockerDetector)
    detector.spacing, detector.runner = 2.0, detect
    labeller = labelling.McCouatGlockerLabeller.__new__(labelling.McCouatGlockerLabeller)
    labeller.detector, labeller.runner = detector, identify
    return detector, labeller


@pytest.fixture
def scan():
    """A CT at 2 mm whose HU tell the level, the positions of its vertebrae in LPS mm, and the grid."""
    z = 12 + np.array([48.0, 33.0, 17.0, 0.0])
    positions = np.stack([z, 22 + np.sin(z / 10), 31 + np.cos(z / 12)], 1)
    labels = densify(LEVELS, positions, (76, 50, 60), 2.0)
    labels[labels == UNKNOWN] = 0
    hu = np.where(labels > 0, 100 + 20 * NUMBER[np.minimum(labels, 26)], 0).astype(np.float32)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-60.0, 10.0, -200.0))
    points = [image.TransformContinuousIndexToPhysicalPoint([float(v) for v in p[::-1]]) for p in positions]
    return image, np.array(points)


def test_the_detector_finds_the_box_round_the_bodies(stages, scan):
    image, points = scan
    detector, _ = stages
    assert detector(image).contains(points).all()
    assert detector(image) == detector(image).intersection(SpineBox.of_image(image))
    assert detector(image * 0) is None


def test_votes_become_centroids(stages, scan):
    image, points = scan
    _, labeller = stages
    found = labeller(image, SpineBox.of_image(image))
    assert found.levels == LEVELS
    assert np.linalg.norm(found.positions - points, axis=1).max() < 2.5
    assert all(0.4 < centroid.confidence <= 1 for centroid in found)
    assert len(labeller(image * 0, SpineBox.of_image(image))) == 0


def test_candidates_are_told_with_their_levels(stages, scan):
    image, points = scan
    _, labeller = stages
    found = sorted(labeller.candidates(image, SpineBox.of_image(image)), key=lambda c: -c.position[2])
    assert [COLUMN[int(c.levels.argmax())] for c in found] == list(LEVELS)
    assert np.linalg.norm([c.position for c in found] - points, axis=1).max() < 2.5
    for candidate in found:
        assert candidate.levels.sum() == pytest.approx(1)
        assert 0.9 < candidate.probability <= 1


def test_votes_that_disagree_lower_the_confidence():
    numbers = np.zeros((20, 20, 20), np.float32)
    numbers[:, :, :] = 12.0
    place = np.array([10.0, 10.0, 10.0])
    level = COLUMN[11]
    sure = labelling.agreement(numbers, place, level, 2.0)
    share = labelling.PRIOR * np.exp(-0.5 * ((12.0 - NUMBER[1:]) / labelling.DOUBT) ** 2)
    np.testing.assert_allclose(sure, share / share.sum(), atol=1e-6)
    numbers[::2] = 13.0
    doubtful = labelling.agreement(numbers, place, level, 2.0)
    assert doubtful[11] < 0.8 * sure[11]
    np.testing.assert_allclose(labelling.agreement(numbers * 0, place, level, 2.0), 1 / 26)


def test_slabs_hold_the_slice_as_their_fourth():
    hu = torch.arange(5.0 * 6 * 9).reshape(5, 6, 9)
    slabs = labelling.sagittal_slabs(hu, np.array([0, 4, 8]))
    assert slabs.shape == (3, SLICES, 16, 16)
    for slab, x in zip(slabs, (0, 4, 8), strict=True):
        torch.testing.assert_close(slab[3, :5, :6], hu[:, :, x])
    torch.testing.assert_close(slabs[1, 7, :5, :6], hu[:, :, 8])
    assert (slabs[0, :3] == -1024).all()
    assert (slabs[:, :, 5:] == -1024).all()


@pytest.fixture
def subject():
    """A person whose HU tell the level at every voxel of a body."""
    levels = COLUMN[5:15]
    z = np.cumsum([DISTANCE[level] / 2 for level in levels[::-1]])[::-1]
    positions = np.stack([z, np.full(len(z), 45.0), np.full(len(z), 40.0)], 1)
    labels = densify(levels, positions, (int(z[0]) + 12, 90, 80), 2.0)
    labels[labels == UNKNOWN] = 0
    return Subject("test", (labels.astype(np.int16) > 0) * np.int16(1000), None, False, levels, positions, 2.0)


@pytest.mark.parametrize("factor", [1, 2])
def test_windows_show_the_bodies_where_their_labels_say(subject, factor):
    half = Subject(**{**vars(subject), "hu": subject.hu[::factor, ::factor, ::factor],
                      "positions": subject.positions / factor, "spacing": 2.0 * factor})  # fmt: skip
    task = McCouatGlockerDetectionTask([half])
    inside, outside = [], []
    for seed in range(4):
        window = task.draw(np.random.default_rng(seed))
        assert tuple(window.hu.shape) == tuple(window.labels.shape) == PATCH
        inside.append(window.hu[(window.labels > 0) & (window.labels != UNKNOWN)].numpy())
        outside.append(window.hu[window.labels == 0].numpy())
    assert np.mean(np.concatenate(inside) > 400) > 0.8
    assert np.median(np.concatenate(outside)) < 100


def test_identification_samples_are_slabs_with_the_labels_of_their_fourth_slice(subject):
    task = McCouatGlockerLabellingTask([subject])
    rng = np.random.default_rng(0)
    window = task.draw(rng)
    seen, bright = set(), []
    for _ in range(30):
        slab = task.vary(window, rng)
        assert slab.hu.shape == (SLICES, *slab.labels.shape)
        vertebra = (slab.labels > 0) & (slab.labels != UNKNOWN)
        assert vertebra.any()
        bright += (slab.hu[3][vertebra] > 400).tolist()
        seen |= set(slab.labels[vertebra].tolist())
    assert np.mean(bright) > 0.9
    assert len(seen) >= 8


def test_samples_of_different_sizes_are_stacked_in_multiples_of_sixteen():
    seen = []

    class Network(torch.nn.Linear):
        def forward(self, slabs):
            seen.append(slabs)
            return torch.full((len(slabs), 1, *slabs.shape[2:]), 3.0)

    def sample(rows, columns, label):
        return Window(torch.zeros(SLICES, rows, columns), torch.full((rows, columns), label, dtype=torch.uint8))

    loss = McCouatGlockerLabellingTask.loss(
        Network(1, 1), [sample(20, 30, 5), sample(33, 17, 2), sample(4, 4, UNKNOWN)]
    )
    assert seen[0].shape == (3, SLICES, 48, 32)
    assert (seen[0][0, :, :20, :30] == 0).all()
    assert (seen[0][0, :, 20:] == -1).all()
    assert float(loss) == pytest.approx((600 * 2 + 561 * 1) / (600 + 561))


@pytest.mark.parametrize("stage", ["detection", "labelling"])
def test_samples_repeat_with_their_seed_and_can_be_learnt_from(stage, subject):
    recipe = RECIPES["mccouat-glocker", stage]
    task = recipe.task([subject])
    if stage == "detection":
        task.size = (32, 32, 48)
    first, again = (task.draw(np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first.hu, again.hu)
    assert torch.equal(first.labels, again.labels)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    network = recipe.architecture()
    loss = task.loss(network, [task.vary(first, rng) for _ in range(2)])
    loss.backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert loss > 0


def test_one_sample_in_twenty_shows_nobody(subject):
    task = McCouatGlockerDetectionTask([subject])
    task.size = (16, 16, 16)
    empty = [seed for seed in range(40) if np.random.default_rng(seed).random() < 0.05]
    assert empty
    window = task.draw(np.random.default_rng(empty[0]))
    assert tuple(window.hu.shape) == task.size
    assert not window.labels.any()


def test_a_box_round_one_vertebra_shows_that_one_alone(stages, scan):
    image, points = scan
    _, labeller = stages
    assert labeller(image, SpineBox(points[1] - [30, 30, 14], points[1] + [30, 30, 14])).levels == (Level.T12,)
