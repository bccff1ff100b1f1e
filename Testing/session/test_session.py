"""The law of edits, merging bit by bit, and which edits run a network."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import standins
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.cache import Cache
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.mask import HALF, Merger, Piece, VertebraMask, merge
from SpineSegmentationLib.session.session import Session
from SpineSegmentationLib.spine import Centroids, SpineBox

standins.install()
TILTED = Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix()
PIPELINE = Pipeline("standin", "cpu")
CT = standins.spine_ct(direction=TILTED)
SCAN = SpineBox.of_image(CT)


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@pytest.fixture
def session() -> Session:
    session = Session(CT, PIPELINE)
    session.run()
    assert len(session.state.centroids) == 5
    standins.CALLS.clear()
    return session


levels = st.sampled_from([Level.T10, Level.T11, Level.T12, Level.T13, Level.L1, Level.L2, Level.L3])
fractions = st.tuples(*[st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.1])] * 3)
places = st.tuples(*[st.floats(-0.125, 1.125, width=32)] * 3)


def inside(fraction) -> tuple[float, float, float]:
    return tuple(float(v) for v in np.array(SCAN.lower) + np.array(fraction) * SCAN.size)


def box_of(a, b) -> SpineBox:
    corners = np.sort([inside(a), inside(b)], axis=0)
    return SpineBox(tuple(corners[0] - 1), tuple(corners[1] + 1))


edits = st.one_of(
    st.tuples(st.just("move"), levels, places.map(inside)),
    st.tuples(st.just("rename"), levels, levels),
    st.tuples(st.just("shift"), st.integers(-2, 2)),
    st.tuples(st.just("add"), levels, places.map(inside)),
    st.tuples(st.just("delete"), levels),
    st.tuples(st.just("insert_between"), levels, levels),
    st.tuples(st.just("relabel_from"), levels, levels),
    st.tuples(st.just("lock"), levels, st.booleans()),
    st.tuples(st.just("set_box"), st.builds(box_of, fractions, fractions)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=1, max_size=8))
def test_law_edits_equal_a_fresh_run(sequence):
    session = Session(CT, PIPELINE)
    session.run()
    for name, *values in sequence:
        before, pieces = session.state, session.pieces
        try:
            getattr(session, name)(*values)
        except SpineError:
            assert session.state == before and session.pieces is pieces
            continue
        fresh = PIPELINE.run(CT, box=session.state.box, centroids=session.state.centroids)
        assert np.array_equal(voxels(session.label_map), voxels(fresh.label_map)), name


def test_a_run_equals_the_pipeline(session):
    fresh = PIPELINE.run(CT)
    assert session.state.box == fresh.box and session.state.centroids == fresh.centroids
    assert np.array_equal(voxels(session.label_map), voxels(fresh.label_map))
    assert set(np.unique(voxels(fresh.label_map))) == {0, *(int(level) for level in fresh.centroids.levels)}


def test_a_vertebra_at_the_place_of_another_is_told(session):
    session.add(Level.L6, session.state.centroids[Level.L1].position)
    line = "L6: no voxel is left to it; another vertebra lies at its place, or the scan ends there"
    assert session.warnings == (line,) and session.pieces[Level.L6].bits.size == 0
    assert line in PIPELINE.run(CT, centroids=session.state.centroids).warnings


def test_a_box_equals_the_pipeline_in_that_box(session):
    box = SpineBox(SCAN.lower, (*SCAN.upper[:2], SCAN.lower[2] + 40))
    session.set_box(box)
    fresh = PIPELINE.run(CT, box=box)
    assert 1 <= len(fresh.centroids) < 5
    assert session.state.centroids == fresh.centroids
    assert np.array_equal(voxels(session.label_map), voxels(fresh.label_map))


def test_a_box_beside_the_scan_finds_nothing_and_stays(session):
    box = SpineBox((1000, 1000, 1000), (1100, 1100, 1100))
    session.set_box(box)
    assert session.state.box == box and not session.state.centroids
    assert not voxels(session.label_map).any()
    assert "outside the scan" in session.warnings[0]


class Upwards(standins.Labeller):
    """Another opinion: every vertebra one level higher, and a little lower in the scan."""

    def __call__(self, ct, box):
        return Centroids(
            tuple(
                replace(c, level=COLUMN[c.level.rank - 1], position=(*c.position[:2], c.position[2] - 1.0))
                for c in super().__call__(ct, box)
            )
        )


class Thin(standins.Segmenter):
    """Smaller masks; its weights are the same file as the other segmenter's."""

    def __call__(self, ct, position, column):
        mask = super().__call__(ct, position, column)
        return VertebraMask(mask.probability // 4 * 3, mask.corner)


class Retrained(standins.Segmenter):
    """The same code with other weights."""

    def __init__(self, device):
        super().__init__(device)
        self.weights = (*self.weights, replace(self.weights[0], sha256="second network"))


@pytest.mark.parametrize(("table", "stage"), [("LABELLERS", Upwards), ("SEGMENTERS", Thin), ("SEGMENTERS", Retrained)])
def test_another_stage_computes_anew_what_hangs_on_it(session, monkeypatch, table, stage):
    monkeypatch.setitem(getattr(pipeline, table), "other", stage)
    other = Pipeline("standin", "cpu", **{table[:-1].lower(): "other"})
    first, box = voxels(session.label_map), session.state.box
    session.pipeline = other
    session.run(box)
    assert standins.CALLS == {"labelling": 1, "segmentation": 5}
    fresh = other.run(CT, box=box)
    assert session.state.centroids == fresh.centroids
    assert np.array_equal(voxels(session.label_map), voxels(fresh.label_map))
    assert np.array_equal(voxels(fresh.label_map), first) == (stage is Retrained)
    standins.CALLS.clear()
    session.pipeline = PIPELINE
    session.run(box)
    assert standins.CALLS == {"labelling": 1} and np.array_equal(voxels(session.label_map), first)


def test_edits_run_only_the_networks_they_need(session):
    place = session.state.centroids[Level.L1].position
    session.shift(1)
    session.rename(Level.L2, Level.T5)
    session.lock(Level.T5)
    session.delete(Level.L3)
    session.relabel_from(Level.L4, Level.L5)
    for _ in range(5):
        assert session.undo()
    assert not standins.CALLS
    session.move(Level.L1, tuple(np.array(place) + (0, 2, 1)))
    assert standins.CALLS == {"segmentation": 1}
    session.move(Level.L1, place)
    session.undo()
    session.undo()
    session.redo()
    assert standins.CALLS == {"segmentation": 1}
    session.insert_between(Level.T12, Level.L1)
    assert standins.CALLS == {"segmentation": 2}


def test_fifty_steps_back_and_forth(session):
    start = session.state.centroids[Level.L1].position
    maps = [voxels(session.label_map)]
    for step in range(50):
        session.move(Level.L1, (start[0] + 0.07 * step, start[1], start[2] - 0.05))
        maps.append(voxels(session.label_map))
    standins.CALLS.clear()
    for before in maps[-2::-1]:
        session.undo()
        assert np.array_equal(voxels(session.label_map), before)
    assert session.undo() and not session.pieces
    assert not session.history.can_undo and not session.undo()
    assert session.redo()
    for _ in range(50):
        session.redo()
    assert np.array_equal(voxels(session.label_map), maps[-1]) and not session.redo()
    assert not standins.CALLS


@pytest.mark.parametrize("stage", ["detection", "labelling", "segmentation"])
def test_what_is_cancelled_leaves_everything_as_it_was(session, stage):
    class Cancelled(Exception):
        pass

    def cancel(step):
        if step.stage == stage:
            raise Cancelled

    session.move(Level.L1, inside((0.5, 0.5, 0.5)))
    state, label_map = session.state, voxels(session.label_map)
    session.progress = cancel
    with pytest.raises(Cancelled):
        session.run()
    with pytest.raises(Cancelled):
        session.run(centroids=None) if stage != "segmentation" else session.undo()
    assert session.state == state and np.array_equal(voxels(session.label_map), label_map)
    assert session.history.can_undo


def test_results_are_shown_as_they_come(monkeypatch):
    monkeypatch.setattr("SpineSegmentationLib.session.session.time.monotonic", iter(range(1000)).__next__)
    seen = []
    session = Session(CT, PIPELINE, show=lambda state, pieces: seen.append((state, set(pieces))))
    session.run()
    assert seen[0][0].box == session.state.box and not seen[0][0].centroids
    assert seen[1][0] == session.state and not seen[1][1]
    assert {len(pieces) for _, pieces in seen[2:]} >= {2, 4}
    seen.clear()
    session.shift(1)
    assert not seen


def test_the_least_recently_used_is_forgotten():
    cache, computed = Cache(2), []
    for key in ["a", "b", "a", "c", "a", "b"]:
        assert cache.get(key, lambda key=key: computed.append(key) or key.upper()) == key.upper()
    assert computed == ["a", "b", "c", "b"]
    with pytest.raises(ZeroDivisionError):
        cache.get("d", lambda: 1 / 0)
    assert cache.get("d", lambda: 5) == 5


# Merging ----------------------------------------------------------------------------------------------------------


def merge_densely(masks, grid: sitk.Image) -> np.ndarray:
    """The definition, over whole arrays: largest probability, largest piece at 1 mm, resampled, largest again."""
    ordered = sorted(masks.items(), key=lambda item: (-item[1].corner[2], item[1].corner, item[1].digest))
    low = np.min([mask.corner for mask in masks.values()], axis=0)
    high = np.max([np.add(mask.corner, mask.probability.shape[::-1]) for mask in masks.values()], axis=0)
    stack = np.zeros((len(masks), *(high - low)[::-1]), np.uint8)
    for layer, (_, mask) in zip(stack, ordered, strict=True):
        layer[tuple(slice(s.start - c, s.stop - c) for s, c in zip(mask.place, low[::-1], strict=True))] = (
            mask.probability
        )
    winner = np.where(stack.max(0) >= HALF, stack.argmax(0), -1)
    sampled = []
    for number, layer in enumerate(stack):
        pieces, count = ndimage.label(winner == number, np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
        kept = np.where((pieces == sizes.argmax() + 1) | (layer < HALF) if count else layer < HALF, layer, 0)
        # One voxel of nothing round the mask alone is what the border of its crop means.
        place = ordered[number][1].place
        crop = kept[tuple(slice(s.start - c, s.stop - c) for s, c in zip(place, low[::-1], strict=True))]
        image = sitk.GetImageFromArray(crop)
        image.SetOrigin([float(v) for v in ordered[number][1].corner])
        sampled.append(voxels(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, 0)))
    best = np.max(sampled, axis=0)
    codes = np.array([int(level) for level, _ in ordered], np.uint8)
    return np.where(best >= HALF, codes[np.argmax(sampled, axis=0)], 0)


def blob(generator: np.random.Generator) -> VertebraMask:
    """A ragged mask with steps of 25, so that draws and pieces apart are common."""
    values = ndimage.gaussian_filter(generator.random((9, 10, 11)), 1.2)
    values = (values - values.min()) / np.ptp(values) * 255
    return VertebraMask((values // 25 * 25).astype(np.uint8), tuple(int(v) for v in generator.integers(0, 12, 3)))


@pytest.fixture(params=[(0.8, 0.9, 1.2), (2.5, 0.7, 3.0)])
def grid(request) -> sitk.Image:
    image = sitk.Image([24, 26, 15], sitk.sitkUInt8)
    image.SetSpacing(request.param)
    image.SetDirection(TILTED.ravel())
    image.SetOrigin((-1.0, 2.0, -1.5))
    return image


def test_merging_bit_by_bit_equals_merging_all_at_once(grid):
    generator = np.random.default_rng(5)
    merger, masks = Merger(grid), {}
    for step in range(30):
        level = Level(int(generator.integers(1, 8)))
        if level in masks and step % 3 == 0:
            del masks[level]
        else:
            masks[level] = blob(generator)
        if not masks:
            continue
        pieces = merger.pieces(masks)
        full = voxels(merge(masks, grid))
        assert np.array_equal(full, merge_densely(masks, grid))
        for level, piece in pieces.items():
            mine = np.zeros(full.shape, bool)
            mine[piece.place] = piece.voxels
            assert np.array_equal(mine, full == int(level))
    assert set(np.unique(full)) > {0}


def test_the_same_mask_twice_is_merged_as_all_at_once(grid):
    mask = blob(np.random.default_rng(1))
    twin = VertebraMask(mask.probability.copy(), mask.corner)
    for masks in ({Level.L1: mask, Level.L2: twin}, {Level.L2: mask, Level.L1: twin}):
        assert np.array_equal(voxels(merge(masks, grid)), merge_densely(masks, grid))


def test_only_what_a_mask_touches_is_computed_again(grid):
    generator = np.random.default_rng(2)
    masks = {}
    for number in range(5):
        mask = blob(generator)
        masks[Level(number + 1)] = VertebraMask(mask.probability, (3, 3, 9 * number))
    merger = Merger(grid)
    before = merger.pieces(masks)
    after = merger.pieces({**masks, Level.C1: VertebraMask(blob(generator).probability, (3, 4, 0))})
    assert [after[level] is before[level] for level in after] == [False, False, False, True, True]
    renamed = merger.pieces({Level(int(level) + 10): mask for level, mask in masks.items()})
    assert [renamed[Level(int(level) + 10)] is before[level] for level in before] == [True] * 5


def test_merging_nothing(grid):
    assert not voxels(merge({}, grid)).any()
    empty = VertebraMask.of(np.zeros((3, 4, 5)), grid)
    assert not voxels(merge({Level.L1: empty}, grid)).any()
    far = VertebraMask(np.full((3, 3, 3), 255, np.uint8), (500, 0, 0))
    piece = Merger(grid).pieces({Level.L1: far})[Level.L1]
    assert piece.shape == (0, 0, 0) and piece.voxels.shape == (0, 0, 0)


def test_equal_pieces_have_equal_digests():
    array = np.zeros((4, 5, 6), np.uint8)
    array[1:3, 2:4, 1:5] = 7
    tight, wide = Piece.of(array[1:3, 2:4, 1:5], (11, 22, 31)), Piece.of(array, (10, 20, 30))
    assert tight.digest == wide.digest and wide.corner == (11, 22, 31) and wide.voxels.all()
    assert Piece.of(array, (10, 20, 31)).digest != wide.digest


def test_freed_memory_goes_back_between_the_masks_of_a_run_and_in_no_correction(session, monkeypatch):
    before: list[int] = []
    monkeypatch.setattr(pipeline, "return_freed", lambda above: before.append(standins.CALLS["segmentation"]))
    x, y, z = session.state.centroids[Level.L1].position
    session.move(Level.L1, (x + 1, y, z))
    assert standins.CALLS["segmentation"] == 1 and not before
    standins.CALLS.clear()
    PIPELINE.run(CT)
    assert set(before) == {0, 1, 2, 3, 4, 5}
