"""``--json``: every line of standard output is an object that the schema in docs/ allows."""

import json
from pathlib import Path

import pytest
from calls import segment

from SpineSegmentationLib import cli
from SpineSegmentationLib.anatomy import COLUMN
from SpineSegmentationLib.cli.console import SCHEMA
from SpineSegmentationLib.cli.program import COMMANDS

SCHEMA_FILE = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "output-1.json").read_text())
TYPES = {"string": str, "number": (int, float), "array": list, "object": dict, "null": type(None)}


def check(value, schema: dict) -> None:
    """The part of JSON Schema that ours uses."""
    assert "const" not in schema or value == schema["const"]
    assert "enum" not in schema or value in schema["enum"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    assert not kinds or any(isinstance(value, TYPES[kind]) for kind in kinds)
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= value.keys()
        properties = schema.get("properties", {})
        if schema.get("additionalProperties", True) is False:
            assert value.keys() <= properties.keys()
        for key, part in value.items():
            check(part, properties.get(key, {}))
    for part in value if isinstance(value, list) else ():
        check(part, schema.get("items", {}))


def objects(capsys) -> list[dict]:
    values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for value in values:
        check(value, SCHEMA_FILE)
    return values


def test_the_schema_names_every_command():
    assert SCHEMA_FILE["$id"] == SCHEMA
    assert set(SCHEMA_FILE["properties"]["command"]["enum"]) == set(COMMANDS)


def test_an_object_for_each_scan(called, two, tmp_path, capsys):
    (two / "bad_ct.nii.gz").write_bytes(b"nothing")
    assert segment(two, "--json", to=tmp_path / "out") == 1
    values = {value["scan"]: value for value in objects(capsys)}
    assert {name: value["status"] for name, value in values.items()} == {"one": "done", "two": "done", "bad": "failed"}
    assert values["one"]["found"] == "T11 T12 L1" and all(Path(file).is_file() for file in values["one"]["files"])
    assert "bad_ct.nii.gz" in values["bad"]["error"] and values["bad"]["files"] == []
    assert segment(two / "one_ct.nii.gz", "--json", to=tmp_path / "out") == 0
    assert [value["status"] for value in objects(capsys)] == ["skipped"]


def test_an_unusable_call_is_an_object_too(tmp_path, capsys):
    code = cli.main(
        ["evaluate", "--truth", str(tmp_path / "no"), "--prediction", f"a={tmp_path}", "--report", "r", "--json"]
    )
    assert code == 2
    (value,) = objects(capsys)
    assert (value["command"], value["status"]) == ("evaluate", "failed") and "no" in value["error"]


def test_info(capsys):
    assert cli.main(["info", "--json"]) == 0
    (value,) = objects(capsys)
    assert [one["name"] for one in value["labels"]] == [level.name for level in COLUMN]
    assert value["code_tables"]["totalsegmentator"]["27"] == "L5"
    assert value["default"] in value["systems"] and len(value["weights"]["anduin-labelling"]["sha256"]) == 64
    assert cli.main(["info"]) == 0
    assert "default: combined" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_it(name, capsys):
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    assert "--json" in capsys.readouterr().out
