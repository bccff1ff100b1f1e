"""Lessmann's three stages on the road, with a network that is never wrong: names, masks that are kept, every edit."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from perfect import PerfectNetwork, truth

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.detection import lessmann as detection
from SpineSegmentationLib.detection.lessmann_patches import Answer, Fragment
from SpineSegmentationLib.headway import telling
from SpineSegmentationLib.labelling import lessmann as labelling
from SpineSegmentationLib.labelling.lessmann_sequence import expected, names_of, probabilities, readings, votes
from SpineSegmentationLib.labelling.lessmann_traversal import traverse
from SpineSegmentationLib.numbering import Certainty
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation import column
from SpineSegmentationLib.segmentation import lessmann as segmentation
from SpineSegmentationLib.session.memory import Memory, scan_of, text_of
from SpineSegmentationLib.session.session import Session
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox
from SpineSegmentationLib.systems import System


def test_a_number_is_a_probability_of_two_names():
    expected = np.zeros(25)
    expected[22], expected[21] = 0.8, 0.2  # the paper's example: 22.8 is L4 by 80 % and L3 by 20 %
    np.testing.assert_allclose(probabilities(22.8), expected, atol=1e-9)
    np.testing.assert_allclose(probabilities(-3), np.eye(25)[0])
    np.testing.assert_allclose(probabilities(26.5), np.eye(25)[24])


def numbered(*numbers):
    return np.array([probabilities(number) for number in numbers]).reshape(-1, 25)


def likeliest(numbers, thoracic=()):
    best = readings(numbered(*numbers), thoracic)[0]
    return best.levels, best.probability


def test_the_likeliest_sequence_by_hand():
    # As L2 L3 L4 (21, 22, 23): (0.8 + 0.4 + 0.8) / 3; one lower: (0 + 0 + 0.2) / 3; one higher: (0.2 + 0.6 + 0) / 3.
    best, second = readings(numbered(21.2, 22.6, 22.8))
    assert best.levels == (Level.L2, Level.L3, Level.L4)
    assert best.probability == pytest.approx(2.0 / (2.0 + 0.2 + 0.8))
    assert second.levels == (Level.L3, Level.L4, Level.L5)
    assert second.probability == pytest.approx(0.8 / 3.0)
    # One vertebra that is wrong by three does not draw the others along.
    assert likeliest([19.0, 20.0, 24.0, 22.0])[0] == (Level.T12, Level.L1, Level.L2, Level.L3)
    assert readings(numbered()) == ()
    assert len(readings(numbered(*range(1, 26)))) == 1  # only one way to name 25


def test_numbers_that_fit_no_sequence_are_named_by_what_is_nearest():
    levels, share = likeliest([5.0, 1.0, 9.0, 1.0])
    assert share > 0  # 5 alone fits C5 ...
    assert levels[0] == Level.C5 or levels[2] == Level.T2
    levels, share = likeliest([25.0, 1.0, 1.0])
    assert share == 0 and len(levels) == 3


def test_the_rib_networks_names_come_before_the_number():
    answer = Answer(np.zeros((1, 1, 1)), 22.8, 1.0)
    np.testing.assert_allclose(names_of(answer), probabilities(22.8))
    flat = np.full(25, 1 / 25)
    assert names_of(replace(answer, names=flat)) is flat
    np.testing.assert_allclose(expected(np.array([flat, probabilities(22.8)])), [13, 22.8])


def test_the_votes_of_ribs_count_three_times():
    # C6 C7 | T1 ... T3 | L1: the lowest with ribs and the first without above them.
    np.testing.assert_array_equal(votes([False, False, True, True, True, False], 6), [1, 3, 1, 1, 3, 1])
    np.testing.assert_array_equal(votes([True, True], 2), [1, 3])
    np.testing.assert_array_equal(votes([False, False], 2), [1, 1])
    np.testing.assert_array_equal(votes((), 3), [1, 1, 1])
    # Two say T12 L1, the lowest rib's owner says it is T11: with three votes it wins.
    numbers = [19.0, 20.0, 20.0]
    assert likeliest(numbers)[0] == (Level.T12, Level.L1, Level.L2)
    assert likeliest([18.0, 19.0, 18.9], [True, True, True])[0][-1] == Level.T12


@pytest.mark.parametrize(
    ("volumes", "complete", "listed"),
    [
        ((90, 80, 70), (1.0, 1.0, 1.0), [0, 1, 2]),
        ((50, 80, 70), (0.1, 0.9, 0.9), [0, 1, 2]),  # cut, but most of it is in view
        ((80, 70, 4, 3), (0.9, 0.9, 0.6, 0.6), [0, 1]),  # two crumbs, which are as large as each other
        ((80, 70, 30), (0.9, 0.9, 0.6), [0, 1, 2]),
        ((80, 70, 30), (0.9, 0.9, 0.4), [0, 1]),
        ((8, 8, 50, 8, 8), (0.9, 0.9, 0.9, 0.9, 0.9), [0, 1, 2, 3, 4]),  # a piece of skull beside a neck
        ((7,), (0.0,), [0]),
    ],
)
def test_crumbs_are_not_listed(volumes, complete, listed):
    met = []
    for volume, chance in zip(volumes, complete, strict=True):
        mask = np.zeros((100, 1, 1), bool)
        mask[:volume] = True
        met.append(Fragment(mask, Answer(mask.astype(float), 20.0, chance), np.zeros(3, int)))
    assert [n for n in range(len(met)) if labelling.shown_enough(n, met)] == listed


def test_a_crumb_that_is_surely_named_is_listed():
    """C7 at the upper end of a chest, most of which T1 has taken."""
    met = []
    for volume, vertebra, chance in ((90, 1.0, 1.0), (80, 1.0, 1.0), (9, 0.95, 0.95), (9, 0.95, 0.5), (9, 0.5, 0.95)):
        mask = np.zeros((100, 1, 1), bool)
        mask[:volume] = True
        answer = Answer(mask.astype(float), 7.0, 0.4, names=chance * np.eye(25)[6], vertebra=vertebra)
        met.append(Fragment(mask, answer, np.zeros(3, int)))
    assert [labelling.shown_enough(2, [*met[:2], one]) for one in met[2:]] == [True, False, False]


@pytest.fixture
def network(monkeypatch):
    """The perfect network in all three stages of the system ``perfect``."""
    network = PerfectNetwork(truth())
    monkeypatch.setattr(detection, "Network", lambda device: network)
    monkeypatch.setattr(segmentation, "Network", lambda device: network)
    monkeypatch.setitem(pipeline.SYSTEMS, "perfect", System("lessmann", "lessmann", "lessmann"))
    return network


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def test_the_road_gives_names_and_masks(network):
    road = Pipeline("perfect", "cpu")
    result = road.run(network.ct)
    levels = network.levels()
    # Those at the ends may be hardly in view.
    assert network.whole & set(levels) <= set(result.centroids.levels) <= set(levels)
    labels = voxels(result.label_map)
    for level in result.centroids.levels:
        assert 2 * ((labels == level) & (network.labels == level)).sum() > 0.97 * (
            (labels == level).sum() + network.sizes[level]
        )
    assert all(point.confidence > 0.5 for point in result.centroids)
    # Never certain: nothing was calibrated. No vertebra was taken for another.
    assert result.centroids.numbering.certainty is Certainty.DOUBTFUL
    assert result.centroids.numbering.evidence == (labelling.NEVER_CERTAIN,)
    assert result.centroids.numbering.readings[0].levels == result.centroids.levels


def test_masks_that_the_labeller_found_are_not_computed_again_and_are_those_of_a_fresh_run(network):
    road = Pipeline("perfect", "cpu")
    session = Session(network.ct, road)
    box = road.run(network.ct, until="detection").box
    found = road.run(network.ct, box=box, until="labelling").centroids
    network.calls = 0
    road.run(network.ct, box=box, until="labelling")
    for_names = network.calls
    network.calls = 0
    session.run(box)
    assert network.calls == for_names
    assert session.state.centroids.levels == found.levels
    assert np.array_equal(session.state.centroids.positions, found.positions)
    fresh = Pipeline("perfect", "cpu").run(network.ct, centroids=found)
    assert network.calls > for_names
    np.testing.assert_array_equal(voxels(session.label_map), voxels(fresh.label_map))


def test_every_edit_gives_what_a_fresh_run_gives_and_names_cost_nothing(network):
    session = Session(network.ct, Pipeline("perfect", "cpu"))
    session.run()

    def check():
        fresh = Pipeline("perfect", "cpu").run(network.ct, centroids=session.state.centroids)
        np.testing.assert_array_equal(voxels(session.label_map), voxels(fresh.label_map))

    network.calls = 0
    session.shift(-1)
    session.rename(session.state.centroids.levels[0], Level.C7)
    session.undo()
    session.undo()
    assert network.calls == 0
    middle = session.state.centroids[Level.L1]
    session.move(Level.L1, tuple(np.add(middle.position, (3.0, -2.0, 4.0))))
    assert 0 < network.calls < 3  # the vertebra itself: its mask is the same, and so is what others remember
    check()
    session.delete(Level.L2)
    check()
    session.add(Level.L2, tuple(np.add(truth_centre(network, Level.L2), (1.0, 1.0, 1.0))))
    check()
    assert (voxels(session.label_map) == Level.L2).sum() > 0.95 * network.sizes[Level.L2]
    # A scene keeps none of those that vertebrae had beside others.
    assert len(session.masks) == len(session.state.centroids)


def test_given_points_are_segmented_one_by_one_and_can_be_cancelled(network):
    given = Pipeline("perfect", "cpu").run(network.ct, until="labelling").centroids
    network.calls, calls = 0, []

    def told(step):
        if step.done:
            calls.append(network.calls)

    found = Pipeline("perfect", "cpu").find(network.ct, centroids=given, progress=told)
    assert len(calls) == len(given) and 0 < calls[0] < calls[-1] / 2
    assert tuple(found.masks) == given.levels


def test_a_scene_keeps_the_masks_that_were_made_by_the_same_rules(network, monkeypatch):
    session = Session(network.ct, Pipeline("perfect", "cpu"))
    session.run()
    scan = scan_of(network.ct)
    memory = Memory(scan, dict(text_of(key, mask) for key, mask in session.masks.items()))
    later = Session(network.ct, Pipeline("perfect", "cpu"))
    later.remember(memory.of(scan))
    network.calls = 0
    later.apply(session.state)
    assert network.calls == 0
    np.testing.assert_array_equal(voxels(later.label_map), voxels(session.label_map))
    monkeypatch.setattr(column, "RULES", column.RULES + 1)  # of another version
    last = Session(network.ct, Pipeline("perfect", "cpu"))
    last.remember(memory.of(scan))
    last.apply(session.state)
    assert network.calls > 0


def truth_centre(network, level):
    z, y, x = np.argwhere(network.labels == level).mean(0)
    x, y, z = network.ct.TransformContinuousIndexToPhysicalPoint((x, y, z))
    return x, y - 18.0, z  # the body lies in front of the middle of the vertebra


def test_one_point_alone_passes_the_vertebrae_below_it(network):
    road = Pipeline("perfect", "cpu")
    position = truth_centre(network, Level.T12)
    result = road.run(network.ct, centroids=Centroids((Centroid(Level.T12, position),)))
    labels = voxels(result.label_map)
    assert set(np.unique(labels)) == {0, int(Level.T12)}
    assert ((labels > 0) & (network.labels != Level.T12)).sum() < 0.05 * network.sizes[Level.T12]


def test_a_point_where_no_vertebra_is_has_no_mask_and_is_told(network):
    corner = tuple(np.add(network.box.lower, 4.0))
    result = Pipeline("perfect", "cpu").run(network.ct, centroids=Centroids((Centroid(Level.L3, corner),)))
    assert not voxels(result.label_map).any()
    assert any("no bone" in line for line in result.warnings)


def test_a_point_beside_a_vertebra_means_the_nearest_one(network):
    place = min(np.argwhere(network.labels == Level.L2), key=lambda voxel: voxel[1])  # the front of its body
    x, y, z = network.ct.TransformIndexToPhysicalPoint(place[::-1].tolist())
    result = Pipeline("perfect", "cpu").run(network.ct, centroids=Centroids((Centroid(Level.L2, (x, y - 7.0, z)),)))
    labels = voxels(result.label_map)
    assert ((labels > 0) & (network.labels == Level.L2)).sum() > 0.9 * network.sizes[Level.L2]
    assert ((labels > 0) & (network.labels != Level.L2)).sum() < 0.05 * network.sizes[Level.L2]


def test_a_column_that_was_followed_is_named_once(network, monkeypatch):
    ended = PerfectNetwork(np.where(np.isin(truth(), [Level.L4, Level.L5]), 0, truth()))
    asked = []
    monkeypatch.setattr(labelling, "traverse", lambda *values: asked.append(traverse(*values)))
    road = Pipeline("perfect", "cpu")
    for role in ("detection", "labelling"):
        road.stage(role).network = ended
    road.stage("labelling").segmenter.network = ended
    assert road.run(ended.ct, until="labelling").centroids
    assert len(asked) == 1


def test_what_the_rib_network_takes_for_another_bone_is_not_listed(network):
    def judged(lattice, fragment):
        other = abs(fragment.answer.label - 20) < 0.1  # L1, or what looks like it
        return replace(fragment, answer=replace(fragment.answer, vertebra=0.1 if other else 0.9))

    network.judged = judged
    found = labelling.LessmannLabeller(None)(network.ct, network.box)
    assert Level.L1 not in found.levels and {Level.T12, Level.L2} <= set(found.levels)


def test_what_lies_beyond_a_wide_gap_is_left_out_and_told(network):
    whole = truth(Level.T5, Level.L4)
    gapped = PerfectNetwork(np.where(np.isin(whole, [Level.T8, Level.T9, Level.T10, Level.T11]), 0, whole))
    labeller = labelling.LessmannLabeller(None)
    labeller.network = labeller.segmenter.network = gapped
    found = labeller(gapped.ct, gapped.box)
    assert not {Level.T5, Level.T6, Level.T7} & set(found.levels) and Level.L2 in found.levels
    assert any("left out as no neighbours" in line for line in found.numbering.evidence)


def test_naming_tells_how_far_it_is_and_ends_where_it_is_told_to(network):
    shares = []

    def tell(share):
        shares.append(share)
        if len(shares) == 3:
            raise KeyboardInterrupt

    with telling(tell), pytest.raises(KeyboardInterrupt):
        labelling.LessmannLabeller(None)(network.ct, network.box)
    assert 0 < shares[0] < shares[1] < shares[2] < 1 and network.calls < 20


def test_the_box_limits_what_is_found(network):
    z = np.argwhere(network.labels == Level.L1)[:, 0].mean()
    height = network.ct.TransformContinuousIndexToPhysicalPoint((0.0, 0.0, float(z)))[2]
    box = SpineBox((*network.box.lower[:2], height - 25), network.box.upper)
    found = Pipeline("perfect", "cpu").run(network.ct, box=box, until="labelling").centroids
    assert found.levels[-1] in (Level.L1, Level.L2)
    assert all(point.position[2] >= height - 25 for point in found)


def test_nothing_is_an_answer(network):
    empty = PerfectNetwork(np.zeros((40, 40, 40), np.uint8))
    assert Pipeline("perfect", "cpu").run(empty.ct, until="detection").box is None
    assert len(labelling.LessmannLabeller(None)(empty.ct, empty.box)) == 0


def test_completeness_is_the_networks(network):
    found = Pipeline("perfect", "cpu").find(network.ct)
    expected = {level: level in network.whole for level in found.centroids.levels}
    assert found.complete == expected
    session = Session(network.ct, Pipeline("perfect", "cpu"))
    session.run()
    assert session.complete == expected == Pipeline("perfect", "cpu").run(network.ct).complete
