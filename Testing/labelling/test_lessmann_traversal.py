"""Lessmann's traversal, proven apart from any weights: with a network that is never wrong, and with bad ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perfect import PerfectNetwork, truth

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.detection.lessmann import DOWN, MOVES, UP, begins_with, converge, first_fragment, windows
from SpineSegmentationLib.detection.lessmann_patches import Answer, Fragment, Lattice
from SpineSegmentationLib.labelling import lessmann_traversal
from SpineSegmentationLib.labelling.lessmann_traversal import MOST, traverse
from SpineSegmentationLib.spine import SpineBox


def visited(network: PerfectNetwork, found: list[Fragment]) -> list[Level]:
    """The one vertebra of each fragment."""
    levels = []
    for fragment in found:
        place = fragment.corner + np.argwhere(fragment.mask) - network.lattice().corner
        (code,) = np.unique(network.labels[tuple(place.T)])
        levels.append(Level(code))
    return levels


@pytest.mark.parametrize("direction", [UP, DOWN])
@pytest.mark.parametrize(("first", "last"), [(Level.T11, Level.L4), (Level.C3, Level.T3)])
def test_every_vertebra_is_visited_once_and_whole(first, last, direction):
    network = PerfectNetwork(truth(first, last), direction)
    lattice = network.lattice()
    found = traverse(lattice, network, network.box, direction)
    assert visited(network, found) == network.levels()
    for fragment, level in zip(found, network.levels(), strict=True):
        assert fragment.mask.sum() >= 0.99 * network.sizes[level] or not fragment.answer.complete
    assert lattice.memory.sum() == sum(fragment.mask.sum() for fragment in found)
    assert network.calls < 8 * len(found) + 30


def test_a_gap_in_the_column_is_crossed():
    whole = truth(Level.T5, Level.L4)
    labels = np.where(np.isin(whole, [Level.T8, Level.T9, Level.T10, Level.T11]), 0, whole)
    network = PerfectNetwork(labels)
    found = traverse(network.lattice(), network, network.box, UP)
    assert visited(network, found) == network.levels()


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_one_vertebra_alone(direction):
    whole = truth()
    network = PerfectNetwork(np.where(whole == Level.L1, whole, 0), direction)
    (only,) = traverse(network.lattice(), network, network.box, direction)
    assert only.mask.sum() == network.sizes[Level.L1]
    assert only.answer.complete == 1


@pytest.mark.parametrize("height", [0.1, 0.5])
def test_another_bone_is_met_once_and_the_column_beside_it_followed(height):
    column = truth(Level.T11, Level.L4)
    labels = np.pad(column, ((0, 0), (60, 0), (0, 0)))  # room in front
    z = int(height * (len(labels) - 20))
    labels[z : z + 20, 5:15, 20:40] = Level.L6  # a sternum, which the network takes for the first
    network = PerfectNetwork(labels)
    met = []

    def is_vertebra(fragment):
        met.append(fragment)
        return visited(network, [fragment]) != [Level.L6]

    found = traverse(network.lattice(), network, network.box, UP, is_vertebra)
    assert Level.L6 in network.levels()
    assert visited(network, found) == [level for level in network.levels() if level is not Level.L6]
    assert visited(network, met).count(Level.L6) == (height < 0.5)  # else the column is met first, and passes it


def test_after_another_bone_the_last_vertebra_is_gone_back_to(monkeypatch):
    labels = np.pad(truth(Level.T11, Level.L4), ((0, 0), (60, 0), (0, 0)))
    z = int(np.argwhere(labels == Level.L1)[:, 0].mean())
    labels[z : z + 14, 58:66, 20:40] = Level.L6
    network = PerfectNetwork(labels)
    monkeypatch.setattr(lessmann_traversal, "windows", lambda *values: [])  # the search would not come by again

    def is_vertebra(fragment):
        return visited(network, [fragment]) != [Level.L6]

    found = traverse(network.lattice(), network, network.box, UP, is_vertebra)
    assert visited(network, found) == [level for level in network.levels() if level is not Level.L6]


def test_other_bones_do_not_use_up_the_vertebrae(monkeypatch):
    network = PerfectNetwork(truth())
    hips = network.levels()[:2]
    monkeypatch.setattr(lessmann_traversal, "MOST", len(network.levels()) - len(hips))

    def is_vertebra(fragment):
        return visited(network, [fragment])[0] not in hips

    found = traverse(network.lattice(), network, network.box, UP, is_vertebra)
    assert visited(network, found) == network.levels()[2:]


def test_crumbs_that_are_no_vertebra_are_not_passed_one_by_one():
    lattice = Lattice(np.full((64, 64, 64), 500.0), np.zeros(3, int), 2.0, 64)
    scattered = np.zeros((64, 64, 64), np.float32)
    scattered[::2, ::2, ::2] = 1
    calls = []

    def ask(hu, memory):
        calls.append(1)
        assert len(calls) < 200  # eight places, at most ten times cropped
        return Answer(scattered, 1.0, 1.0)

    box = SpineBox((0, 0, 0), (126, 126, 126))
    assert first_fragment(lattice, ask, box, UP, lambda fragment: False) is None


def test_no_vertebra_at_all():
    network = PerfectNetwork(np.zeros((80, 60, 60), np.uint8))
    assert traverse(network.lattice(), network, network.box, UP) == []
    assert network.calls == 0  # nothing is as bright as bone


def test_the_search_is_limited_by_the_box_and_the_column_followed_beyond_it():
    network = PerfectNetwork(truth(Level.T5, Level.L4))
    z = network.lattice().corner[0] * 2.0 + 2.0 * np.argwhere(network.labels == Level.T11)[:, 0].mean()
    box = SpineBox((*network.box.lower[:2], z - 1), (*network.box.upper[:2], z + 1))
    assert {int(centre[0]) for centre in windows(network.lattice(), box, UP)} == {round(z / 2)}
    found = traverse(network.lattice(), network, box, UP)
    assert visited(network, found)[-1] == network.levels()[-1]


@given(st.integers(0, 2**32 - 1), st.sampled_from([UP, DOWN]))
@settings(max_examples=10, deadline=None)
def test_the_traversal_ends_with_any_network(seed, direction):
    rng = np.random.default_rng(seed)
    lattice = Lattice(np.full((40, 30, 30), 300.0, np.float32), np.array([0, 0, 0]), 2.0, 16)

    def ask(hu, memory):
        probability = np.zeros(hu.shape, np.float32)
        low = rng.integers(0, 8, 3)
        probability[tuple(slice(a, a + b) for a, b in zip(low, rng.integers(1, 14, 3), strict=True))] = rng.random()
        return Answer(probability, rng.uniform(0, 30), rng.random())

    found = traverse(lattice, ask, SpineBox((0, 0, 0), (60, 60, 80)), direction)
    assert len(found) <= MOST


def block(low, size, shape=16):
    probability = np.zeros((shape,) * 3, np.float32)
    probability[tuple(slice(a, a + size) for a in low)] = 1
    return Answer(probability, 20.0, 1.0)


def test_a_swinging_patch_is_put_midway():
    """The answers draw the patch 2 voxels up and 2 voxels down in turn: it would never stand still."""
    lattice = Lattice(np.zeros((64, 64, 64), np.float32), np.zeros(3, int), 2.0, 16)
    centres = []

    def ask(hu, memory):
        # The middle of an even block rounds up: (5 + 11) / 2 = 8, where the patch is.
        centres.append(len(centres))
        return block((7 if len(centres) % 2 else 3, 5, 5), 7)

    fragment = converge(lattice, ask, np.array([30, 30, 30]), UP)
    assert len(centres) == MOVES + 1
    # 30 -> 32 -> 30 ... after ten moves at 30, from 32: the ceiling of 31.
    np.testing.assert_array_equal(fragment.corner + 8, [31, 30, 30])


def test_a_patch_that_hardly_moves_stands_still():
    lattice = Lattice(np.zeros((64, 64, 64), np.float32), np.zeros(3, int), 2.0, 16)
    fragment = converge(lattice, lambda hu, memory: block((6, 5, 5), 7), np.array([30, 30, 30]), UP)
    np.testing.assert_array_equal(fragment.middle - [30, 30, 30], [1, 0, 0])  # 2 mm are no move
    np.testing.assert_array_equal(fragment.corner + 8, [30, 30, 30])
    assert converge(lattice, lambda hu, memory: block((5, 5, 5), 4), np.array([30, 30, 30]), UP) is None  # 512 mm^3


@pytest.mark.parametrize(("direction", "middle"), [(UP, 25), (DOWN, 52)])
def test_a_patch_stays_with_its_fragment_when_all_at_once_a_later_bone_is_shown(direction, middle):
    lattice = Lattice(np.zeros((64, 64, 64), np.float32), np.zeros(3, int), 2.0, 64)
    # Middles 25 and, of the patch that moved 7 down, 59 - 7: 54 mm up; then one that stands still.
    answers = [block((low, 27, 27), 10, 64) for low in (20, 54, 27)]
    fragment = converge(lattice, lambda hu, memory: answers.pop(0), np.array([32, 32, 32]), direction)
    assert fragment.middle[0] == middle


class Fleeting(PerfectNetwork):
    """Sees something every other time where no vertebra is in view."""

    def __call__(self, hu, memory):
        if (hu > 1000).any():
            return super().__call__(hu, memory)
        self.calls += 1
        return block((50, 3, 3), 8 * (self.calls % 2), 64)


def test_what_is_lost_again_beside_the_column_does_not_end_the_search():
    whole = np.pad(truth(Level.T5, Level.L4), ((0, 0), (100, 0), (0, 0)))
    labels = np.where(np.isin(whole, [Level.T7, Level.T8, Level.T9, Level.T10, Level.T11]), 0, whole)
    network = Fleeting(labels)
    lattice = network.lattice()
    lattice.hu[:, :30] = 200  # as bright as bone
    assert visited(network, traverse(lattice, network, network.box, UP)) == network.levels()


def test_the_middle_is_rounded_up_and_the_largest_piece_counts():
    lattice = Lattice(np.zeros((64, 64, 64), np.float32), np.array([100, 200, 300]), 2.0, 16)
    probability = np.zeros((16, 16, 16), np.float32)
    probability[2:10, 4:9, 0:6] = 0.5  # z 2..9, y 4..8, x 0..5: middles 5.5, 6, 2.5
    probability[14, 14, 14] = 1
    fragment = lattice.look(lambda hu, memory: Answer(probability, 1.0, 1.0), np.array([130, 230, 330]))
    np.testing.assert_array_equal(fragment.middle, np.array([130, 230, 330]) - 8 + [6, 6, 3])
    assert fragment.mask.sum() == 8 * 5 * 6


def test_windows_are_half_a_patch_apart_and_reach_all_of_the_box():
    lattice = Lattice(np.zeros((1, 1, 1), np.float32), np.zeros(3, int), 2.0, 64)
    box = SpineBox((0, 0, 0), (100, 300, 500))  # 50, 150 and 250 voxels
    centres = np.array(windows(lattice, box, UP))
    np.testing.assert_array_equal(np.unique(centres[:, 2]), [9, 41])  # 18 voxels between the outer quarters of a patch
    z = np.unique(centres[:, 0])
    np.testing.assert_array_equal(np.diff(z), 32)
    assert z[0] <= 16 and z[-1] >= 250 - 16
    assert (np.diff(centres[:, 0]) >= 0).all()
    np.testing.assert_array_equal(np.array(windows(lattice, box, DOWN))[:, 0], centres[::-1, 0])


class Stubborn(PerfectNetwork):
    """Sees nothing as long as a rest of L5 is in view."""

    def __call__(self, hu, memory):
        answer = super().__call__(hu, memory)
        rest = ((np.rint(hu) == 1000 + Level.L5) & (hu > 1000)).any()
        return Answer(0 * answer.probability, 0.0, 0.0) if rest else answer


def test_what_is_in_the_way_at_the_bottom_is_cut_off():
    whole = truth()
    rows = np.flatnonzero((whole == Level.L4).any((1, 2)))
    labels = np.where(whole == Level.L5, 0, whole)[rows[0] : rows[0] + 30].copy()
    labels[:2, 20:30, 20:30] = Level.L5
    network = Stubborn(labels)
    lattice = network.lattice()
    fragment = first_fragment(lattice, network, network.box, UP)
    assert fragment is not None
    assert (lattice.hu[:2] < -1000).all() and (lattice.hu[8:] > -1000).all()
    assert Level.L5 not in visited(network, traverse(network.lattice(), network, network.box, UP))


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_the_box_begins_with_the_first_vertebra(direction):
    network = PerfectNetwork(truth(), direction)
    first = first_fragment(network.lattice(), network, network.box, direction)
    box = begins_with(first, 2.0, network.box, direction)
    points = 2.0 * (network.lattice().corner + np.argwhere(network.labels > 0))[:, ::-1]
    assert np.mean(box.contains(points)) > 0.99
    end, start = (2, 0) if direction == UP else (0, 2)
    assert (box.upper, box.lower)[start // 2][2] == (network.box.upper, network.box.lower)[start // 2][2]
    assert end != start
