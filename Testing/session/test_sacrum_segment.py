"""The sacrum: segmented on request from the place of S1, by the road of every vertebra, and no vertebra."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import standins
from small_cohort import scans_in

from SpineSegmentationLib import cli, systems
from SpineSegmentationLib.anatomy import SACRUM, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.mask import paint
from SpineSegmentationLib.session.messages import of_pieces, of_state, to_pieces, to_state
from SpineSegmentationLib.session.session import Session
from SpineSegmentationLib.session.state import State
from SpineSegmentationLib.spine import Centroids, SpineBox

standins.install()
CT = standins.spine_ct()
FOUND = (Level.T11, Level.T12, Level.L1, Level.L2)


@pytest.fixture(autouse=True)
def able(monkeypatch):
    monkeypatch.setattr(systems, "SACRAL", {"labeller": "sacral", "segmenter": "standin"})


@pytest.fixture
def session() -> Session:
    session = Session(CT, Pipeline("sacral", "cpu"))
    session.label(State(with_sacrum=True))
    standins.CALLS.clear()
    return session


def codes(image: sitk.Image) -> set[int]:
    return set(np.unique(sitk.GetArrayViewFromImage(image)).tolist())


def same_as_fresh(session: Session) -> bool:
    state, voxels = session.state, sitk.GetArrayFromImage
    sacrum = state.sacrum if state.with_sacrum else False
    fresh = Pipeline("sacral", "cpu").run(CT, box=state.box, centroids=state.centroids, sacrum=sacrum)
    return np.array_equal(voxels(session.label_map), voxels(fresh.label_map))


def test_only_who_asks_for_it_gets_it_and_it_is_no_vertebra():
    system = Pipeline("sacral", "cpu")
    usual, asked = system.run(CT), system.run(CT, sacrum=True)
    assert codes(usual.label_map) == {0, *FOUND} and usual.sacrum is None
    assert codes(asked.label_map) == {0, *FOUND, SACRUM} and asked.sacrum == asked.centroids.numbering.sacrum
    assert asked.label_map[asked.label_map.TransformPhysicalPointToIndex(asked.sacrum)] == SACRUM
    assert asked.centroids == usual.centroids
    assert set(asked.mask_confidence) <= set(FOUND) and set(asked.complete) <= set(FOUND)


def test_where_s1_is_not_seen_there_is_none_and_no_warning():
    system = Pipeline("sacral", "cpu")
    found = system.run(CT, sacrum=True)
    low = np.array(found.centroids[Level.L2].position) - [0, 0, 5]
    scan = SpineBox.of_image(CT)
    above = SpineBox((*scan.lower[:2], low[2]), scan.upper)
    unseen = Centroids(found.centroids.points)  # without the verdict
    outside = (0.0, 0.0, 900.0)
    taken = found.centroids[Level.L2].position  # a person named S1 otherwise
    for centroids, box, sacrum in (
        (found.centroids, above, True),
        (unseen, None, True),
        (unseen, None, outside),
        (unseen, None, taken),
        (Centroids(), None, found.sacrum),
    ):
        result = system.run(CT, box=box, centroids=centroids, sacrum=sacrum)
        assert SACRUM not in codes(result.label_map) and result.sacrum is None
        assert not any("acrum" in warning for warning in result.warnings)


def test_stages_that_do_not_know_it_say_so():
    for labeller, segmenter, message in (
        ("standin", "standin", "labeller standin"),
        ("sacral", "payer", "segmenter payer"),
    ):
        with pytest.raises(SpineError, match=f"{message} does not know the sacrum"):
            Pipeline("sacral", "cpu", labeller=labeller, segmenter=segmenter).run(CT, sacrum=True)


def test_it_stays_where_it_is_when_names_shift(session):
    before = session.pieces[SACRUM]
    session.shift(1)
    assert session.pieces[SACRUM].digest == before.digest and standins.CALLS == {}
    assert same_as_fresh(session)
    standins.CALLS.clear()
    # A neighbour that moves towards it takes voxels from it; its network does not run again.
    x, y, z = session.state.centroids[Level.L3].position
    session.move(Level.L3, (x, y, z - 1.5))
    assert standins.CALLS == {"segmentation": 1} and session.pieces[SACRUM].digest != before.digest
    assert same_as_fresh(session)


def test_a_vertebra_put_in_its_place_takes_it_out(session):
    session.add(Level.L3, session.state.sacrum)
    assert SACRUM not in session.pieces and same_as_fresh(session)
    session.undo()
    assert SACRUM in session.pieces


def test_it_is_switched_on_and_off_like_any_edit(session):
    session.apply(replace(session.state, with_sacrum=False))
    assert SACRUM not in session.pieces and same_as_fresh(session)
    standins.CALLS.clear()
    session.undo()
    assert SACRUM in session.pieces
    other = Session(CT, session.pipeline)
    other.remember(session.masks)
    other.apply(session.state)
    assert standins.CALLS == {} and other.pieces[SACRUM].digest == session.pieces[SACRUM].digest


def test_a_new_labelling_finds_its_place_anew(session):
    scan, high = SpineBox.of_image(CT), session.state.centroids[Level.L2].position
    session.set_box(SpineBox((*scan.lower[:2], high[2] - 6), scan.upper))
    # What the box cuts off is gone; the stand-in takes the next block above for it.
    assert np.allclose(session.state.sacrum, high, atol=1.5)
    assert session.state.centroids.levels == FOUND[:3] and same_as_fresh(session)


def test_states_and_pieces_travel(session):
    state = session.state
    assert to_state(json.loads(json.dumps(of_state(state)))) == state
    pieces = to_pieces(json.loads(json.dumps(of_pieces(session.pieces))))
    assert codes(paint(pieces, CT)) == {0, *FOUND, SACRUM}
    old = {key: value for key, value in of_state(state).items() if key not in ("sacrum", "with_sacrum")}
    assert to_state(old) == replace(state, sacrum=None, with_sacrum=False)


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    job = scans_in(tmp_path, "a", "b", "c")[2]
    command = ["segment", str(job.path), "--system", "sacral", "--device", "cpu", "--output", str(tmp_path / "out")]
    assert cli.main([*command, "--sacrum", "--surfaces", "stl"]) == 0
    label_map = sitk.ReadImage(str(tmp_path / "out" / "c_seg-vert_msk.nii.gz"))
    assert codes(label_map) == {0, Level.T11, Level.T12, SACRUM}
    run = json.loads((tmp_path / "out" / "c_run.json").read_text())
    assert run["given"]["sacrum"] and run["centroids"] == ["T11", "T12"]
    assert label_map[label_map.TransformPhysicalPointToIndex(run["sacrum"])] == SACRUM
    table = (tmp_path / "out" / "c_measurements.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["T11", "T12"]
    assert (tmp_path / "out" / "c_SACRUM.stl").is_file()
    assert cli.main(command) == 1 and "made with other options" in capsys.readouterr().err
    points = tmp_path / "out" / "c_seg-subreg_ctd.json"
    assert cli.main([*command, "--sacrum", "--centroids", str(points), "--overwrite"]) == 2
    assert "leave out one of them" in capsys.readouterr().err
