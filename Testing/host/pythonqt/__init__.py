"""PythonQt's view of Qt, built on PySide6."""

from .modules import WidgetModule, qt_module
from .slots import Failure, failures, record_uncaught
from .wrapper import Wrapper, unwrap, wrap, wrapper_class

__all__ = [
    "Failure",
    "WidgetModule",
    "Wrapper",
    "failures",
    "qt_module",
    "record_uncaught",
    "unwrap",
    "wrap",
    "wrapper_class",
]
