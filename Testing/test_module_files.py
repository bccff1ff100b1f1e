"""What can be said of the module's files without the application."""

from __future__ import annotations

import ast
import json
import re
import runpy
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import SNOMED, SNOMED_CATEGORY, SNOMED_VERTEBRA, Level

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "SpineSegmentation"
UI = ROOT / "Resources" / "UI" / "SpineSegmentation.ui"
QT_CLASSES = {
    "QCheckBox",
    "QComboBox",
    "QLabel",
    "QLineEdit",
    "QListWidget",
    "QPlainTextEdit",
    "QProgressBar",
    "QPushButton",
    "QSlider",
    "QTableWidget",
}
SLICER_CLASSES = {
    "ctkCollapsibleButton",
    "ctkDirectoryButton",
    "qMRMLNodeComboBox",
    "qMRMLWidget",
}


@pytest.fixture(scope="module")
def ui() -> ElementTree.Element:
    return ElementTree.parse(UI).getroot()


def widgets(ui: ElementTree.Element) -> dict[str, str]:
    """Class by name."""
    return {widget.get("name"): widget.get("class") for widget in ui.iter("widget")}


def bound(ui: ElementTree.Element) -> dict[str, str]:
    """Parameter by widget name."""
    return {
        widget.get("name"): parameter.findtext("string")
        for widget in ui.iter("widget")
        for parameter in widget.findall("property[@name='SlicerParameterName']")
    }


def test_ui_uses_known_classes_and_declares_them(ui):
    used, declared = set(widgets(ui).values()), {entry.findtext("class") for entry in ui.iter("customwidget")}
    assert used <= QT_CLASSES | SLICER_CLASSES
    assert used & SLICER_CLASSES <= declared
    names = [widget.get("name") for widget in ui.iter("widget")]
    assert len(names) == len(set(names))


def test_every_bound_widget_has_a_parameter_and_every_parameter_a_widget(ui):
    tree = ast.parse((MODULE / "SpineSegmentation.py").read_text())
    [node] = [
        item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == "SpineSegmentationParameterNode"
    ]
    parameters = {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
    assert sorted(bound(ui).values()) == sorted(parameters)
    for entry in ui.iter("property"):
        if entry.get("name") == "SlicerParameterName":
            assert entry.get("stdset") == "0"  # else uic takes it for a setter


def test_every_mrml_widget_gets_the_scene(ui):
    receivers = {
        entry.findtext("receiver")
        for entry in ui.iter("connection")
        if entry.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
        and entry.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
        and entry.findtext("sender") == ui.findtext("class")
    }
    assert receivers == {name for name, kind in widgets(ui).items() if kind == "qMRMLNodeComboBox"}


def test_every_widget_used_in_python_is_in_the_ui_and_the_other_way_round(ui):
    code = "".join(path.read_text() for path in MODULE.rglob("*.py"))
    used = set(re.findall(r"\bui\.(\w+)", code))
    assert used <= set(widgets(ui))
    interactive = {
        name for name, kind in widgets(ui).items() if kind not in ("QLabel", "ctkCollapsibleButton", "qMRMLWidget")
    }
    assert interactive - used <= set(bound(ui))


SHOWN = {"show", "showStatus", "setText", "confirm", "setToolTip", "addAction", "addItem", "tryWithErrorDisplay"}


def test_what_a_person_reads_can_be_translated():
    """No literal text with letters goes to a widget or a dialog but through ``_()``."""
    found = []
    for path in MODULE.rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        for call in calls:
            if getattr(call.func, "attr", getattr(call.func, "id", "")) in SHOWN:
                literal = [text for part in call.args if isinstance(part, ast.Constant | ast.JoinedStr)
                           for text in ast.walk(part) if isinstance(text, ast.Constant)]  # fmt: skip
                found += [f"{path.name}:{call.lineno}" for text in literal if re.search("[A-Za-z]", str(text.value))]
    assert found == []


def test_the_headings_for_translators_are_those_of_the_library():
    from SpineSegmentationLib.scene.figures import HEADINGS

    text = (MODULE / "SpineSegmentationPanel" / "measuring.py").read_text()
    assert tuple(re.findall(r'^    _\("(.+)"\),$', text, re.M)) == HEADINGS


def test_build_names_every_file_of_the_module():
    text = (MODULE / "CMakeLists.txt").read_text().replace("${MODULE_NAME}", "SpineSegmentation")
    files = {path.relative_to(MODULE).as_posix() for path in MODULE.rglob("*.py")}
    assert set(re.findall(r"^ +([\w/]+\.py)$", text, re.M)) == files


def test_build_names_every_resource():
    text = (ROOT / "Resources" / "CMakeLists.txt").read_text()
    folder = ROOT / "Resources"
    files = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "Models" not in path.parts and "__pycache__" not in path.parts
    }
    named = set(re.findall(r"^  ([\w/.-]+\.\w+)$", text, re.M))
    assert named == files - {"CMakeLists.txt", "generate.py"}
    assert "/Models/*)" in text and "CONFIGURE_DEPENDS" in text


def test_build_takes_the_whole_library():
    text = (ROOT / "SpineSegmentationLib" / "CMakeLists.txt").read_text()
    assert "GLOB_RECURSE MODULE_PYTHON_SCRIPTS CONFIGURE_DEPENDS" in text and "/*.py" in text and "WITH_SUBDIR" in text
    top = (ROOT / "CMakeLists.txt").read_text()
    for folder in ("Resources", "SpineSegmentationLib", "SpineSegmentation"):
        assert f"add_subdirectory({folder})" in top
    assert 'EXTENSION_DEPENDS "PyTorch"' in top


def test_resources_are_those_of_the_library():
    """The colour table and the terminology were generated from the present list of vertebrae."""
    generate = runpy.run_path(str(ROOT / "Resources" / "generate.py"))
    assert generate["COLOR_TABLE"].read_text() == generate["color_table"]()
    assert json.loads(generate["TERMINOLOGY"].read_text()) == generate["terminology"]()


def test_color_table_and_terminology_are_read_by_slicer():
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    storage, colors = slicer.vtkMRMLColorTableStorageNode(), slicer.vtkMRMLColorTableNode()
    storage.SetFileName(str(ROOT / "Resources" / "SpineSegmentation.ctbl"))
    assert storage.ReadData(colors)
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    context = logic.LoadTerminologyFromFile(
        str(ROOT / "Resources" / "SegmentationCategoryTypeModifier-SpineSegmentation.term.json")
    )
    assert context == "Segmentation category and type - Spine Segmentation"
    for level in Level:
        assert colors.GetColorName(int(level)) == level.name
        rgba = [0.0] * 4
        colors.GetColor(int(level), rgba)
        np.testing.assert_allclose(rgba[:3], level.color, atol=0.003)
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.FindTypeInTerminologyBy3dSlicerLabel(context, level.name, entry)
        assert entry.GetCategoryObject().GetCodeValue() == SNOMED_CATEGORY[0]
        kind, variant = entry.GetTypeObject(), entry.GetTypeModifierObject()
        if level in SNOMED:
            assert (kind.GetCodeValue(), kind.GetCodeMeaning()) == (SNOMED[level], f"{level.name} vertebra")
        else:
            assert (kind.GetCodeValue(), variant.GetCodeValue()) == (SNOMED_VERTEBRA[0], level.name)
        shown = kind if level in SNOMED else variant
        np.testing.assert_allclose(shown.GetRecommendedDisplayRGBValue(), np.multiply(level.color, 255), atol=0.51)
