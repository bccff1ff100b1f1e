"""The extension is configured, built, installed and packed, with stand-ins for Slicer's macros."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PLACE = "lib/Slicer-5.13/qt-scripted-modules"
CMAKE = shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The build folder; the extension is installed into ``install`` in it."""
    if CMAKE is None or not (shutil.which("cc") and shutil.which("c++")):
        pytest.skip("no cmake (pip install cmake) or no compiler, which Slicer's build system asks for")
    folder = tmp_path_factory.mktemp("build")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    for command in (
        [CMAKE, *generator, f"-DSlicer_DIR={HERE}", "-DBUILD_TESTING=ON", "-S", ROOT, "-B", folder],
        [CMAKE, "--build", folder],
        [CMAKE, "--install", folder, "--prefix", folder / "install"],
    ):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def files(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_what_is_installed_is_what_was_built(built):
    installed = files(built / "install" / PLACE)
    assert installed == files(built / PLACE)
    assert {"SpineSegmentation.py", "SpineSegmentationPanel/table.py", "SpineSegmentationLib/scene/logic.py"} <= set(
        installed
    )
    assert {"Resources/UI/SpineSegmentation.ui", "Resources/Models/models.json"} <= set(installed)
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    ours = re.compile(r"(SpineSegmentationLib|Resources)/(?!.*(CMakeLists|generate))")
    wanted = [path for path in tracked if ours.match(path)]
    # Pages, lists and py.typed are among them, not code alone.
    assert "SpineSegmentationLib/results/report.html" in wanted and not set(wanted) - set(installed)
    # Windows: 260 characters, of which a user's folder with Slicer takes up to 150.
    assert max(map(len, installed)) < 100


def test_the_installed_library_runs_from_there(built):
    code = "import SpineSegmentationLib.weights as w, SpineSegmentationLib.anatomy; print(w.__file__)"
    place = built / "install" / PLACE
    command, environment = [sys.executable, "-B", "-c", code], {"PYTHONPATH": str(place)}
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and str(place) in done.stdout, done.stderr


def test_the_package_holds_it(built):
    done = subprocess.run([str(Path(CMAKE).with_name("cpack"))], cwd=built, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(built / "SpineSegmentation.tar.gz") as package:
        packed = {member.name.split(f"{PLACE}/")[-1] for member in package if member.isfile()}
    assert packed == set(files(built / "install" / PLACE))


def test_the_description_names_one_repository(built):
    text = (built / "description.txt").read_text()
    values = dict(line.split("=", 1) for line in text.splitlines())
    assert values["DEPENDS"] == "PyTorch" and values["CATEGORY"] == "Segmentation"
    catalog = json.loads((ROOT / "SpineSegmentation.json").read_text())
    fields = "$schema build_dependencies build_subdirectory category scm_revision scm_type scm_url enabled tier"
    assert set(catalog) <= set(fields.split())
    assert catalog["category"] == values["CATEGORY"] and catalog["build_dependencies"] == [values["DEPENDS"]]
    repository = catalog["scm_url"].removeprefix("https://github.com/").removesuffix(".git")
    for key in ("HOMEPAGE", "ICONURL", "SCREENSHOTURLS"):
        assert repository in values[key] and "example" not in values[key]
    for url in (values["ICONURL"], *values["SCREENSHOTURLS"].split()):
        assert (ROOT / url.split("/main/")[1]).is_file(), url
    for key in ("LICENSE_FILE", "README_FILE"):
        assert Path(values[key]).is_file()


def test_the_icon_is_as_large_as_the_index_wants_it():
    assert Image.open(ROOT / "Resources" / "Icons" / "SpineSegmentation.png").size == (128, 128)
