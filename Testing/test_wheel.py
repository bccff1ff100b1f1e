"""The wheel holds the whole library: every room, every file, the weights."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNBUILT = shutil.ignore_patterns("__pycache__")


def test_the_wheel_holds_every_file_of_the_library_and_the_weights(tmp_path):
    # Built from a copy: setuptools leaves its own files beside the sources, and takes what an older build has left.
    source = tmp_path / "source"
    for folder in ("SpineSegmentationLib", "Resources/Models"):
        shutil.copytree(ROOT / folder, source / folder, ignore=UNBUILT)
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source / file)
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    expected = {name.replace("Resources/Models/", "SpineSegmentationLib/models/") for name in expected}
    expected = {name for name in expected if "/" in name} - {"SpineSegmentationLib/CMakeLists.txt"}

    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--wheel-dir", tmp_path, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert held == expected
    for name in (
        "py.typed",
        "training/validation.txt",
        "results/report.html",
        "models/models.json",
        "cli/program.py",
        "scene/mrml/box.py",
    ):
        assert f"SpineSegmentationLib/{name}" in held
