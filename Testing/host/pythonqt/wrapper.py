"""Objects of Qt as a module sees them in the application: PythonQt's wrappers, built around PySide6's objects.

What differs from PySide: properties are attributes; keyword arguments and unknown attributes are refused; wrapper
classes do not inherit from each other, so that ``isinstance(button, qt.QWidget)`` is false while
``type(button) == qt.QPushButton`` holds; enums are integers; lists come back as tuples; children are attributes.

The stand-ins for CTK's and Slicer's widgets are ordinary PySide6 classes seen through the same wrappers. Their names
in snake_case are for tests only; Qt's own names are never that.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import shiboken6
from PySide6 import QtCore

from . import connections
from .convert import to_python, to_qt, wrapping
from .enums import enum_values
from .shells import SHELL_OF, shell_class
from .special import SPECIAL_METHODS


class WrapperType(type):
    """Class attributes: enum values, static methods, and methods called with the object as first argument."""

    def __getattr__(cls, name: str) -> Any:
        qt_class = cls.__dict__.get("_qt_class") or next(
            (base.__dict__["_qt_class"] for base in cls.__mro__ if "_qt_class" in base.__dict__), None
        )
        if qt_class is None or name.startswith("__"):
            raise AttributeError(name)
        if name in enum_values(qt_class):
            return enum_values(qt_class)[name]
        attribute = getattr(qt_class, name, None)
        if isinstance(attribute, int) and not name.startswith("_"):
            return attribute  # an enum of a stand-in
        if name.startswith("_") or not callable(attribute) or isinstance(attribute, type):
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        return WrappedMethod(attribute, name)


class Wrapper(metaclass=WrapperType):
    """One object of Qt. ``_qt`` is PySide's; it exists once ``__init__`` has run."""

    _qt_class: type
    _qt: Any

    def __init__(self, *arguments: Any) -> None:
        raw = "_qt_class" in type(self).__dict__
        qt_class = self._qt_class if raw else shell_class(type(self))
        qt = qt_class(*map(to_qt, arguments))
        object.__setattr__(self, "_qt", qt)
        if not isinstance(qt, QtCore.QObject):
            object.__setattr__(self, "_kept", arguments)  # a QSignalBlocker or QPainter must not outlive its object
        _wrappers[id(qt)] = self
        if not raw:
            qt.owner = self  # a Python class's object lives as long as its Qt object: it carries state

    def __getattr__(self, name: str) -> Any:
        qt = object.__getattribute__(self, "__dict__").get("_qt")
        if qt is None or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")
        if isinstance(qt, QtCore.QObject):
            if not shiboken6.isValid(qt):
                raise ValueError(f"Trying to read '{name}' from a destroyed {type(self).__name__} object")
            known = _property_name(qt, name)
            if qt.metaObject().indexOfProperty(known) >= 0:
                return to_python(qt.property(known))
        if name in SPECIAL_METHODS and isinstance(qt, SPECIAL_METHODS[name][0]):
            return WrappedMethod(SPECIAL_METHODS[name][1].__get__(qt), name)
        attribute = getattr(type(qt), name, None)
        if isinstance(attribute, QtCore.Signal):
            return BoundSignal(qt, name)
        if attribute is not None and callable(attribute) and not isinstance(attribute, type):
            return WrappedMethod(getattr(qt, name), name)
        if name in enum_values(type(qt)):
            return enum_values(type(qt))[name]
        if isinstance(attribute, int):
            return attribute
        if isinstance(qt, QtCore.QObject):
            if name in [bytes(key.data()).decode() for key in qt.dynamicPropertyNames()]:
                return to_python(qt.property(name))
            for child in qt.children():
                if child.objectName() == name:
                    return wrap(child)
        raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        qt = self.__dict__.get("_qt")
        if isinstance(qt, QtCore.QObject):
            known = _property_name(qt, name)
            index = qt.metaObject().indexOfProperty(known)
            if index >= 0:
                _write_property(qt, qt.metaObject().property(index), value)
                return
            if name in [bytes(key.data()).decode() for key in qt.dynamicPropertyNames()]:
                qt.setProperty(name, to_qt(value))
                return
        if "_qt_class" in type(self).__dict__:
            raise AttributeError(
                f"'{name}' does not exist on {type(self).__name__}"
                " and creating new attributes on C++ objects is not allowed"
            )
        object.__setattr__(self, name, value)

    def connect(self, signal: str, *target: Any) -> bool:
        """``connect("clicked()", function)`` or ``connect("clicked()", receiver, "start()")``."""
        function = target[0] if len(target) == 1 else getattr(target[0], str(target[1]).partition("(")[0])
        return connections.connect(self._qt, signal, function)

    def disconnect(self, signal: str, *target: Any) -> bool:
        """The opposite of :meth:`connect`; without a function, of all its connections."""
        if len(target) == 2:
            target = (getattr(target[0], str(target[1]).partition("(")[0]),)
        return connections.disconnect(self._qt, signal, *target)

    def className(self) -> str:
        """The name of the C++ class."""
        return type(self).__name__

    def inherits(self, name: str) -> bool:
        """Whether Qt's class is, or derives from, the named one."""
        return any(cls.__name__ == name for cls in type(self._qt).__mro__)

    def delete(self) -> None:
        """Deletes the Qt object at once."""
        shiboken6.delete(self._qt)

    def __bool__(self) -> bool:
        return shiboken6.isValid(self._qt)

    def __eq__(self, other: object) -> bool:
        if other is None:
            return not self
        if not isinstance(other, Wrapper):
            return NotImplemented
        return self._qt is other._qt or (not isinstance(self._qt, QtCore.QObject) and bool(self._qt == other._qt))

    def __hash__(self) -> int:
        return id(self._qt)

    def __repr__(self) -> str:
        return f"{type(self).__name__} ({self._qt!r})" if self else f"{type(self).__name__} (destroyed)"


