"""The projections' candidates and a witness in three dimensions: who decides what."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.labelling.combined import WORTH, CombinedLabeller, Place, heard, joined, near, open_ends
from SpineSegmentationLib.labelling.context import Heights
from SpineSegmentationLib.labelling.evidence import Evidence
from SpineSegmentationLib.labelling.sequence import Candidate, best_sequence
from SpineSegmentationLib.networks.evidence import PLACES
from SpineSegmentationLib.numbering import Certainty
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox


def candidate(position, probability=0.8, **levels):
    shares = np.full(len(COLUMN), 1e-6)
    for name, share in levels.items():
        shares[Level[name].rank] = share
    return Candidate(position, probability, shares / shares.sum())


def heat_at(points, size=(30, 25, 40), spacing=4.0, origin=(-50.0, -40.0, 100.0)):
    """Heatmaps with a Gaussian of 6 mm per (level, position, height) on a grid along the LPS axes."""
    image = sitk.Image(list(size), sitk.sitkFloat32)
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin(origin)
    z, y, x = np.indices(size[::-1]) * spacing
    place = np.stack([x, y, z], -1) + np.array(origin)
    maps = np.zeros((len(COLUMN), *size[::-1]))
    for level, position, height in points:
        distance = np.linalg.norm(place - np.array(position), axis=-1)
        maps[level.rank] += height * np.exp(-0.5 * (distance / 6.0) ** 2)
    return maps, image


def test_the_witness_is_found_between_the_voxels():
    maps, image = heat_at([(Level.T7, (5.3, 10.9, 160.6), 0.9), (Level.T8, (5.0, 11.0, 138.0), 1.0)])
    found = near(maps, image, (1.0, 8.0, 162.0))
    assert found.position == pytest.approx((5.3, 10.9, 160.6), abs=1.0)
    assert 0.8 < found.probability <= 0.95


def test_the_witness_looks_far_across_but_not_along():
    maps, image = heat_at([(Level.T7, (-22.0, 10.0, 160.0), 0.9)])
    assert near(maps, image, (0.0, 10.0, 160.0)).probability > 0.7
    assert near(maps, image, (0.0, 10.0, 185.0)).probability < 0.2
    assert near(maps, image, (0.0, 10.0, 900.0)) is None


def test_near_places_are_averaged_and_far_ones_are_the_witness_s():
    one = candidate((0, 3, 7), 0.6, T7=1.0)
    beside = joined(one, Place((4, 9, 9), 0.8))
    assert beside.position == pytest.approx((2, 3, 7)) and beside.probability == pytest.approx(0.7)
    in_a_vessel = joined(one, Place((-20, 9, 9), 0.8))
    assert in_a_vessel.position == pytest.approx((-20, 3, 7))


def test_a_witness_that_sees_nothing_moves_nothing():
    one = candidate((0, 3, 7), 0.6, T7=1.0)
    assert joined(one, None) is one
    assert joined(one, Place((-20, 9, 9), 0.1)).position == pytest.approx((0, 3, 7))


def test_the_name_is_left_to_the_projections():
    one = candidate((0, 0, 0), T5=0.5, T6=0.3)
    assert joined(one, Place((0, 0, 0), 0.9)).levels is one.levels


def test_what_the_witness_does_not_see_is_doubted():
    places = [(0.0, 0.0, -35.0 * k) for k in range(4)]
    own = [candidate(p, 0.2, **{n: 1.0}) for p, n in zip(places, ["L1", "L2", "L3", "L4"], strict=True)]
    seen = [joined(c, Place(c.position, 0.9)) for c in own]
    doubted = [joined(c, Place(c.position, 0.0)) for c in own]
    assert best_sequence(seen).levels == (Level.L1, Level.L2, Level.L3, Level.L4)
    assert [c.probability for c in doubted] == [0.1] * 4


@pytest.mark.parametrize(("odds", "thoracic", "others"), [((2.0, 1.0), 0.0, -1.2), ((-9.0, -5.0), -2.4, 0.0)])
def test_ribs_speak_against_names_that_have_none_and_missing_ones_against_the_others(odds, thoracic, others):
    patch = Evidence(np.zeros(PLACES), np.float64(1.0), np.array(odds), np.float64(-4.0))
    one = heard(candidate((0, 0, 0), T12=1.0), patch, np.zeros(PLACES), replace(WORTH, ribs=0.8))
    assert one.ribs[Level.T1.rank : Level.T13.rank + 1] == pytest.approx(thoracic)  # 0.8 times at most 3 nats
    assert np.delete(one.ribs, range(Level.T1.rank, Level.T13.rank + 1)) == pytest.approx(others)


PLACES_MM = [(1 / 3, 2 / 3, -21.0 * k - 1 / 7) for k in range(6)]  # of C7 to T5, no whole thousandths of a mm


@pytest.fixture
def labeller():
    """The labeller with stand-ins: projections that see the middle four vertebrae, patches that see all six."""
    levels = [Level.C7, Level.T1, Level.T2, Level.T3, Level.T4, Level.T5]

    def read(ct, positions):
        away = np.linalg.norm(np.array(positions)[:, None] - np.array(PLACES_MM)[None], axis=2)
        nearest = away.argmin(1)
        shares = np.full((len(positions), PLACES), -8.0)
        shares[np.arange(len(positions)), [levels[k].rank for k in nearest]] = -0.05
        ribs = np.where(nearest > 0, 4.0, -4.0)
        return Evidence(shares, 6 - away.min(1), np.stack([ribs, ribs], 1), np.full(len(positions), -4.0))

    made = CombinedLabeller.__new__(CombinedLabeller)
    made.worth, made.evidence = WORTH, read
    made.context = lambda ct: Heights(0.0, np.stack([np.full(2, 300.0), np.full(2, 6.0)])[None])
    found = [candidate(place, 0.9, **{level.name: 1.0}) for place, level in zip(PLACES_MM, levels, strict=True)]
    made.candidates = lambda ct, box: found[1:5]
    return made


def test_patches_lead_on_and_landmarks_are_told(labeller):
    found = labeller(sitk.Image([2, 2, 2], sitk.sitkInt16), SpineBox((-90, -90, -400), (90, 90, 90)))
    assert [level.name for level in found.levels] == ["C7", "T1", "T2", "T3", "T4", "T5"]
    assert found.numbering.evidence == ("first rib at T1 on both sides",)
    assert found.numbering.certainty is Certainty.CERTAIN


def test_a_vertebra_that_nobody_saw_makes_names_doubtful(labeller):
    seen, reader = labeller.candidates(None, None), labeller.evidence

    def blind(ct, positions):
        hidden = np.linalg.norm(np.array(positions) - PLACES_MM[3], axis=1) < 10
        answers = reader(ct, positions)
        return answers._replace(vertebra=np.where(hidden, -6.0, answers.vertebra))

    labeller.candidates, labeller.evidence = (lambda ct, box: [*seen[:2], *seen[3:]]), blind
    found = labeller(sitk.Image([2, 2, 2], sitk.sitkInt16), SpineBox((-90, -90, -400), (90, 90, 90)))
    assert Level.T2 in found.levels or Level.T3 in found.levels
    assert any("no vertebra was recognised where" in phrase for phrase in found.numbering.evidence)
    assert found.numbering.certainty is not Certainty.CERTAIN


def test_the_patches_lead_nowhere_outside_the_box(labeller):
    found = labeller(sitk.Image([2, 2, 2], sitk.sitkInt16), SpineBox((-90, -90, -95), (90, 90, -13)))
    assert [level.name for level in found.levels] == ["T1", "T2", "T3", "T4"]
    # Without C7 nobody can tell that the rib at T1 is the first.
    assert found.numbering.certainty is not Certainty.CERTAIN
    assert found.numbering.evidence[0].startswith("no landmark")


def test_a_column_without_a_likely_vertebra_is_none(labeller):
    labeller.evidence = lambda ct, positions: Evidence(
        np.full((len(positions), PLACES), -3.0),
        np.full(len(positions), -5.0),
        np.zeros((len(positions), 2)),
        np.zeros(len(positions)),
    )
    assert len(labeller(sitk.Image([2, 2, 2], sitk.sitkInt16), SpineBox((-90, -90, -400), (90, 90, 90)))) == 0


@pytest.mark.parametrize(
    ("upper", "levels", "hu", "sacrum", "expected"),
    [
        (0.0, (Level.L3, Level.L4), 40, False, "nothing was recognised below L4, though the scan goes on"),
        (0.0, (Level.L3, Level.L4), 40, True, ""),
        (0.0, (Level.L4, Level.L5), 40, True, ""),
        (0.0, (Level.L4, Level.L5), 40, False, "S1 was not recognised below L5, though the scan goes on"),
        (0.0, (Level.L3, Level.L4), -1000, False, ""),
        (-95.0, (Level.C3, Level.C4), 40, False, "nothing was recognised above C3, though the scan goes on"),
    ],
)
def test_ends_beyond_which_the_scan_goes_on(upper, levels, hu, sacrum, expected):
    image = sitk.Image([5, 5, 160], sitk.sitkInt16) + hu
    image.SetOrigin((-2.0, -2.0, -120.0))
    column = Centroids(tuple(Centroid(level, (0, 0, upper - 18.0 * k)) for k, level in enumerate(levels)))
    phrases = open_ends(image, column, sacrum)
    found = [phrase for phrase in phrases if not phrase.startswith("nothing was recognised above L")]
    assert found == ([expected] if expected else [])


def test_a_scan_that_lies_askew_ends_where_its_voxels_do():
    image = sitk.Image([60, 40, 40], sitk.sitkInt16) + 40
    turn = np.sqrt(0.5)
    image.SetDirection([1, 0, 0, 0, turn, -turn, 0, turn, turn])
    image.SetOrigin((-30.0, 0.0, -20 / turn))  # so that its middle is at 0, 0, 0, and its edges 28 mm below and above
    at_the_side = [(0.0, 15.0, z) for z in (8.0, 0.0, -8.0)]  # where it ends after 13 mm
    in_the_middle = [(0.0, 0.0, z) for z in (8.0, 0.0, -8.0)]
    for places, count in ((at_the_side, 0), (in_the_middle, 2)):
        levels = (Level.L1, Level.L2, Level.L3)
        column = Centroids(tuple(Centroid(*one) for one in zip(levels, places, strict=True)))
        assert len(open_ends(image, column, False)) == count
