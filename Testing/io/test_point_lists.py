"""Point lists of Slicer, old and new, in every unit; lists that hold no vertebra."""

import json

import numpy as np
import pytest
from test_values import image_on

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.spine import Centroid

HEAD = """# Markups fiducial file version = 4.11
# CoordinateSystem = {}
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
"""
ROW = "vtkMRMLMarkupsFiducialNode_0,1.5,-2,30,0,0,0,1,1,1,0,{},{},\n"


@pytest.mark.parametrize(
    "system, position",
    [("LPS", (1.5, -2, 30)), ("1", (1.5, -2, 30)), ("RAS", (-1.5, 2, 30)), ("0", (-1.5, 2, 30))],
)
def test_fcsv_as_its_header_says(tmp_path, system, position):
    (tmp_path / "F.fcsv").write_text(HEAD.format(system) + ROW.format("L3", "") + ROW.format("L4", "confidence 0.5"))
    points = read_centroids(tmp_path / "F.fcsv", image_on())
    assert points.points == (Centroid(Level.L3, position), Centroid(Level.L4, position, 0.5))


@pytest.mark.parametrize(
    "text, word",
    [
        ("", "does not name the columns"),
        (HEAD.format("IJK") + ROW.format("L3", ""), "LPS or RAS"),
        (HEAD.format("LPS") + ROW.format("F-1", ""), "point 1: 'F-1'"),
        (HEAD.format("LPS") + "id,1,2\n", "point 1"),
        (HEAD.format("LPS") + ROW.format("L3", "") * 2, "L3 is given twice"),
    ],
)
def test_a_wrong_fcsv_is_explained(tmp_path, text, word):
    (tmp_path / "F.fcsv").write_text(text)
    with pytest.raises(SpineError) as caught:
        read_centroids(tmp_path / "F.fcsv", image_on())
    assert str(tmp_path / "F.fcsv") in str(caught.value) and word in str(caught.value)


@pytest.mark.parametrize("unit, factor", [("mm", 1), ("cm", 10), (["m", "UCUM", "meter"], 1000)])
def test_the_unit_of_a_point_list_counts(tmp_path, unit, factor):
    point = {"label": "L3", "position": [1, 2, 3]}
    markup = {"type": "Fiducial", "coordinateUnits": unit, "controlPoints": [point]}
    (tmp_path / "F.mrk.json").write_text(json.dumps({"markups": [markup]}))
    read = read_centroids(tmp_path / "F.mrk.json", image_on())
    np.testing.assert_allclose(read.positions, np.multiply([[1, 2, 3]], factor))
    markup["coordinateUnits"] = "inch"
    (tmp_path / "F.mrk.json").write_text(json.dumps({"markups": [markup]}))
    with pytest.raises(SpineError, match="the unit 'inch' is not known"):
        read_centroids(tmp_path / "F.mrk.json", image_on())


@pytest.mark.parametrize("code", [41, 50, 29, 100])
def test_codes_of_sub_regions_are_no_vertebrae(tmp_path, code):
    entries = [{"direction": ["L", "P", "S"]}, {"label": code, "X": 1, "Y": 2, "Z": 3}]
    (tmp_path / "ctd.json").write_text(json.dumps(entries))
    with pytest.raises(SpineError, match=f"entry 2: {code} is no vertebra"):
        read_centroids(tmp_path / "ctd.json", image_on())
