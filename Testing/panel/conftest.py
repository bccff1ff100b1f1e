"""The panel on stand-ins for the application and for the three networks."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineSegmentation"


PROGRAM = """
import sys
sys.path[:0] = {paths!r}
import standins
standins.install()
standins.DELAY["labelling"] = 0.1
from SpineSegmentationLib import pipeline
pipeline.SYSTEMS[pipeline.DEFAULT] = pipeline.SYSTEMS["standin"]
from SpineSegmentationLib.session.worker import main
main()
"""
PATHS = [str(ROOT / "Testing"), str(ROOT)]


def _command(python: str, weights: object = None) -> list[str]:
    """The worker's command line, with stand-ins for the networks."""
    return [sys.executable, "-c", PROGRAM.format(paths=PATHS)]


@pytest.fixture(autouse=True)
def worker_of_standins(monkeypatch):
    """For the tests of the panel alone: the panel itself outlives them."""
    from SpineSegmentationLib.session import client

    monkeypatch.setattr(client, "command", _command)


@pytest.fixture(scope="session")
def module():
    """The module's Python file on stand-ins for the application and for the three networks."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import panel_standins
    import scenes
    import slicer
    import standins

    from SpineSegmentationLib.session import client

    monkeypatch = pytest.MonkeyPatch()
    panel_standins.install(monkeypatch)
    monkeypatch.syspath_prepend(str(MODULE))
    loaded = importlib.import_module("SpineSegmentation")
    panel = loaded.SpineSegmentationWidget(panel_standins.Parent())
    with pytest.MonkeyPatch.context() as setting_up:
        setting_up.setattr(client, "command", _command)
        panel.setup()
    steps = sys.modules["SpineSegmentationPanel.steps"]
    monkeypatch.setattr(
        steps, "add_phantom", lambda *_: scenes.add_volume(slicer.mrmlScene, standins.spine_ct(6), "phantom")
    )
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda name: panel)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    monkeypatch.setattr(slicer.util, "saveScene", panel_standins.save_scene)
    monkeypatch.setattr(slicer.util, "loadScene", panel_standins.load_scene)
    yield SimpleNamespace(panel=panel, test=loaded.SpineSegmentationTest)
    panel.cleanup()
    for name in [name for name in sys.modules if name.startswith(("SpineSegmentation.", "SpineSegmentationPanel"))]:
        del sys.modules[name]
    sys.modules.pop("SpineSegmentation")
    monkeypatch.undo()


@pytest.fixture
def steps(module):
    """The self-test's steps on a fresh scene with a volume that was segmented."""
    steps = module.test("runTest")
    steps.setUp()
    steps.result = steps.apply()
    return steps
