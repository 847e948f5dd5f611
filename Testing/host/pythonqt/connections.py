"""Connecting signals to Python functions the way PythonQt does.

A connection keeps the function, and with it a bound method's owner, alive until it is disconnected or the sender dies.
Connecting twice calls twice; disconnecting takes one of them away.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import shiboken6
from PySide6 import QtCore

from .convert import normalized, to_python
from .slots import call_slot

Rearrange = Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]


@dataclass(frozen=True)
class Alias:
    """A signal of the application that Qt 6, or the stand-in written in Python, declares differently."""

    signature: str  # as PySide's meta-object has it
    arguments: Rearrange = lambda sender, arguments: arguments


# Signals of Qt 5 that are gone in Qt 6; for every subclass of the named class.
QT5_SIGNALS = {
    ("QComboBox", "currentIndexChanged(QString)"): Alias(
        "currentIndexChanged(int)", lambda sender, arguments: (sender.itemText(arguments[0]),)
    ),
    ("QComboBox", "activated(QString)"): Alias("textActivated(QString)"),
    ("QComboBox", "highlighted(QString)"): Alias("textHighlighted(QString)"),
    ("QSpinBox", "valueChanged(QString)"): Alias("textChanged(QString)"),
    ("QDoubleSpinBox", "valueChanged(QString)"): Alias("textChanged(QString)"),
    ("QProcess", "finished(int)"): Alias("finished(int,QProcess::ExitStatus)", lambda sender, arguments: arguments[:1]),
    ("QProcess", "error(QProcess::ProcessError)"): Alias("errorOccurred(QProcess::ProcessError)"),
    ("QButtonGroup", "buttonClicked(int)"): Alias("idClicked(int)"),
}


@dataclass(frozen=True)
class Connection:
    """One connected function; ``undo`` takes it apart."""

    signature: str
    function: Callable[..., Any]
    undo: Callable[[QtCore.QObject], Any]


_connections: dict[int, list[Connection]] = {}


def _of(sender: QtCore.QObject) -> list[Connection]:
    pointer = shiboken6.getCppPointer(sender)[0]
    if pointer not in _connections:
        _connections[pointer] = []
        sender.destroyed.connect(lambda *_: _connections.pop(pointer, None))
    return _connections[pointer]


def _resolve(sender: QtCore.QObject, signature: str) -> Alias | None:
    """Which of PySide's signals is meant; None where the application would know none."""
    for cls in type(sender).__mro__:
        declared: dict[str, Alias] = cls.__dict__.get("SIGNATURES", {})
        alias = declared.get(signature) or QT5_SIGNALS.get((cls.__name__, signature))
        if alias is not None:
            return alias
    if "PyObject" not in signature and sender.metaObject().indexOfSignal(signature) >= 0:
        return Alias(signature)
    return None


def full_signature(sender: QtCore.QObject, name: str) -> str:
    """The signal that ``sender.<name>`` means: of those with this name the one that carries most."""
    for cls in type(sender).__mro__:
        for signature in cls.__dict__.get("SIGNATURES", {}):
            if signature.partition("(")[0] == name:
                return str(signature)
    meta = sender.metaObject()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    signatures = [
        bytes(method.methodSignature().data()).decode()
        for method in methods
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal and bytes(method.name().data()).decode() == name
    ]
    return max(signatures, key=lambda signature: len(signature.split(",")) + (not signature.endswith("()")))


def connect(sender: QtCore.QObject, signature: str, function: Callable[..., Any]) -> bool:
    """Connects; an unknown signal is only printed, and False returned, as in the application."""
    alias = _resolve(sender, normalized(signature))
    if alias is None:
        print(f"QObject::connect: No such signal {type(sender).__name__}::{signature}", file=sys.stderr)
        return False

    def slot(*arguments: Any) -> None:
        # The sender is looked up when it fires: a reference here would make it immortal.
        arguments = alias.arguments(shiboken6.wrapInstance(pointer, kind), arguments)
        call_slot(function, tuple(map(to_python, arguments)))

    pointer, kind = shiboken6.getCppPointer(sender)[0], type(sender)
    undo: Callable[[QtCore.QObject], Any]
    if "PyObject" in alias.signature:  # PySide cannot connect a string with a type of Python's
        name = alias.signature.partition("(")[0]
        getattr(sender, name).connect(slot)
        undo = lambda source: getattr(source, name).disconnect(slot)  # noqa: E731
    else:
        pyside_signature = QtCore.SIGNAL(alias.signature)
        QtCore.QObject.connect(sender, pyside_signature, slot)
        undo = lambda source: QtCore.QObject.disconnect(source, pyside_signature, slot)  # noqa: E731
    _of(sender).append(Connection(normalized(signature), function, undo))
    return True


def disconnect(sender: QtCore.QObject, signature: str, function: Callable[..., Any] | None = None) -> bool:
    """Takes one connection to ``function`` away, or all when it is None; False when there was none."""
    known = _of(sender)
    wanted = normalized(signature)
    found = [each for each in known if each.signature == wanted and (function is None or each.function == function)]
    for connection in found if function is None else found[:1]:
        connection.undo(sender)
        known.remove(connection)
    return bool(found)
