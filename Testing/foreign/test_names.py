"""Names, codes and code tables."""

import pytest

from SpineSegmentationLib.anatomy import STANDARD, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.foreign.codes import TABLES, choose, table_of
from SpineSegmentationLib.foreign.names import level_of_code, level_of_name, level_of_terminology


@pytest.mark.parametrize(
    "name, level",
    [
        ("vertebrae_L1", "L1"),
        ("L1", "L1"),
        ("L1 vertebra", "L1"),
        ("Vertebra L1", "L1"),
        ("vertebraeT12", "T12"),
        ("th12", "T12"),
        ("D12", "T12"),
        ("T07", "T7"),
        ("vertebrae_T13", "T13"),
        ("L6 vertebra", "L6"),
        ("First lumbar vertebra", "L1"),
        ("12th thoracic vertebra", "T12"),
        ("Lumbar vertebra 1", "L1"),
        ("cervical vertebrae 1 (C1)", "C1"),
        ("Atlas", "C1"),
        ("axis", "C2"),
        ("L4-1", "L4"),
        ("L4_5", "L4"),
    ],
)
def test_names_of_vertebrae(name, level):
    assert level_of_name(name) is Level[level]


@pytest.mark.parametrize(
    "name",
    ["L1-L2", "disc L1", "IVD_L1", "rib_left_1", "sacrum", "S1", "L5_S1", "L7", "T14", "C8", "CT1", "Segment_3", "bone",
     "nerve root L5", "L3 endplate", "pedicle L3", "L4-5", "T12/13", "psoas_L3", "VAT L3", "cage L4", "L1 lesion", ""],
)  # fmt: skip
def test_names_of_what_is_no_vertebra(name):
    assert level_of_name(name) is None


def test_every_level_is_known_by_its_name_and_its_code():
    for level in Level:
        assert level_of_name(f"{level.name} vertebra") is level
        assert level_of_name(f"vertebrae_{level.name}") is level
    for level in STANDARD:
        assert level_of_code("SCT", level.snomed) is level
    assert level_of_code("SCT", "51282000", "L6 vertebra") is Level.L6
    assert level_of_code("SCT", "54735007", "Sacrum, L5") is None


def test_a_terminology_entry_is_read_with_its_modifier():
    def entry(kind, modifier="^^"):
        return f"any~SCT^123037004^Anatomical Structure~{kind}~{modifier}~any~^^~^^"

    assert level_of_terminology(entry("SCT^36470004^L3 vertebra")) is Level.L3
    assert level_of_terminology(entry("SCT^51282000^Vertebra", "99SPINE^T13^T13 vertebra")) is Level.T13
    assert level_of_terminology(entry("SCT^51282000^Vertebra")) is None
    assert level_of_terminology("") is None


def test_the_numbers_of_the_tables():
    assert [TABLES["totalsegmentator"].levels[code].name for code in (27, 31, 32, 43, 44, 50)] == [
        "L5", "L1", "T12", "T1", "C7", "C1",
    ]  # fmt: skip
    assert [TABLES["totalsegmentator-v1"].levels[code].name for code in (18, 22, 23, 34, 35, 41)] == [
        "L5", "L1", "T12", "T1", "C7", "C1",
    ]  # fmt: skip
    assert TABLES["verse"].levels[28] is TABLES["spineps"].levels[28] is Level.T13
    assert 28 not in TABLES["ctspine1k"].levels
    assert {25, 26} <= TABLES["totalsegmentator"].others


def heights(*codes: int) -> dict[int, float]:
    """The numbers from the head down."""
    return {code: -30.0 * place for place, code in enumerate(codes)}


@pytest.mark.parametrize(
    "codes, table",
    [
        ((19, 20, 21, 22), "verse"),
        ((26, 19, 20), "verse"),
        ((22, 21, 20, 19, 18), "totalsegmentator-v1"),
        ((32, 31, 30, 29, 28, 27), "totalsegmentator"),
        ((28,), "totalsegmentator"),
        ((20, 21, 120, 121, 220), "spineps"),
        ((31, 30, 117), "totalsegmentator"),
    ],
)
def test_the_table_is_told_by_order_and_place(codes, table):
    chosen, why = choose(heights(*codes))
    assert chosen.name == table
    assert table in why


def test_what_else_would_fit_is_said():
    _, why = choose(heights(31, 30, 29))
    assert "totalsegmentator-v1 would fit, too" in why
    _, why = choose(heights(20, 21))
    assert "would fit" not in why


def test_names_in_the_file_decide():
    table, _ = choose(heights(22, 21), {22: "vertebrae_L1", 21: "vertebrae_L2", 90: "brain"})
    assert table.levels == {22: Level.L1, 21: Level.L2}
    assert 90 in table.others


def test_numbers_of_no_table_are_refused():
    with pytest.raises(SpineError, match="fit no known code table"):
        choose(heights(301, 302))
    with pytest.raises(SpineError, match="fit no known code table"):
        choose(heights(20, 26, 22, 19, 21, 24, 23))


@pytest.mark.parametrize(
    "name, text",
    [
        ("own.csv", "code,name\n7,L5\n8,vertebrae_L4\n9,sacrum\n"),
        ("own.csv", "L5;7\nL4;8\nsacrum;9\n"),
        ("own.tsv", "index\tname\tcolour\n7\tL5 vertebra\tred\n8\tL4 vertebra\tblue\n9\tsacrum\tgrey\n"),
        ("dataset.json", '{"labels": {"background": 0, "L5": 7, "L4": 8, "sacrum": 9}}'),
        ("own.json", '{"7": "L5", "8": "L4", "9": "sacrum"}'),
    ],
)
def test_an_own_table(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    table = table_of(str(tmp_path / name))
    assert table.levels == {7: Level.L5, 8: Level.L4}
    assert table.others == {9}


@pytest.mark.parametrize(
    "text, message",
    [
        ("1,bone\n", "names no vertebra"),
        ("1,L5\n1,L4\n", "the number 1 twice"),
        ("1,L5\n2,vertebrae_L5\n", "names L5 twice"),
        ("", "names no vertebra"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, message):
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(SpineError, match=message):
        table_of(str(tmp_path / "own.csv"))


def test_an_unknown_table_is_refused():
    with pytest.raises(SpineError, match="is no code table: give verse, "):
        table_of("monai")
