"""The files of the values: nothing is lost on the way through a file, and what is wrong in one is said."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.values import (
    axis_codes,
    parse_box,
    read_centroids,
    replacing,
    write_centroids,
    write_json,
    write_text,
)
from SpineSegmentationLib.spine import Centroid, Centroids

SHARED = Path(__file__).resolve().parents[3] / "shared"
ORIENTATIONS = [
    np.eye(3)[list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product([1.0, -1.0], repeat=3)
]


def image_on(direction=None, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), size=(40, 50, 60)) -> sitk.Image:
    image = sitk.Image(size, sitk.sitkUInt8)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(np.eye(3).ravel() if direction is None else np.ravel(direction))
    return image


def turned(direction: np.ndarray, angles: tuple[float, float, float]) -> np.ndarray:
    matrix = sitk.Euler3DTransform((0, 0, 0), *np.radians(angles)).GetMatrix()
    return np.reshape(matrix, (3, 3)) @ direction


# Rounded: ITK inverts a direction with denormal numbers to NaN, and no scan has such a one.
angles = st.floats(-60, 60).map(lambda angle: round(angle, 6))
images = st.builds(
    lambda direction, angles, spacing, origin: image_on(turned(direction, angles), spacing, origin),
    st.sampled_from(ORIENTATIONS),
    st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(*[angles] * 3)),
    st.tuples(*[st.floats(0.3, 5.0)] * 3),
    st.tuples(*[st.floats(-1000, 1000)] * 3),
)
centroid_lists = st.dictionaries(
    st.sampled_from(list(Level)),
    st.tuples(st.tuples(*[st.floats(-1000, 1000)] * 3), st.one_of(st.just(1.0), st.floats(0, 1))),
).map(lambda points: Centroids(tuple(Centroid(level, place, sure) for level, (place, sure) in points.items())))


def same(a: Centroids, b: Centroids, tolerance: float) -> bool:
    close = np.allclose(a.positions, b.positions, rtol=0, atol=tolerance)
    return a.levels == b.levels and close and [p.confidence for p in a] == [p.confidence for p in b]


@given(images, centroid_lists)
@settings(max_examples=150, deadline=None)
def test_verse_files_read_back(tmp_path_factory, image, centroids):
    path = tmp_path_factory.mktemp("verse") / "scan_seg-subreg_ctd.json"
    write_centroids(centroids, image, path)
    assert same(read_centroids(path, image), centroids, 1e-9)


@given(st.sampled_from(ORIENTATIONS), st.sampled_from(ORIENTATIONS), centroid_lists)
@settings(max_examples=100, deadline=None)
def test_verse_files_follow_a_reoriented_image(tmp_path_factory, first, second, centroids):
    """The same voxels stored along other axes: the file of one image gives the same points with the other."""
    path = tmp_path_factory.mktemp("verse") / "ctd.json"
    size, spacing = np.array([40, 50, 60]), np.array([0.5, 1.0, 2.0])

    def stored(direction: np.ndarray) -> sitk.Image:
        own = np.abs(direction).T
        corner = np.where(direction.sum(1) > 0, 0, (size - 1) * spacing)
        return image_on(direction, (own @ spacing).tolist(), corner.tolist(), (own @ size).astype(int).tolist())

    write_centroids(centroids, stored(first), path)
    assert same(read_centroids(path, stored(second)), centroids, 1e-9)


@given(centroid_lists)
@settings(max_examples=60, deadline=None)
def test_slicer_files_read_back_exactly(tmp_path_factory, centroids):
    path = tmp_path_factory.mktemp("slicer") / "spine.mrk.json"
    write_centroids(centroids, image_on(), path)
    assert read_centroids(path, image_on()) == centroids
    markup = json.loads(path.read_text())["markups"][0]
    assert (markup["type"], markup["coordinateSystem"]) == ("Fiducial", "LPS")
    assert [point["label"] for point in markup["controlPoints"]] == [level.name for level in centroids.levels]


def test_axis_codes_are_those_of_the_direction():
    assert axis_codes(image_on()) == ("L", "P", "S")
    # Columns are the axes: x runs to the front, y to the feet, z to the right.
    assert axis_codes(image_on([[0.0, 0, -1], [-1, 0, 0], [0, -1, 0]])) == ("A", "I", "R")
    assert axis_codes(image_on(turned(np.eye(3), (20, -30, 25)))) == ("L", "P", "S")
    assert len({axis_codes(image_on(direction)) for direction in ORIENTATIONS}) == 48


def test_verse_file_by_hand(tmp_path):
    """An entry as the VerSe data set writes it, worked out by hand."""
    path = tmp_path / "ctd.json"
    entries = [
        {"direction": ["P", "I", "R"]},
        {"label": 20, "X": 10.0, "Y": 20.5, "Z": 30.0},
        {"label": 26, "X": 1.0, "Y": 1.0, "Z": 1.0},
        {"label": 28, "X": 10.0, "Y": 5, "Z": 30, "confidence": 0.25},
    ]
    path.write_text(json.dumps(entries))
    image = image_on(spacing=(0.5, 1.0, 2.0), origin=(100.0, 0.0, -50.0), size=(40, 50, 60))
    points = read_centroids(path, image)
    # L: voxel 39 - 30 = 9 of 0.5 mm; P: voxel 10 of 1 mm; S: voxel 59 - 20.5 = 38.5 of 2 mm.
    assert points[Level.L1] == Centroid(Level.L1, (104.5, 10.0, 27.0))
    assert points[Level.T13] == Centroid(Level.T13, (104.5, 10.0, 58.0), 0.25)
    assert len(points) == 2


def test_written_verse_file_by_hand(tmp_path):
    image = image_on(np.diag([-1.0, -1.0, 1.0]), (2.0, 1.0, 1.0), (0.0, 0.0, 10.0))
    points = Centroids((Centroid(Level.L6, (-8.0, -3.0, 12.5)), Centroid(Level.C1, (0.0, 0.0, 30.0), 0.5)))
    write_centroids(points, image, tmp_path / "ctd.json")
    assert json.loads((tmp_path / "ctd.json").read_text()) == [
        {"direction": ["R", "A", "S"]},
        {"label": 1, "X": 0.0, "Y": 0.0, "Z": 20.0, "confidence": 0.5},
        {"label": 25, "X": 4.0, "Y": 3.0, "Z": 2.5},
    ]


def test_slicer_file_in_ras(tmp_path):
    defined = {"label": "Th12", "position": [1.0, 2.0, 3.0], "positionStatus": "defined"}
    preview = {"label": "L9", "position": None, "positionStatus": "preview"}
    markup = {"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": [defined, preview]}
    (tmp_path / "f.mrk.json").write_text(json.dumps({"markups": [{"type": "ROI"}, markup]}))
    assert read_centroids(tmp_path / "f.mrk.json", image_on()).points == (Centroid(Level.T12, (-1.0, -2.0, 3.0)),)


def test_named_points_file_leaves_the_sacrum_out(tmp_path):
    points = [{"label": "L5", "position": [1, 2, 3]}, {"label": "S1", "position": [4, 5, 6]}]
    value = {"coordinate_system": "LPS", "points": points, "borderline_not_counted": [{"label": "L4"}]}
    (tmp_path / "centroids.json").write_text(json.dumps(value))
    assert read_centroids(tmp_path / "centroids.json", image_on()).points == (Centroid(Level.L5, (1.0, 2.0, 3.0)),)


L3 = {"label": 22, "X": 1, "Y": 2, "Z": 3}
LPS = {"direction": ["L", "P", "S"]}


def slicer(**point) -> dict:
    return {"markups": [{"type": "Fiducial", "controlPoints": [{"label": "L3", "position": [1, 2, 3], **point}]}]}


def named(**changes) -> dict:
    return {"coordinate_system": "LPS", "points": [{"label": "L3", "position": [1, 2, 3]}], **changes}


@pytest.mark.parametrize(
    "value, word",
    [
        ([], "entry 1"),
        ([L3], "entry 1"),
        ([{"direction": "LPS"}, L3], "entry 1"),
        ([{"direction": ["L", "R", "S"]}, L3], "L/R, P/A and S/I"),
        ([{"direction": ["L", "P", "Q"]}, L3], "L/R, P/A and S/I"),
        ([LPS, L3, [1, 2]], "entry 3"),
        ([LPS, {"label": 22, "X": 1, "Y": 2}], "entry 2"),
        ([LPS, {**L3, "label": 0}], "entry 2: 0"),
        ([LPS, {**L3, "label": "L3"}], "entry 2: 'L3'"),
        ([LPS, {**L3, "label": 3.5}], "entry 2: 3.5"),
        ([LPS, {**L3, "label": float("nan")}], "entry 2: nan"),
        ([LPS, {**L3, "label": True}], "entry 2: True"),
        ([LPS, {**L3, "X": None}], "entry 2"),
        ([LPS, {**L3, "X": float("inf")}], "entry 2"),
        ([LPS, {**L3, "confidence": "high"}], "entry 2"),
        ([LPS, {**L3, "confidence": 2}], "L3"),
        ([LPS, L3, L3], "L3 is given twice"),
        (slicer(label=""), "point 1"),
        (slicer(label="F-1"), "point 1: 'F-1'"),
        (slicer(label="S1"), "point 1: 'S1'"),
        (slicer(position=[1, 2]), "point 1"),
        (slicer(position="123"), "point 1"),
        ({"markups": [{"type": "ROI"}]}, "no point list"),
        ({"markups": [{"type": "Fiducial", "coordinateSystem": "IJK"}]}, "LPS or RAS"),
        ({"markups": [{"type": "Fiducial", "controlPoints": ["L3"]}]}, "point 1"),
        ({"markups": 3}, "no point list"),
        (named(coordinate_system="voxel"), "LPS or RAS"),
        (named(points={"L3": 1}), "must be a list"),
        (named(points=[7]), "point 1"),
        (named(points=[{"position": [1, 2, 3]}]), "point 1"),
        ({"L3": [1, 2, 3]}, "not a centroid file"),
        ("L3", "not a centroid file"),
    ],
)
def test_wrong_entries_are_named(tmp_path, value, word):
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(value))
    with pytest.raises(SpineError) as caught:
        read_centroids(path, image_on())
    message = str(caught.value)
    assert message.startswith(str(path)) and word in message and "\n" not in message


@pytest.mark.parametrize(
    "content, word", [(b"", "line 1"), (b'[\n{"direction": \n', "line 3"), (b"\xff\xfe\x00", "not a JSON text file")]
)
def test_files_that_are_no_json(tmp_path, content, word):
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.raises(SpineError, match=f"broken.json .*{word}"):
        read_centroids(tmp_path / "broken.json", image_on())


def test_missing_files(tmp_path):
    with pytest.raises(SpineError, match=r"none\.json cannot be read: No such file"):
        read_centroids(tmp_path / "none.json", image_on())
    with pytest.raises(SpineError, match="cannot be read"):
        read_centroids(tmp_path, image_on())


def test_box_text():
    box = parse_box(" -60,-40, -200.5,60,70,10 ")
    assert box.lower == (-60.0, -40.0, -200.5) and box.upper == (60.0, 70.0, 10.0)
    for text in ("", "1,2,3", "1,2,3,4,5,6,7", "a,b,c,d,e,f"):
        with pytest.raises(SpineError, match="x0,y0,z0,x1,y1,z1"):
            parse_box(text)
    with pytest.raises(SpineError, match="no extent"):
        parse_box("0,0,0,1,1,0")
    with pytest.raises(SpineError, match="finite"):
        parse_box("0,0,0,1,1,inf")


def test_text_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "run.json"
    write_text(path, "C1 … L5\n")
    assert path.read_bytes() == "C1 … L5\n".encode()
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == tmp_path and temporary.suffix == ".json"
        raise RuntimeError
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"time": float("nan")})
    assert path.read_text(encoding="utf-8") == "C1 … L5\n"
    assert os.listdir(tmp_path) == ["run.json"]
    with pytest.raises(SpineError, match=r"none.*cannot be written: No such file"):
        write_text(tmp_path / "none" / "run.json", "")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the research data beside the project (../shared) are not here")
def test_real_centroid_files():
    files = sorted(SHARED.glob("ct/*/centroids.json"))
    levels = {path.parent.name: read_centroids(path, image_on()).levels for path in files}
    assert levels["verse008"] == (Level.T12, Level.L1, Level.L2, Level.L3, Level.L4, Level.L5)
    assert levels["vhm_pelvis"] == (Level.L5,)
    assert all(levels.values())


def test_voxel_coordinates_need_an_image(tmp_path):
    path = tmp_path / "centroids.json"
    write_centroids(Centroids((Centroid(Level.L3, (1, 2, 3)),)), image_on(), path)
    with pytest.raises(SpineError, match="no image that they could refer to"):
        read_centroids(path, None)
