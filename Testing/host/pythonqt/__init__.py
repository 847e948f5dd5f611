"""PythonQt's view of Qt, built on PySide6."""

from .modules import WidgetModule, qt_module
from .slots import UncaughtFailure, failures, record_uncaught
from .wrapper import Wrapper, unwrap, wrap, wrapper_class

__all__ = [
    "UncaughtFailure",
    "WidgetModule",
    "Wrapper",
    "failures",
    "qt_module",
    "record_uncaught",
    "unwrap",
    "wrap",
    "wrapper_class",
]
