"""What is heavy is imported only where it works: --help needs nothing, and Slicer's own process no PyTorch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from SpineSegmentationLib.cli.program import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "SpineSegmentation"

HELP = """
from SpineSegmentationLib.cli import main
for words in {calls!r}:
    try:
        main(words)
    except SystemExit as stop:
        assert stop.code == 0
"""

PANEL = """
import importlib, sys
sys.path[:0] = {paths!r}
import pytest, panel_standins
panel_standins.install(pytest.MonkeyPatch())
for name in {names!r}:
    importlib.import_module(name)
"""


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after the code."""
    program = code + "\nimport sys\nprint(*{name.split('.')[0] for name in sys.modules})"
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def modules(folder: Path, root: Path) -> list[str]:
    """The names of the modules in a folder, seen from a root."""
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in folder.rglob("*.py")]
    return sorted(name.removesuffix(".__init__") for name in names)


def test_help_loads_nothing_heavy():
    calls = [["--help"], *([name, "--help"] for name in COMMANDS)]
    assert not {"torch", "numpy", "scipy", "SimpleITK", "vtk", "slicer"} & loaded(HELP.format(calls=calls))


def test_the_scene_room_starts_without_pytorch():
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    names = modules(ROOT / "SpineSegmentationLib" / "scene", ROOT)
    assert "SpineSegmentationLib.scene.mrml.box" in names
    found = loaded("\n".join(f"import {name}" for name in names))
    assert "slicer" in found and "torch" not in found


def test_the_module_starts_without_pytorch():
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    pytest.importorskip("PySide6.QtUiTools", reason="PySide6-Essentials does not run here", exc_type=ImportError)
    names = modules(MODULE, MODULE)
    assert "SpineSegmentation" in names and "SpineSegmentationPanel.table" in names
    paths = [str(path) for path in (MODULE, ROOT / "Testing", ROOT / "Testing" / "panel", ROOT)]
    assert "torch" not in loaded(PANEL.format(paths=paths, names=names))
