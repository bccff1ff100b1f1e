"""The report: what must be on it, and that it needs nothing else."""

import json
import re

import pytest

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.measures.column import measure
from SpineSegmentationLib.measures.details import details, rows_of_details
from SpineSegmentationLib.measures.dictionary import SCAN_COLUMNS, VERTEBRA_COLUMNS
from SpineSegmentationLib.measures.table import dictionary_rows, scan_row, text, vertebra_rows
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.phantom import Fracture, PhantomSpec, make_phantom
from SpineSegmentationLib.results.report import html, write_pdf
from SpineSegmentationLib.spine import Centroids

RUN = {
    "numbering": {
        "certainty": "doubtful",
        "readings": [
            {"levels": ["T11", "T12", "L1"], "probability": 0.7},
            {"levels": ["T12", "L1", "L2"], "probability": 0.2},
        ],
        "evidence": ["last rib at T12 on both sides"],
    },
    "warnings": ["slices <missing>"],
    "input": {"source": "scan.nii.gz", "spacing_mm": [1, 1, 1]},
    "system": "combined",
    "stages": {"detector": "combined", "needs": []},
    "weights": {"labelling": [{"name": "anduin-labelling", "sha256": "0123456789abcdef"}]},
    "versions": {"torch": "2.13"},
}


@pytest.fixture(scope="module")
def measured():
    spec = PhantomSpec(
        first=Level.T11, last=Level.L1, fractures=(Fracture(Level.T12, "wedge", 0.5),), field=(110, 130), noise=5.0
    )
    phantom = make_phantom(spec, (1.2, 1.2, 1.2))
    levels = phantom.centroids.levels
    numbering = Numbering(Certainty.DOUBTFUL, (Reading(levels, 0.7),))
    return measure(phantom.ct, phantom.label_map, Centroids(phantom.centroids.points, numbering))


def test_the_tables_are_tidy(measured):
    names, *rows = vertebra_rows(measured)
    assert len(set(names)) == len(names) and all(len(row) == len(names) for row in rows)
    assert [row[0] for row in rows] == [vertebra.level.name for vertebra in measured.vertebrae]
    by_level = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    one = measured[Level.T12]
    assert float(by_level[one.level.name]["height_middle_mm"]) == pytest.approx(one.heights.middle.value, abs=1e-3)
    assert by_level[one.level.name]["names"] == "doubtful"
    assert float(by_level[one.level.name]["name_probability"]) == pytest.approx(0.7)
    assert scan_row(measured)["numbering"] == "doubtful"
    # What is missing says why.
    for row in by_level.values():
        assert row["height_middle_mm"] or row["notes"]


def test_every_column_with_a_unit_names_it(measured):
    endings = {"mm": "_mm", "mm3": "_mm3", "degree": "_deg", "%": "_percent", "HU": "_hu", "mg/cm3": "_mg_cm3", "": ""}
    for column in (*VERTEBRA_COLUMNS, *SCAN_COLUMNS):
        assert column.name.endswith(endings[column.unit]) and column.meaning.endswith(".")
    heading, *rows = dictionary_rows()
    assert heading == ["table", "column", "unit", "meaning"]
    assert len(rows) == len(VERTEBRA_COLUMNS) + len(SCAN_COLUMNS)


def test_values_as_text():
    assert [text(value) for value in (None, float("nan"), 2.0, 0.12345, 3, "a")] == ["", "", "2", "0.123", "3", "a"]


def test_details_are_json_and_hold_the_table(measured):
    value = json.loads(json.dumps(details(measured), allow_nan=False))
    assert rows_of_details(value) == vertebra_rows(measured)
    level = "T12"
    assert value["vertebrae"][level]["frame"][3] == [0, 0, 0, 1]


def test_the_page_says_what_matters_and_needs_nothing_else(measured):
    page = html("case 1 <x>", details(measured), RUN, b"\x89PNG")
    assert "Not for clinical use" in page and "The names are doubtful" in page
    assert "T12 L1 L2 (probability 0.20)" in page and "last rib at T12" in page
    assert "case 1 &lt;x&gt;" in page and "slices &lt;missing&gt;" in page and "anduin-labelling (01234567)" in page
    assert "Jang et al. 2019" in page and "lordosis L1-S1: 37 ± 13° from T12 to S1 lying" in page
    assert "torch 2.13" in page and page.count("<svg") == 2
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for vertebra in measured.vertebrae:
        assert f"<td>{vertebra.level.name}</td>" in page


def test_no_vertebra_is_a_page_too(measured):
    empty = details(measured) | {"vertebrae": {}, "statements": []}
    assert "No vertebra was found" in html("empty", empty, {}, None)


def test_pdf(measured, tmp_path):
    pytest.importorskip("weasyprint", exc_type=ImportError)
    write_pdf(tmp_path / "report.pdf", "<p>one page</p>")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
