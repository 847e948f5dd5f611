"""Puts the missing Python parts of the application in their places."""

from __future__ import annotations

import importlib
import logging
import sys
import types
from typing import Any

import slicer
import slicer.util

from ..dialogs import Message, dialogs
from ..pythonqt import WidgetModule, qt_module, wrapper_class
from ..widgets.catalogue import CTK_WIDGETS, SLICER_WIDGETS
from ..widgets.loader import QUiLoader
from ..widgets.segment_editor.effects import qSlicerSegmentEditorAbstractEffect
from . import packaging


def install_qt() -> None:
    """Makes ``import qt``, ``import ctk`` and ``slicer.qMRML...`` work."""
    qt = qt_module()
    qt.publish(QUiLoader)
    ctk = WidgetModule("ctk", "CTK's widgets")
    ctk.publish(*CTK_WIDGETS)
    sys.modules["qt"], sys.modules["ctk"] = qt, ctk
    for cls in (*SLICER_WIDGETS, qSlicerSegmentEditorAbstractEffect):
        setattr(slicer, cls.__name__, wrapper_class(cls))


def install_modules() -> None:
    """Makes ``slicer.ScriptedLoadableModule``, ``slicer.parameterNodeWrapper`` and so on importable."""
    package = __name__.rpartition(".")[0]
    for name, source in {
        "slicer.ScriptedLoadableModule": "scripted",
        "slicer.parameterNodeWrapper": "parameters",
        "slicer.packaging": "packaging",
        "slicer.i18n": "i18n",
        "SampleData": "sample_data",
    }.items():
        module = importlib.import_module(f"{package}.{source}")
        sys.modules[name] = module
        if name.startswith("slicer.") and name != "slicer.packaging":  # that one modules have to import first
            setattr(slicer, name.partition(".")[2], module)
    slicer.util.pip_install = packaging.pip_install
    slicer.util.pip_uninstall = packaging.pip_uninstall
    slicer.util._messageDisplay = _message_display
    slicer.modules = types.SimpleNamespace()


def _message_display(level: int, text: str, testing_value: Any, *_: Any, **options: Any) -> Any:
    """What all of slicer.util's displays go through: messages are kept, questions are answered by the test.

    Without an answer the application's testing mode answers: it returns True where its callers compare with the
    code of a button, so that every confirmation comes out as refused.
    """
    import qt

    kind = {logging.ERROR: "error", logging.WARNING: "warning"}.get(level, "info")
    logging.log(level, text)
    if testing_value is None:
        dialogs.shown.append(Message(kind, text))
        return None
    answer = dialogs.asked("question", text, None)
    if answer is None:
        return testing_value
    buttons = options.get("standardButtons", 0)
    accepted = next(each for each in (qt.QMessageBox.Ok, qt.QMessageBox.Yes, qt.QMessageBox.Retry) if buttons & each)
    return accepted if answer else qt.QMessageBox.Cancel
