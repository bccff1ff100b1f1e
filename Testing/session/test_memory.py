"""What a session remembers for the next one."""

import numpy as np
import pytest
import SimpleITK as sitk
import standins
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.mask import VertebraMask
from SpineSegmentationLib.session.memory import Memory, of_memory, scan_of, text_of, to_memory
from SpineSegmentationLib.session.session import Session

standins.install()
CT = standins.spine_ct()
PIPELINE = Pipeline("standin", "cpu")
SCAN = scan_of(CT)


def remembered(masks) -> Memory:
    return Memory(SCAN, dict(text_of(key, mask) for key, mask in masks.items()))


def test_a_session_with_a_memory_computes_only_what_is_new():
    first = Session(CT, PIPELINE)
    first.run()
    memory = remembered(first.masks)
    assert len(memory.masks) == 5
    later = Session(CT, PIPELINE)
    later.remember(memory.of(scan_of(CT)))
    standins.CALLS.clear()
    third = first.state.centroids.points[2]
    state = first.state.moved(third.level, tuple(np.add(third.position, (1, 0, 1)).tolist()))
    later.apply(state)
    assert standins.CALLS["segmentation"] == 1
    fresh = PIPELINE.run(CT, box=state.box, centroids=state.centroids)
    assert np.array_equal(sitk.GetArrayFromImage(later.label_map), sitk.GetArrayFromImage(fresh.label_map))


keys = st.recursive(
    st.one_of(st.text(max_size=5), st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(
    keys.map(lambda key: (key,)),
    st.integers(0, 255),
    st.tuples(*[st.integers(-900, 900)] * 3),
    st.booleans(),
    st.floats(0, 1),
    st.none() | st.tuples(*[st.integers(-900, 900)] * 3),
)
def test_law_a_mask_comes_back_exactly(key, value, corner, complete, sure, point):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) + np.uint8(value)
    mask = VertebraMask(values, corner, complete, sure, point)
    ((found, back),) = to_memory(of_memory(remembered({key: mask}))).of(SCAN).items()
    assert found == key and back.digest == mask.digest
    assert (back.complete, back.confidence, back.point) == (complete, sure, point)


def test_a_memory_of_another_scan_is_of_no_use():
    memory = remembered({("net", (1.0, 2.0, 3.0), ()): VertebraMask(np.ones((2, 2, 2), np.uint8), (0, 0, 0))})
    near, far, other = standins.spine_ct(), standins.spine_ct(), standins.spine_ct() + 1
    near.SetOrigin(np.add(CT.GetOrigin(), 3e-14).tolist())
    far.SetOrigin(np.add(CT.GetOrigin(), 0.1).tolist())
    assert [len(memory.of(scan_of(ct))) for ct in (CT, near, far, other)] == [1, 1, 0, 0]


WRONG = '{"key": [], "corner": [0, 0, 0], "shape": [9], "complete": null, "values": "AA=="}'


@pytest.mark.parametrize("text", ["", "{}", WRONG])
def test_a_damaged_memory_does_no_harm(text):
    assert Memory(SCAN, {"x": text}).of(SCAN) == {}


def test_what_the_other_side_knows_travels_as_its_digest():
    memory = remembered({("net", (1.0, 2.0, 3.0), ()): VertebraMask(np.ones((2, 2, 2), np.uint8), (0, 0, 0))})
    sent = of_memory(memory, set(memory.masks))
    assert list(sent["masks"].values()) == [None] and to_memory(sent, memory.masks) == memory
    with pytest.raises(KeyError):
        to_memory(sent)
    assert to_memory(None) == Memory()
