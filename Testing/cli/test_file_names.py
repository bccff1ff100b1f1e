"""Names that the terminal or the locale cannot show: from finding the scan to the table of all, nothing fails."""

import csv
import json
import os
import sys

import pytest
from calls import ENDINGS, outputs_of, segment, started

from SpineSegmentationLib import cli
from SpineSegmentationLib.io.writing import write_image

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are always Unicode here")

NAME = "Grüße"
ENVIRONMENTS = {
    "a terminal that shows ASCII alone": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
    "the C locale, without Python's way out": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_name_with_an_umlaut(called, ct, tmp_path, capsys, environment):
    place, folder = tmp_path / "in" / NAME, tmp_path / "out" / NAME
    place.mkdir(parents=True)
    for name in (NAME, "other"):
        write_image(ct, place / f"{name}_ct.nii.gz")
    process = started("segment", place, "--output", folder, environment=environment)
    out, err = (told.decode() for told in process.communicate(timeout=120))
    assert process.returncode == 0 and "Traceback" not in err, err
    assert [line.split(": ")[1].split(" -> ")[0] for line in out.splitlines()] == ["T11 T12 L1"] * 2
    assert outputs_of(folder, NAME) == list(ENDINGS) and outputs_of(folder, "other") == list(ENDINGS)
    # The next one, who has a proper locale, goes on with it.
    with (folder / "cohort" / "scans.csv").open(encoding="utf-8") as file:
        assert [(row["scan"], row["status"]) for row in csv.DictReader(file)] == [(NAME, "done"), ("other", "done")]
    run = json.loads((folder / f"{NAME}_run.json").read_text(encoding="utf-8"))
    assert os.fsencode(run["input"]["path"]) == os.fsencode(place / f"{NAME}_ct.nii.gz")
    capsys.readouterr()
    assert segment(place, to=folder) == 0 and not called
    assert capsys.readouterr().err.count("done before, skipped") == 2
    assert cli.main(["review", str(folder), "--no-server"]) == 0
    rows = json.loads((folder / "cohort" / "review" / "review.json").read_text(encoding="utf-8"))["rows"]
    found = {row["scan"]: row for row in rows if "picture" in row}
    assert set(found) == {NAME, "other"} and all(row["picture"].isascii() for row in found.values())
