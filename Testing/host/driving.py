"""The host as tests use it."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
if not os.environ.get("DISPLAY"):
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import slicer
import slicer.util
import vtk
from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from .application.application import qSlicerApplication
from .application.layout_manager import qSlicerLayoutManager
from .application.main_window import qSlicerMainWindow
from .application.modules import (
    qSlicerScriptedLoadableModule,
    qSlicerScriptedLoadableModuleWidget,
)
from .application.render_widget import RenderWidget, all_views
from .application.scene import build_scene
from .dialogs import Message, dialogs
from .heartbeat import Heartbeat
from .pythonqt import UncaughtFailure, failures, record_uncaught, unwrap, wrap, wrapper_class
from .slicerlib.install import install_modules, install_qt
from .slicerlib.packaging import installer

WINDOW_SIZE = (1500, 950)
FOUR_UP = 3  # vtkMRMLLayoutNode.SlicerLayoutFourUpView

_host: Host | None = None


def running_host() -> Host:
    """The one host of this process."""
    global _host
    if _host is None:
        _host = Host()
        atexit.register(_host.stop)
    return _host


class Host:
    """The running application, its window, and what a person does with mouse and keyboard."""

    def __init__(self) -> None:
        _make_singletons_last()
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-host-", ignore_cleanup_errors=True)
        sys.excepthook = record_uncaught
        self._qt_warnings: list[str] = []
        QtCore.qInstallMessageHandler(self._take_qt_message)
        self._vtk_errors: list[str] = []
        self._collect_vtk_errors()
        self.application = qSlicerApplication(Path(self._folder.name))
        install_qt()
        install_modules()
        for cls in (qSlicerScriptedLoadableModule, qSlicerScriptedLoadableModuleWidget):
            setattr(slicer, cls.__name__, wrapper_class(cls))
        slicer.app = wrap(self.application)
        self.scene, self._logics = build_scene(Path(self._folder.name))
        self.application.take(self._logics)
        manager = self.application.moduleManager()
        manager.add_core_modules(self._logics.modules)
        self.window = qSlicerMainWindow(manager)
        layout = qSlicerLayoutManager(self._logics.layout, self.window.viewport)
        self.application.take_layout_manager(layout)
        self.window.resize(*WINDOW_SIZE)
        self.window.show()
        layout.setLayout(FOUR_UP)
        self.window.activateWindow()
        self.process_events()

    @property
    def failures(self) -> list[UncaughtFailure]:
        """Exceptions that nobody caught, in slots and observers; also where the application would have crashed."""
        return failures

    @property
    def vtk_errors(self) -> list[str]:
        """What VTK and MRML reported as errors. Not all of it is a module's fault."""
        return self._vtk_errors

    @property
    def warnings(self) -> list[str]:
        """What lights the icon in the application's status bar: warnings and critical errors of Qt, warnings of VTK."""
        return self._qt_warnings

    @property
    def panel_widths(self) -> list[int]:
        """Each width that the module panel has had since :meth:`clear`, in pixels; where it changes, the views jump."""
        return self.window.panel.widths

    @property
    def messages(self) -> list[Message]:
        """What a person would have read in dialogs."""
        return dialogs.shown

    @property
    def installed(self) -> list[str]:
        """Python packages that were asked for; nothing is really installed."""
        return installer.installed

    def fail_installing(self, error: Exception) -> None:
        """From now on, until :meth:`clear`, installing Python packages fails like this: offline, for example."""
        installer.error = error

    def answer(self, *answers: Any) -> None:
        """What the next questions will be answered with, in order: True and False for confirmations, a path for
        choosers, a function of the dialog for others."""
        dialogs.answers.extend(answers)

    def module(self, path: str | Path) -> Any:
        """Loads a module from its .py file and tells it that the application has started."""
        module = self.application.moduleManager().load(Path(path).resolve())
        application = wrap(self.application)
        application.startupCompleted.emit()
        application.disconnect("startupCompleted()")
        return wrap(module)

    def enter(self, name: str) -> Any:
        """Switches to a module as its entry in the module list does; returns its Python widget."""
        slicer.util.selectModule(name)
        self.process_events()
        return slicer.util.getModuleWidget(name)

    def leave(self) -> None:
        """Switches to the Data module, so that the present one exits."""
        slicer.util.selectModule("Data")
        self.process_events()

    def reload(self, name: str) -> Any:
        """What the developer's Reload button does; returns the new Python widget."""
        slicer.util.getModuleWidget(name).onReload()
        self.process_events()
        return slicer.util.getModuleWidget(name)

    def clear(self) -> None:
        """File / Close scene; failures, messages and answers are forgotten, too. For the start of a test."""
        slicer.mrmlScene.Clear(0)
        self.process_events()
        failures.clear()
        dialogs.shown.clear()
        dialogs.answers.clear()
        installer.installed.clear()
        installer.error = None
        self._vtk_errors.clear()
        self._qt_warnings.clear()
        self.window.panel.forget_widths()

    def process_events(self) -> None:
        """Lets the application do what it has to do until it would wait for the user."""
        for _ in range(100):
            self.application.processEvents()
            waiting = [view for view in all_views(RenderWidget.isVisible) if view.render_pending()]
            if not waiting:
                return
            time.sleep(0.002)  # a render waits for its turn: see SHORTEST_INTERVAL_MS

    def wait_until(self, condition: Callable[[], Any], seconds: float = 10.0) -> bool:
        """Runs the event loop until the condition holds; False when it does not in that time."""
        end = time.perf_counter() + seconds
        while not condition():
            if time.perf_counter() > end:
                return False
            self.application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.002)
        self.process_events()
        return True

    def wait(self, seconds: float) -> None:
        """Runs the event loop for a while."""
        self.wait_until(lambda: False, seconds)

    def heartbeat(self) -> AbstractContextManager[Heartbeat]:
        """``with host.heartbeat() as beat: ...``, then ``beat.worst_ms``."""
        return Heartbeat().beating()

    def press(self, key: str, widget: Any = None) -> None:
        """Presses a key such as "N" or "Ctrl+Z" in a widget; without one, in the red slice view."""
        target = unwrap(widget) if widget is not None else self.view("Red")
        self.window.activateWindow()
        target.setFocus()
        self.application.processEvents()
        QtTest.QTest.keySequence(target, key)
        self.process_events()

    def click(self, widget: Any, x: int | None = None, y: int | None = None) -> None:
        """Clicks with the left mouse button, in the middle unless a place is given."""
        target = unwrap(widget)
        place = target.rect().center() if x is None or y is None else QtCore.QPoint(x, y)
        QtTest.QTest.mouseClick(target, QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier, place)
        self.process_events()

    def click_at(self, name: str, place: tuple[float, float, float]) -> None:
        """Moves the mouse to a place (mm, RAS) in a slice view, and clicks there."""
        view, point = self.view(name), QtCore.QPoint(*self.pixel_of(name, place))
        for step in (QtCore.QPoint(3, 0), QtCore.QPoint(0, 0)):
            QtTest.QTest.mouseMove(view, point + step)
            self.process_events()
        self.click(view, point.x(), point.y())

    def stroke(self, name: str, places: Sequence[tuple[float, float, float]]) -> None:
        """Drags the left mouse button through places (mm, RAS) in a slice view."""
        view = self.view(name)
        points = [QtCore.QPoint(*self.pixel_of(name, ras)) for ras in places]
        left = QtCore.Qt.MouseButton.LeftButton
        QtTest.QTest.mousePress(view, left, pos=points[0])
        for point in points[1:]:
            QtTest.QTest.mouseMove(view, point)
        QtTest.QTest.mouseRelease(view, left, pos=points[-1])
        self.process_events()

    def wheel(self, name: str, steps: int) -> None:
        """Turns the mouse wheel in the middle of a view: away from the user for positive steps."""
        view = self.view(name)
        middle = QtCore.QPointF(view.rect().center())
        none = QtCore.Qt.KeyboardModifier.NoModifier
        for _ in range(abs(steps)):
            turn = QtCore.QPoint(0, 120 if steps > 0 else -120)
            event = QtGui.QWheelEvent(
                middle,
                QtCore.QPointF(view.mapToGlobal(middle.toPoint())),
                QtCore.QPoint(),
                turn,
                QtCore.Qt.MouseButton.NoButton,
                none,
                QtCore.Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            self.application.sendEvent(view, event)
        self.process_events()

    def time_to_paint(self, action: Callable[[], Any]) -> float:
        """Milliseconds from an action until all views that it touches are drawn and the event loop is idle."""
        start = time.perf_counter()
        action()
        self.process_events()
        return (time.perf_counter() - start) * 1000

    def view(self, name: str) -> Any:
        """A slice view ("Red", "Green", "Yellow") or a 3-D view ("1")."""
        layout = self.application.layoutManager()
        assert layout is not None
        widget = layout.sliceWidget(name)
        if widget is not None:
            return widget.sliceView()
        three_d = layout.threeDWidget(name)
        if three_d is None:
            raise ValueError(f"there is no view named '{name}'")
        return three_d.threeDView()

    def view_pixels(self, name: str) -> np.ndarray:
        """What a view shows: (height, width, 3) of uint8, top row first."""
        self.process_events()
        return self.view(name).pixels()

    def pixel_of(self, name: str, ras: tuple[float, float, float]) -> tuple[int, int]:
        """Where a place in the patient (mm, RAS) lies in a slice view: (column, row) of :meth:`view_pixels`."""
        view = self.view(name)
        to_view = slicer.util.arrayFromVTKMatrix(view.node.GetXYToRAS())
        x, y = (np.linalg.inv(to_view) @ [*ras, 1.0])[:2]
        return round(x), view.height() - 1 - round(y)

    def renders(self, name: str) -> int:
        """How often a view has been drawn."""
        return int(self.view(name).renders)

    def screenshot(self, path: str | Path) -> Path:
        """The window with the module panel and the views, as a PNG."""
        self.process_events()
        self.window.grab().save(str(path))
        return Path(path)

    def _collect_vtk_errors(self) -> None:
        @vtk.calldata_type(vtk.VTK_STRING)
        def note(_: Any, event: str, text: str) -> None:
            self._vtk_errors.append(text.strip())

        @vtk.calldata_type(vtk.VTK_STRING)
        def warn(_: Any, event: str, text: str) -> None:
            self._qt_warnings.append(text.strip())

        vtk.vtkOutputWindow.GetInstance().AddObserver(vtk.vtkCommand.ErrorEvent, note)
        vtk.vtkOutputWindow.GetInstance().AddObserver(vtk.vtkCommand.WarningEvent, warn)

    def _take_qt_message(self, kind: QtCore.QtMsgType, context: QtCore.QMessageLogContext, text: str) -> None:
        """Qt's own messages, without those of the off-screen platform alone."""
        if "propagateSizeHints" in text:  # At every window.
            return
        if kind in (QtCore.QtMsgType.QtWarningMsg, QtCore.QtMsgType.QtCriticalMsg):
            self._qt_warnings.append(text)
        print(text, file=sys.stderr)

    def stop(self) -> None:
        """The end of the application: exit, cleanup, and everything let go in an order that VTK survives."""
        global _host
        self.window.moduleSelector().leave()
        self.application.moduleManager().unload_all()
        slicer.mrmlScene.Clear(0)
        for view in all_views():
            view.close_down()
        self.window.close()
        QtWidgets.QApplication.processEvents()
        sys.excepthook = sys.__excepthook__
        self._folder.cleanup()
        _host = None


def _make_singletons_last() -> None:
    """PySide takes a reference to True, False or None too many in each call that passes or returns one.

    After some ten thousand calls Python would end with a fatal error. Since Python 3.12 they are immortal.
    """
    if sys.version_info < (3, 12) and sys.implementation.name == "cpython":
        for value in (True, False, None):
            ctypes.c_ssize_t.from_address(id(value)).value += 1 << 40
