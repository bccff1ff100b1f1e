"""The self-test of the module, without the application."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineSegmentation"


def selftests() -> list[str]:
    tree = ast.parse((MODULE / "SpineSegmentationPanel" / "selftest.py").read_text())
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.mark.parametrize("name", selftests())
def test_selftest(module, name):
    """The test that a real Slicer runs, here with a worker process under PySide6's event loop."""
    module.test(name).debug()
