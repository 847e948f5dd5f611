"""Modules as the application knows them: the core ones with their logics, and scripted ones from a file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from ..pythonqt import wrap
from ..pythonqt.slots import call_slot
from ..widgets.mrml_widget import qMRMLWidget


class qSlicerCoreModule(QtCore.QObject):
    """A module of the application: its name and its logic."""

    def __init__(self, name: str, logic: Any) -> None:
        super().__init__()
        self._name = name
        self._logic = logic

    name = QtCore.Property(str, lambda self: self._name)
    title = QtCore.Property(str, lambda self: self._name)

    def logic(self) -> Any:
        """The module's real logic."""
        return self._logic


def _stored(kind: Any, name: str, default: Any) -> Any:
    """A property that keeps its value in ``_values``."""

    def write(self: Any, value: Any) -> None:
        self._values[name] = value

    return QtCore.Property(kind, lambda self: self._values.get(name, default), write)


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """A module from a Python file. Its class fills in title, help text and so on."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._values: dict[str, Any] = {"path": str(path), "name": path.stem}
        self._widget: qSlicerScriptedLoadableModuleWidget | None = None

    title = _stored(str, "title", "")
    name = _stored(str, "name", "")
    path = _stored(str, "path", "")
    helpText = _stored(str, "helpText", "")
    acknowledgementText = _stored(str, "acknowledgementText", "")
    categories = _stored("QStringList", "categories", [])
    dependencies = _stored("QStringList", "dependencies", [])
    contributors = _stored("QStringList", "contributors", [])
    associatedNodeTypes = _stored("QStringList", "associatedNodeTypes", [])
    hidden = _stored(bool, "hidden", False)
    icon = _stored(QtGui.QIcon, "icon", QtGui.QIcon())

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        """The module's panel, made when first asked for."""
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
            self._widget.make_python_widget()
        return self._widget

    def createNewWidgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        """One more panel."""
        return qSlicerScriptedLoadableModuleWidget(self.name)

    def existing_widget(self) -> qSlicerScriptedLoadableModuleWidget | None:
        """The panel if there is one yet."""
        return self._widget


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """A module's panel; its contents are made by the module's Python widget class."""

    def __init__(self, module_name: str) -> None:
        super().__init__()
        self._module_name = module_name
        self._python: Any = None
        self._entered = False
        QtWidgets.QVBoxLayout(self).setContentsMargins(4, 4, 4, 4)
        self.setMRMLScene(slicer.mrmlScene)

    isEntered = QtCore.Property(bool, lambda self: self._entered)

    def make_python_widget(self) -> None:
        """``__init__``, then ``setup``; errors are printed and recorded, and the panel stays as far as it got."""

        def make() -> None:
            cls = getattr(sys.modules[self._module_name], f"{self._module_name}Widget")
            self._python = cls(wrap(self))
            setattr(slicer.modules, f"{self._module_name}Widget", self._python)
            self._python.setup()

        call_slot(make, ())

    def self(this) -> Any:
        """The Python widget."""
        return this._python

    def reload(self) -> None:
        """A new Python widget in the same panel: neither exit nor enter are called, and isEntered stays."""
        self.make_python_widget()

    def enter(self) -> None:
        """The user switched to the module."""
        self._entered = True
        call_slot(getattr(self._python, "enter", lambda: None), ())

    def exit(self) -> None:
        """The user switched to another module."""
        self._entered = False
        call_slot(getattr(self._python, "exit", lambda: None), ())


class qSlicerModuleManager(QtCore.QObject):
    """``slicer.app.moduleManager()``."""

    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleUnloaded = QtCore.Signal(str)

    def __init__(self, parent: QtCore.QObject) -> None:
        super().__init__(parent)
        self._modules: dict[str, QtCore.QObject] = {}

    def module(self, name: str) -> QtCore.QObject | None:
        """The module of that name."""
        return self._modules.get(name)

    def modulesNames(self) -> list[str]:
        """Names of all modules."""
        return list(self._modules)

    def factoryManager(self) -> Any:
        """Knows which modules are loaded."""
        return SimpleNamespace(
            loadedModuleNames=lambda: tuple(self._modules), isLoaded=lambda name: name in self._modules
        )

    def add_core_modules(self, logics: dict[str, Any]) -> None:
        """Makes ``slicer.modules.<name>.logic()`` work."""
        for name, logic in logics.items():
            self._add(name, qSlicerCoreModule(name, logic))

    def load(self, path: Path) -> qSlicerScriptedLoadableModule:
        """Loads a scripted module from its .py file, as an additional module path of the application does.

        Raises:
            FileNotFoundError: without such a file.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no module at {path}")
        name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        source = importlib.util.module_from_spec(spec)
        sys.modules[name] = source
        spec.loader.exec_module(source)
        module = qSlicerScriptedLoadableModule(path)
        self._add(name, module)
        setattr(slicer.modules, f"{name}Instance", getattr(source, name)(wrap(module)))
        self.moduleLoaded.emit(name)
        return module

    def unload_all(self) -> None:
        """What the application does at its end: every module's widget is cleaned up."""
        for name, module in list(self._modules.items()):
            if isinstance(module, qSlicerScriptedLoadableModule):
                self.moduleAboutToBeUnloaded.emit(name)
                del self._modules[name]
                self.moduleUnloaded.emit(name)

    def _add(self, name: str, module: QtCore.QObject) -> None:
        self._modules[name] = module
        setattr(slicer.modules, name.lower(), wrap(module))
