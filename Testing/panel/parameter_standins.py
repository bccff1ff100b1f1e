"""Slicer's ``parameterNodeWrapper`` in a few lines: values in a real script node, connected to widgets by name."""

from __future__ import annotations

import typing

import slicer
import vtk


class Choice:
    def __init__(self, choices: list) -> None:
        self.choices = choices


def parameter_node_wrapper(cls: type) -> type:
    """Values in a real script node; connects check boxes, combo boxes and node selectors."""
    hints = typing.get_type_hints(cls, include_extras=True)
    defaults = {name: getattr(cls, name, None) for name in hints}

    def make(name: str) -> property:
        node_typed = isinstance(hints[name], type) and issubclass(hints[name], slicer.vtkMRMLNode)

        def read(self):
            if node_typed:
                return self.parameterNode.GetNodeReference(name)
            text = self.parameterNode.GetParameter(name)
            return type(defaults[name])(eval(text) if isinstance(defaults[name], bool) else text)

        def write(self, value) -> None:
            if node_typed:
                self.parameterNode.SetNodeReferenceID(name, value.GetID() if value else None)
            else:
                self.parameterNode.SetParameter(name, str(value))

        return property(read, write)

    class Wrapper:
        def __init__(self, node) -> None:
            self.parameterNode, self._guis = node, {}
            for name, default in defaults.items():
                if default is not None and not node.GetParameter(name):
                    node.SetParameter(name, str(default))

        def AddObserver(self, *arguments) -> int:
            return self.parameterNode.AddObserver(*arguments)

        def RemoveObserver(self, tag: int) -> None:
            self.parameterNode.RemoveObserver(tag)

        def connectGui(self, ui) -> int:
            for widget in list(vars(ui).values()):
                name = widget.property("SlicerParameterName")
                if name:
                    self._bind(widget, name)
            return 0

        def disconnectGui(self, tag: int) -> None:
            for widget, signal, slot in self._guis.values():
                getattr(widget, signal).disconnect(slot)
            self._guis = {}

        def _bind(self, widget, name: str) -> None:
            kind = type(widget).__name__
            if kind == "qMRMLNodeComboBox":
                widget.setCurrentNode(getattr(self, name))
                signal, get = "currentNodeChanged", widget.currentNode
            elif kind == "QCheckBox":
                widget.setChecked(getattr(self, name))
                signal, get = "toggled", widget.isChecked
            elif kind == "QLineEdit":
                widget.setText(getattr(self, name))
                signal, get = "textChanged", lambda: widget.text
            elif kind == "QComboBox":
                choices = next(note for note in hints[name].__metadata__ if isinstance(note, Choice)).choices
                widget.clear()
                widget.addItems(choices)
                widget.setCurrentIndex(choices.index(getattr(self, name)))
                signal, get = "currentTextChanged", lambda: widget.currentText
            else:
                raise RuntimeError(f"Slicer has no connector from {kind} to parameter {name}")

            def changed(*_: object) -> None:
                setattr(self, name, get())

            getattr(widget, signal).connect(changed)
            self._guis[name] = widget, signal, changed
            self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show(widget, name))

        def _show(self, widget, name: str) -> None:
            if type(widget).__name__ == "qMRMLNodeComboBox" and name in self._guis:
                widget.setCurrentNode(getattr(self, name))

    for name in hints:
        setattr(Wrapper, name, make(name))
    Wrapper.__name__ = cls.__name__
    return Wrapper
