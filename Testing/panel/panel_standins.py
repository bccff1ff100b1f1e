"""What the panel needs of Slicer's application, in a few lines each: PythonQt's habits on PySide6, and the bases.

The scene, the nodes and ``slicer.util`` are the real ones of slicer-core. Widgets follow PythonQt: properties are
values, not methods; ``connect`` takes a signature and answers False for a signal that does not exist.
"""

from __future__ import annotations

import sys
import tempfile
import types
import typing
import unittest
from types import SimpleNamespace

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6.QtUiTools", reason="PySide6-Essentials does not run here", exc_type=ImportError)


import slicer
import slicer.util
import vtk
from parameter_standins import Choice, parameter_node_wrapper
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from scenes import new_scene

_before, _object = sys.getrefcount(None), QtCore.QObject()
for _ in range(100):
    _object.setObjectName("")
if sys.getrefcount(None) < _before - 50:
    # Python dies when None is counted down to nothing; from 3.12 on it cannot be.
    pytest.skip("this PySide6 miscounts None on this Python; 6.9 does not", allow_module_level=True)

VIRTUAL = {"sizeHint", "minimumSizeHint"}
"""Properties whose getters Qt itself calls; they stay methods."""


def pythonqt(base: type, name: str = "", **members: object) -> type:
    """A subclass whose Qt properties are Python properties and whose ``connect`` is PythonQt's."""
    meta = base.staticMetaObject
    found: dict[str, object] = {}
    for index in range(meta.propertyCount()):
        key = meta.property(index).name()
        if key not in VIRTUAL:
            found[key] = _value(key)
    found.update(name=_value("objectName"), connect=_connect, className=lambda self: type(self).__name__)
    return type(name or base.__name__, (base,), {**found, **members})


def _value(key: str) -> property:
    return property(lambda self: self.property(key), lambda self, value: self.setProperty(key, value))


def _connect(self, signal: str, slot: typing.Callable) -> bool:
    if self.metaObject().indexOfSignal(signal.replace("vtkMRMLNode*", "PyObject")) < 0:
        return False
    return bool(getattr(self, signal.split("(")[0]).connect(slot))


class _NodeComboBox(QtWidgets.QComboBox):
    currentNodeChanged = QtCore.Signal(object)
    node = None

    def setMRMLScene(self, scene: object) -> None:
        pass

    def currentNode(self) -> object:
        return self.node

    def setCurrentNode(self, node: object) -> None:
        if node is not self.node:
            self.node = node
            self.clear()
            self.addItem("" if node is None else node.GetName())
            self.currentNodeChanged.emit(node)


class _Table(QtWidgets.QTableWidget):
    def __init__(self, parent: object = None) -> None:
        super().__init__(parent)
        header = HEADER(QtCore.Qt.Horizontal, self)
        header.setSectionsClickable(True)
        self.setHorizontalHeader(header)


class _Menu(QtWidgets.QMenu):
    def addAction(self, text: str) -> object:
        action = ACTION(text, self)
        super().addAction(action)
        return action


class _Collapsible(QtWidgets.QGroupBox):
    def event(self, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.DynamicPropertyChange:
            self.setTitle(self.property("text"))
            if event.propertyName() == b"collapsed" and self.isVisible():
                self._show_children(not self.property("collapsed"))
        elif event.type() == QtCore.QEvent.Show and self.property("collapsed"):
            self._show_children(False)
        return super().event(event)

    def _show_children(self, on: bool) -> None:
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
            child.setVisible(on)


class _Directory(QtWidgets.QPushButton):
    directory = "."


class _MRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: object) -> None:
        self.mrmlSceneChanged.emit(scene)


HEADER = pythonqt(QtWidgets.QHeaderView)
ACTION = pythonqt(QtGui.QAction)
WIDGETS = {
    "ctkCollapsibleButton": pythonqt(_Collapsible, "ctkCollapsibleButton"),
    "ctkComboBox": pythonqt(QtWidgets.QComboBox, "ctkComboBox", NeverScroll=0),
    "ctkDirectoryButton": pythonqt(_Directory, "ctkDirectoryButton", directory="."),
    "qMRMLNodeComboBox": pythonqt(_NodeComboBox, "qMRMLNodeComboBox"),
    "qMRMLWidget": pythonqt(_MRMLWidget, "qMRMLWidget"),
}
for _name in (
    "QCheckBox",
    "QComboBox",
    "QLabel",
    "QLineEdit",
    "QListWidget",
    "QPlainTextEdit",
    "QProgressBar",
    "QPushButton",
    "QSlider",
    "QWidget",
):
    WIDGETS[_name] = pythonqt(getattr(QtWidgets, _name))


WIDGETS["QTableWidget"] = pythonqt(_Table, "QTableWidget")


# A static method in PythonQt, although there is a property of that name.
TIMER = pythonqt(QtCore.QTimer, singleShot=staticmethod(QtCore.QTimer.singleShot))


