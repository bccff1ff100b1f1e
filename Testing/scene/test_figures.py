"""What people read of the measures."""

from SpineSegmentationLib.scene.figures import FIGURES, HEADINGS, column_line, rows

ROW = {
    "height_anterior_mm": "19.96",
    "height_anterior_uncertainty_mm": "0.55",
    "height_middle_mm": "",
    "height_posterior_mm": "25",
    "genant_grade": "1",
    "deformity": "wedge",
    "trabecular_hu": "120.6",
    "disc_below_angle_deg": "-3.25",
    "notes": "cut by the border of the scan",
}


def details(row: dict[str, str], **scan: str) -> dict:
    return {"vertebrae": {"L3": {"measures": row}}, "scan": scan}


def test_a_row_has_plain_headings_and_short_numbers():
    (row,) = rows(details(ROW))
    shown = dict(zip(HEADINGS, row.cells, strict=True))
    assert shown["Level"] == row.level == "L3"
    assert (shown["Front (mm)"], shown["Middle (mm)"], shown["Back (mm)"]) == ("20.0", "", "25.0")
    assert (shown["Deformity"], shown["Density (HU)"], shown["Disc angle (°)"]) == ("wedge, grade 1", "121", "-3.2")
    assert "Front: 20.0 ± 0.6 mm" in row.told and "Density: 121 HU" in row.told
    assert "cut by the border" in row.told and "Middle" not in row.told


def test_a_sound_vertebra_and_one_that_was_not_graded():
    assert rows(details(ROW | {"genant_grade": "0"}))[0].cells[4] == "none"
    assert rows(details({}))[0].cells == ("L3", *[""] * (len(FIGURES) + 1))


def test_the_column_in_a_line():
    assert column_line(details({})) == "No curve could be measured."
    scan = {"cobb_deg": "12.4", "cobb_between": "T5-L1", "kyphosis_deg": "", "l1_l4_hu": "131.7"}
    assert column_line(details({}, **scan)) == "Cobb angle 12° (T5-L1), L1 to L4 132 HU"


def test_the_columns_are_those_of_the_dictionary():
    from SpineSegmentationLib.measures.dictionary import SCAN_COLUMNS, VERTEBRA_COLUMNS
    from SpineSegmentationLib.scene.figures import CURVES

    assert {f"{one.column}_{one.unit}" for one in FIGURES} <= {column.name for column in VERTEBRA_COLUMNS}
    assert {f"{prefix}_deg" for prefix, _ in CURVES} <= {column.name for column in SCAN_COLUMNS}