class WrappedMethod:
    """A function of Qt's: converts what goes in and comes out, and takes no keyword arguments."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.__name__ = self.__qualname__ = name
        self._function = function

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if keywords:
            raise TypeError(f"{self.__name__}() takes no keyword arguments")
        return to_python(self._function(*map(to_qt, arguments)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WrappedMethod) and self._function == other._function

    def __hash__(self) -> int:
        return hash(self._function)


class BoundSignal:
    """``button.clicked``: connect, disconnect, emit; calling it emits, too."""

    def __init__(self, sender: QtCore.QObject, name: str) -> None:
        self._sender = sender
        self._name = name

    def connect(self, function: Callable[..., Any]) -> bool:
        return connections.connect(self._sender, self._signature(), function)

    def disconnect(self, *function: Callable[..., Any]) -> bool:
        return connections.disconnect(self._sender, self._signature(), *function)

    def emit(self, *arguments: Any) -> None:
        getattr(self._sender, self._name).emit(*map(to_qt, arguments))

    __call__ = emit

    def _signature(self) -> str:
        return connections.full_signature(self._sender, self._name)


_wrappers: weakref.WeakValueDictionary[int, Wrapper] = weakref.WeakValueDictionary()


@cache
def wrapper_class(qt_class: type) -> type[Wrapper]:
    """The class that modules know for one of PySide's classes or of the stand-ins."""
    # Without the documentation: PySide works it out for each class, which takes longer than all that a module does.
    return WrapperType(qt_class.__name__, (Wrapper,), {"_qt_class": qt_class})


def wrap(qt: Any) -> Wrapper:
    """The wrapper of an object: always the same one while a module holds it."""
    owner = getattr(qt, "owner", None) if type(qt) in SHELL_OF else None
    known = owner or _wrappers.get(id(qt))
    if known is None:
        wrapper = wrapper_class(type(qt))
        known = wrapper.__new__(wrapper)
        object.__setattr__(known, "_qt", qt)
        _wrappers[id(qt)] = known
    return known


def unwrap(value: Any) -> Any:
    """PySide's object for a wrapper; anything else as it is."""
    if isinstance(value, Wrapper):
        if not value:
            raise ValueError(f"the {type(value).__name__} that was handed in is destroyed")
        return value._qt
    return value


def _property_name(qt: QtCore.QObject, name: str) -> str:
    """``name`` is short for ``objectName``, except where a class has a name of its own, as effects and modules do."""
    return "objectName" if name == "name" and qt.metaObject().indexOfProperty("name") < 0 else name


def _write_property(qt: QtCore.QObject, declared: QtCore.QMetaProperty, value: Any) -> None:
    name = declared.name()
    if not declared.isWritable():
        raise AttributeError(f"Property '{name}' of {type(qt).__name__} object is not writable")
    if isinstance(value, str) and declared.typeName() in ("int", "double", "bool"):
        raise AttributeError(f"Property '{name}' of type '{declared.typeName()}' does not accept {value!r}")
    value = int(value) if declared.isEnumType() else to_qt(value)
    if not qt.setProperty(name, value):
        raise AttributeError(f"Property '{name}' of type '{declared.typeName()}' does not accept {value!r}")


wrapping.wrap, wrapping.unwrap = wrap, unwrap
