"""Names that the terminal or the locale cannot show: from finding the scan to the table of all, nothing fails."""

import csv
import json
import os
import sys

import pytest
from calls import ENDINGS, outputs_of, started

from SpineSegmentationLib.io.writing import write_image

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are always Unicode here")

NAME = "Grüße"
ENVIRONMENTS = {
    "a terminal that shows ASCII alone": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
    "the C locale": {"LC_ALL": "C"},
    "the C locale, without Python's way out": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def called(*words, environment) -> tuple[str, str]:
    process = started(*words, environment=environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and b"Traceback" not in err, err.decode()
    return out.decode(), err.decode()


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_name_with_an_umlaut(ct, tmp_path, environment):
    for name in (NAME, "other"):
        (tmp_path / "in" / NAME).mkdir(parents=True, exist_ok=True)
        write_image(ct, tmp_path / "in" / NAME / f"{name}_ct.nii.gz")
    folder = tmp_path / "out" / NAME
    out, _ = called("segment", tmp_path / "in", "--output", folder, environment=environment)
    assert [line.split(": ")[1].split(" -> ")[0] for line in out.splitlines()] == ["T11 T12 L1"] * 2
    assert outputs_of(folder, NAME) == list(ENDINGS) and outputs_of(folder, "other") == list(ENDINGS)
    _, err = called("segment", tmp_path / "in", "--output", folder, environment=environment)
    assert err.count("done before, skipped") == 2
    (page,) = called("review", folder, "--no-server", environment=environment)[0].splitlines()
    assert page.endswith("index.html")
    # The next one, who has a proper locale, reads all of it.
    with (folder / "cohort" / "scans.csv").open(encoding="utf-8") as file:
        assert [(row["scan"], row["status"]) for row in csv.DictReader(file)] == [(NAME, "done"), ("other", "done")]
    run = json.loads((folder / f"{NAME}_run.json").read_text(encoding="utf-8"))
    assert os.fsencode(run["input"]["path"]) == os.fsencode(tmp_path / "in" / NAME / f"{NAME}_ct.nii.gz")
    row = json.loads((folder / "cohort" / "review" / "review.json").read_text(encoding="utf-8"))["rows"][0]
    assert os.fsencode(row["scan"]) in (NAME.encode(), b"other") and row["picture"].isascii()
