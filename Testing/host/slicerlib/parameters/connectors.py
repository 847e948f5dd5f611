"""Which widget can show which type, and how a value gets there and back.

Pairs that the application does not bind (int with a progress bar, bool with a collapsible button, Path with a line
edit, plain str with a combo box, an unbounded float with a slider) raise here, too.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ctk
import qt
import slicer

from .annotations import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange, first, split
from .serializers import PATHS, node_types


@dataclass
class Connector:
    """A bound widget; ``signal`` is empty for one that a person cannot change."""

    widget: Any
    signal: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    callback: Callable[[], None] | None = None

    def connect(self, callback: Callable[[], None]) -> None:
        """From now on ``callback`` is called when a person changes the widget."""
        self.callback = callback
        if self.signal:
            getattr(self.widget, self.signal).connect(self.changed)

    def disconnect(self) -> None:
        """The opposite of :meth:`connect`."""
        if self.signal:
            getattr(self.widget, self.signal).disconnect(self.changed)
        self.callback = None

    def changed(self) -> None:
        if self.callback is not None:
            self.callback()


def connector_for(widget: Any, annotated: Any) -> Connector:
    """Binds a widget to a parameter of some type.

    Raises:
        RuntimeError: when the application would not bind the two.
    """
    kind, annotations = split(annotated)
    for attempt in (_number, _flag, _text, _choice, _enum, _path, _node):
        connector = attempt(widget, kind, annotations)
        if connector is not None:
            return connector
    raise RuntimeError(f"Unable to create GUI connector from datatype '{annotated}' to widget type '{type(widget)}'")


def _property(widget: Any, name: str, signal: str, convert: Callable[[Any], Any] = lambda value: value) -> Connector:
    return Connector(widget, signal, lambda: convert(getattr(widget, name)), lambda value: setattr(widget, name, value))


def _number(widget: Any, kind: Any, annotations: list[Any]) -> Connector | None:
    sliders = (ctk.ctkSliderWidget, ctk.ctkDoubleSlider, slicer.qMRMLSliderWidget)
    boxes = (qt.QDoubleSpinBox, ctk.ctkDoubleSpinBox)
    integers = (qt.QSlider, qt.QSpinBox)
    if not (
        (kind is float and type(widget) in sliders + boxes) or (kind is int and type(widget) in integers + sliders)
    ):
        return None
    within = first(annotations, WithinRange)
    lowest, highest = within or first(annotations, Minimum), within or first(annotations, Maximum)
    if type(widget) in (*sliders, qt.QSlider) and (lowest is None or highest is None):
        raise RuntimeError(f"Cannot have a connection to {type(widget).__name__} where the number is unbounded.")
    for annotation, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
        if first(annotations, annotation) is not None:
            setattr(widget, name, first(annotations, annotation).value)
    unbounded = 2.0**31 - 1
    widget.minimum = kind(-unbounded if lowest is None else lowest.minimum)
    widget.maximum = kind(unbounded if highest is None else highest.maximum)
    return _property(widget, "value", "valueChanged", kind)


def _flag(widget: Any, kind: Any, annotations: list[Any]) -> Connector | None:
    if kind is not bool or type(widget) not in (qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton):
        return None
    if type(widget) is qt.QPushButton:
        widget.checkable = True
    return _property(widget, "checked", "toggled")


def _text(widget: Any, kind: Any, annotations: list[Any]) -> Connector | None:
    if kind is not str:
        return None
    if type(widget) is qt.QLineEdit:
        return _property(widget, "text", "textChanged")
    if type(widget) is qt.QTextEdit:
        return Connector(widget, "textChanged", lambda: widget.toPlainText(), widget.setPlainText)
    if type(widget) is qt.QLabel:
        return _property(widget, "text", "")
    return None


def _choice(widget: Any, kind: Any, annotations: list[Any]) -> Connector | None:
    if type(widget) is not qt.QComboBox or kind not in (int, float, str, bool):
        return None
    choice = first(annotations, Choice)
    if choice is None:
        raise RuntimeError("A combo box requires the Choice annotation to be used.")
    values = list(choice.choices)
    return _items(widget, [str(value) for value in values], values)


def _enum(widget: Any, kind: Any, annotations: list[Any]) -> Connector | None:
    if type(widget) not in (qt.QComboBox, ctk.ctkComboBox):
        return None
    if not (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        return None
    label = getattr(kind, "label", lambda member: member.name)
    return _items(widget, [label(member) for member in kind], list(kind))


def _items(widget: Any, labels: list[str], values: list[Any]) -> Connector:
    widget.clear()
    widget.addItems(labels)

    def write(value: Any) -> None:
        widget.currentIndex = values.index(value)

    return Connector(widget, "currentIndexChanged", lambda: values[widget.currentIndex], write)


def _path(widget: Any, kind: Any, annotations: list[Any]) -> Connector | None:
    names = {ctk.ctkPathLineEdit: "currentPath", ctk.ctkDirectoryButton: "directory"}
    name = names.get(type(widget))
    if kind not in PATHS or name is None:
        return None
    connector = _property(widget, name, f"{name}Changed", kind)
    connector.write = lambda value: setattr(widget, name, str(value))
    return connector


def _node(widget: Any, kind: Any, annotations: list[Any]) -> Connector | None:
    if type(widget) is not slicer.qMRMLNodeComboBox or not node_types(kind):
        return None
    widget.nodeTypes = [each.__name__ for each in node_types(kind)]
    return Connector(widget, "currentNodeChanged", widget.currentNode, widget.setCurrentNode)
