"""How many awkward inputs the tests read, by kind: read right, refused in one clear line, or wrong.

    python benchmarks/inputs.py

Counted are the calls of the readers in the tests of reading: one that returns is right, and one that raises SpineError
is refused, when the test, which knows what is due, passes; both are wrong when it fails.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from measuring import markdown

import SpineSegmentationLib.evaluation.dataset as dataset
import SpineSegmentationLib.io.ct as ct
import SpineSegmentationLib.io.hounsfield as hounsfield
import SpineSegmentationLib.io.values as values
from SpineSegmentationLib.errors import SpineError

ROOT = Path(__file__).resolve().parents[1]

KINDS = {
    "io/test_multiframe.py": "enhanced multi-frame DICOM",
    "io/test_passes.py": "passes and blocks in one series",
    "io/test_pixels.py": "rescale, padding, MONOCHROME1, compression",
    "io/test_dicom.py": "DICOM series: gaps, doubles, tilt, choice, damage",
    "io/test_hounsfield.py": "values that are or are not Hounsfield units",
    "io/test_nifti.py": "NIfTI: sform, qform, scaling, sizes",
    "io/test_nrrd.py": "NRRD: space, long headers, sequences",
    "io/test_ct.py": "every format: types, damage, shapes",
    "io/test_finding.py": "names and what else lies in a folder",
    "io/test_values.py": "centroid files",
    "io/test_point_lists.py": "point lists of Slicer, units",
    "evaluation/test_dataset.py": "layouts that `evaluate` reads",
    "io/test_fuzz.py": "damaged at random, every kind of file",
}

COLUMNS = {
    "kind": ("kind", "s"),
    "tried": ("inputs tried", "d"),
    "right": ("right", "d"),
    "refused": ("refused with a clear line", "d"),
    "wrong": ("wrong", "d"),
}


class Count:
    """Counts the readers' calls of each test, and after it whether they were right."""

    def __init__(self) -> None:
        self.files: dict[str, Counter] = defaultdict(Counter)
        self._calls: Counter = Counter()
        self._depth = 0

    def watch(self, module: object, name: str) -> None:
        read = getattr(module, name)

        def watched(*arguments, **options):
            self._depth += 1
            try:
                value = read(*arguments, **options)
            except SpineError:
                self._calls["refused"] += self._depth == 1
                raise
            finally:
                self._depth -= 1
            self._calls["right"] += self._depth == 0
            return value

        setattr(module, name, watched)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        file = self.files[report.nodeid.split("::")[0].removeprefix("Testing/")]
        for outcome, number in self._calls.items():
            file[outcome if report.passed else "wrong"] += number
        if report.failed and not self._calls:
            file["wrong"] += 1
        self._calls.clear()


def main() -> None:
    count = Count()
    for module, name in (
        (ct, "read_ct"),
        (hounsfield, "in_hounsfield"),
        (values, "read_centroids"),
        (dataset, "read_scan_centroids"),
    ):
        count.watch(module, name)
    files = [str(ROOT / "Testing" / file) for file in KINDS]
    pytest.main(["-q", "--rootdir", str(ROOT), *files], plugins=[count])
    rows = []
    for file, kind in KINDS.items():
        counted = count.files[file]
        outcomes = {name: counted[name] for name in ("right", "refused", "wrong")}
        rows.append({"kind": kind, "tried": sum(outcomes.values()), **outcomes})
    rows.append({"kind": "**all**", **{key: sum(row[key] for row in rows) for key in list(COLUMNS)[1:]}})
    print(markdown(COLUMNS, rows))
    sys.exit(bool(rows[-1]["wrong"]))


if __name__ == "__main__":
    main()