class Loader(QtUiTools.QUiLoader):
    """Fails, as Slicer would, for a class that nobody provides."""

    def createWidget(self, name: str, parent: object = None, object_name: str = "") -> QtWidgets.QWidget:
        widget = WIDGETS[name](parent)
        widget.setObjectName(object_name)
        return widget


# Slicer's base classes


class ScriptedLoadableModule:
    def __init__(self, parent) -> None:
        self.parent, self.moduleName = parent, type(self).__name__


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = QtWidgets.QVBoxLayout(parent)

    def setup(self) -> None:
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str) -> None:
        pass


class Application(QtWidgets.QApplication):
    """``slicer.app``."""

    startupCompleted = QtCore.Signal()
    connect, className = _connect, lambda self: "qSlicerApplication"

    def testingEnabled(self) -> bool:
        return True

    def layoutManager(self) -> None:
        return None

    def applicationLogic(self) -> object:
        return _ApplicationLogic()


class Parent(QtWidgets.QWidget):
    """The widget that Slicer gives a panel."""

    isEntered = True


def install(monkeypatch) -> None:
    """Makes ``import qt``, ``ctk`` and the missing parts of ``slicer`` work; undone by pytest's monkeypatch."""
    qt = types.ModuleType("qt")
    for part in (QtCore, QtGui, QtWidgets):
        vars(qt).update({name: getattr(part, name) for name in dir(part) if not name.startswith("_")})
    vars(qt).update(WIDGETS, QUiLoader=Loader, QTimer=TIMER, QProcess=pythonqt(QtCore.QProcess))
    vars(qt).update(QShortcut=pythonqt(QtGui.QShortcut), QMenu=pythonqt(_Menu, "QMenu"))
    ctk = types.ModuleType("ctk")
    ctk.ctkComboBox = WIDGETS["ctkComboBox"]
    parts = {
        "i18n": {"tr": lambda text: text, "translate": lambda context, text: text},
        "parameterNodeWrapper": {"parameterNodeWrapper": parameter_node_wrapper, "Choice": Choice},
        "packaging": {
            "load_requirements": lambda path: [SimpleNamespace(name="torch", specifier=">=2.4")],
            "pip_check": lambda requirement: True,
            "pip_ensure": lambda requirements, **_: None,
        },
        "ScriptedLoadableModule": {
            base.__name__: base
            for base in (
                ScriptedLoadableModule,
                ScriptedLoadableModuleLogic,
                ScriptedLoadableModuleTest,
                ScriptedLoadableModuleWidget,
            )
        },
    }
    monkeypatch.setitem(sys.modules, "qt", qt)
    monkeypatch.setitem(sys.modules, "ctk", ctk)
    for name, members in parts.items():
        module = types.ModuleType(f"slicer.{name}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, f"slicer.{name}", module)
        monkeypatch.setattr(slicer, name, module, raising=False)
    application = QtWidgets.QApplication.instance() or Application([])
    monkeypatch.setattr(slicer, "app", application, raising=False)
    scene = _scene()
    volumes = next(logic for logic in scene.logics if logic.IsA("vtkSlicerVolumesLogic"))
    markups = next(logic for logic in scene.logics if logic.IsA("vtkSlicerMarkupsLogic"))
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic
    plots = SimpleNamespace(charts=[])
    plots.ShowChartInLayout = plots.charts.append
    modules = {
        "plots": lambda: plots,
        "markups": lambda: markups,
        "segmentations": segmentations,
        "volumes": lambda: volumes,
    }
    modules = SimpleNamespace(**{name: SimpleNamespace(logic=logic) for name, logic in modules.items()})
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
    monkeypatch.setattr(slicer.util, "getModuleLogic", lambda name: {"Terminologies": terminologies}[name])


class _ApplicationLogic:
    """``slicer.app.applicationLogic()``, on the nodes of the present scene."""

    def GetInteractionNode(self) -> object:
        return slicer.mrmlScene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")


def _scene():
    scene = new_scene(tempfile.mkdtemp())
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(caller, event, node) -> None:
        # In Slicer, Qt plugins file new nodes, and take them out again.
        if node.IsA("vtkMRMLDisplayableNode") and not node.GetHideFromEditors():
            tree.CreateItem(tree.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def removed(caller, event, node) -> None:
        item = tree.GetItemByDataNode(node) if not scene.IsClosing() else 0
        if item:
            tree.RemoveItem(item, False, False)

    scene.AddObserver(scene.NodeAddedEvent, added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)
    interaction = slicer.vtkMRMLInteractionNode()
    interaction.SetSingletonTag("Singleton")
    scene.AddNode(interaction)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
        view = slicer.vtkMRMLSliceNode()
        view.SetSingletonTag(name)
        view.SetLayoutName(name)
        view = scene.AddNode(view)
        view.SetOrientation(orientation)
    return scene


def save_scene(path: str) -> bool:
    scene = slicer.mrmlScene
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        scene.GetNthNodeByClass(number, "vtkMRMLStorableNode").AddDefaultStorageNode()
    return scene.WriteToMRB(path)


def load_scene(path: str) -> None:
    assert slicer.mrmlScene.ReadFromMRB(path, False, slicer.vtkMRMLMessageCollection())
