"""The ``@parameterNodeWrapper`` decorator."""

from __future__ import annotations

import logging
import typing
import weakref
from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from .annotations import Decimals, Default, SingleStep, Validator, first, split
from .connectors import Connector, connector_for
from .serializers import Serializer, serializer_for

SlicerParameterNamePropertyName = "SlicerParameterName"


@dataclass(frozen=True)
class AnnotatedParameter:
    """One attribute of the decorated class."""

    name: str
    annotated: Any
    serializer: Serializer
    default: Any


class CachedValue:
    """A parameter's value, read again whenever the node says that it was modified.

    This keeps a fault of the application: while a scene is loaded, the node is modified before the nodes that it
    refers to are there. None is cached then, and stays.
    """

    def __init__(self, parameter: AnnotatedParameter, node: Any) -> None:
        self.parameter = parameter
        self.node = node
        self._writing = False
        self._value = parameter.serializer.read(node, parameter.name)
        this = weakref.ref(self)  # the observer must not keep this alive
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: this() and this()._modified())

    def __del__(self) -> None:
        self.node.RemoveObserver(self._tag)

    def read(self) -> Any:
        return self._value

    def write(self, value: Any) -> None:
        self._writing = True
        try:
            with slicer.util.NodeModify(self.node):  # observers see the new value, not the cached one
                self.parameter.serializer.write(self.node, self.parameter.name, value)
                self._value = self.parameter.serializer.read(self.node, self.parameter.name)
        finally:
            self._writing = False

    def _modified(self) -> None:
        if not self._writing:
            serializer, name = self.parameter.serializer, self.parameter.name
            if not serializer.is_in(self.node, name):
                serializer.write(self.node, name, self.parameter.default)
            self._value = serializer.read(self.node, name)


class WrapperMethods:
    """What every decorated class gets; the names are reserved."""

    allParameters: dict[str, AnnotatedParameter]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._guis: dict[int, dict[str, Connector]] = {}
        self._next_tag = 0
        self._updating_gui = False
        self._values: dict[str, CachedValue] = {}
        for parameter in self.allParameters.values():
            if not parameter.serializer.is_in(parameterNode, parameter.name):
                parameter.serializer.write(parameterNode, parameter.name, parameter.default)
            self._values[parameter.name] = CachedValue(parameter, parameterNode)

    def getValue(self, name: str) -> Any:
        return self._values[name].read()

    def setValue(self, name: str, value: Any) -> None:
        self._values[name].write(value)

    def default(self, name: str) -> Any:
        return Default(self.allParameters[name].default)

    @classmethod
    def dataType(cls, name: str) -> Any:
        return cls.allParameters[name].annotated

    def isCached(self, name: str) -> bool:
        return True

    def connectGui(self, gui: Any) -> None:
        """Binds the widgets with the dynamic property SlicerParameterName; of two with one name, the last.

        This keeps a fault of the application: the tag is not returned, so these bindings cannot be undone.

        Args:
            gui: a widget, or the object that ``slicer.util.childWidgetVariables`` returns.
        """
        widgets = gui.findChildren() if hasattr(gui, "isWidgetType") else vars(gui).values()
        named = ((widget.property(SlicerParameterNamePropertyName), widget) for widget in widgets)
        self.connectParametersToGui({name: widget for name, widget in named if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Binds parameters to widgets; returns a tag for :meth:`disconnectGui`."""
        unknown = [name for name in mapping if name not in self.allParameters]
        if unknown:
            raise ValueError(f"Cannot find a param with the given name: {unknown[0]}")
        connectors = {name: connector_for(widget, self.dataType(name)) for name, widget in mapping.items()}
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(self._gui_callback(name, connector))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update_gui())
        return tag

    def disconnectGui(self, tag: int) -> None:
        """Unbinds the widgets of one call of :meth:`connectParametersToGui`; an unknown tag is passed over."""
        for connector in self._guis.pop(tag, {}).values():
            connector.disconnect()

    def StartModify(self) -> int:
        return int(self.parameterNode.StartModify())

    def EndModify(self, wasModified: int) -> int:
        return int(self.parameterNode.EndModify(wasModified))

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return int(self.parameterNode.AddObserver(event, callback, priority))

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()

    def _gui_callback(self, name: str, connector: Connector) -> Any:
        def callback() -> None:
            with slicer.util.NodeModify(self):
                if not self._updating_gui:
                    self.setValue(name, connector.read())

        return callback

    def _update_gui(self) -> None:
        if self._updating_gui:
            return
        self._updating_gui = True
        try:
            for connectors in list(self._guis.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
        finally:
            self._updating_gui = False


def isParameterNodeWrapper(classOrObject: Any) -> bool:
    """Whether a class, or its object, was made by the decorator."""
    return bool(getattr(classOrObject, "_is_parameter_node_wrapper", False))


def parameterNodeWrapper(cls: type | None = None) -> Any:
    """Turns the annotated attributes of a class into parameters of a parameter node."""
    return parameterNodeWrapper if cls is None else _processed(cls)


def _processed(cls: type) -> type:
    parameters = {
        name: _parameter(cls, name, annotated)
        for name, annotated in typing.get_type_hints(cls, include_extras=True).items()
    }
    for name, value in vars(WrapperMethods).items():
        if not name.startswith("__") or name == "__init__":
            if name in parameters:
                raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
            setattr(cls, name, value)
    cls.allParameters = parameters  # type: ignore[attr-defined]
    for name in parameters:
        setattr(cls, name, _attribute(name))
    return cls


def _parameter(cls: type, name: str, annotated: Any) -> AnnotatedParameter:
    kind, annotations = split(annotated)
    serializer = serializer_for(kind, [each for each in annotations if isinstance(each, Validator)])
    given = first(annotations, Default)
    default = getattr(cls, name) if hasattr(cls, name) else serializer.default if given is None else given.value
    unused = [each for each in annotations if not isinstance(each, Validator | Default | Decimals | SingleStep)]
    if unused:
        logging.warning("Unused annotations: %s", unused)
    return AnnotatedParameter(name, annotated, serializer, default)


def _attribute(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))
