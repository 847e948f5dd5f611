"""slicer.app: the application object."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from .io_manager import IOManager
from .layout_manager import qSlicerLayoutManager
from .modules import qSlicerModuleManager
from .render_widget import RenderWidget, all_views
from .scene import Logics

VERSION = "5.11.0"


_LAUNCHER = """#!{python} -SE
import subprocess, sys
if not all(map(str.isascii, sys.argv)):
    sys.exit(f"launcher: garbled arguments: {{sys.argv}}")
status = subprocess.Popen(["{python}", *sys.argv[1:]], stdin=subprocess.PIPE).wait()
if status < 0:
    print("error: [{python}] exit abnormally - Report the problem.", file=sys.stderr)
sys.exit(1 if status < 0 else status)
"""


class qSlicerApplication(QtWidgets.QApplication):
    """The application as modules see it; started in testing mode, as ``Slicer --testing`` is."""

    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, folder: Path) -> None:
        super().__init__(["Slicer"])
        self.setOrganizationName("slicer.org")
        self.setApplicationName("Slicer")
        self.setApplicationVersion(VERSION)
        self.setStyle("Fusion")
        self._folder = folder
        # Settings of this run only, wherever they are made: qt.QSettings() and slicer.app.settings() are one file.
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, str(folder))
        self._settings = QtCore.QSettings()
        self._io = IOManager()
        self._modules = qSlicerModuleManager(self)
        self._layout_manager: qSlicerLayoutManager | None = None
        self._logics: Logics | None = None
        self.testing = True
        self._make_python_slicer(folder)

    def take(self, logics: Logics) -> None:
        """The logics exist: whatever asks the application for them may come now."""
        self._logics = logics

    def take_layout_manager(self, manager: qSlicerLayoutManager) -> None:
        """The main window exists."""
        self._layout_manager = manager

    temporaryPath = QtCore.Property(str, lambda self: str(self._folder))
    defaultTemporaryPath = QtCore.Property(str, lambda self: str(self._folder))
    slicerHome = QtCore.Property(str, lambda self: str(self._folder))
    majorVersion = QtCore.Property(int, lambda self: int(VERSION.split(".")[0]))
    minorVersion = QtCore.Property(int, lambda self: int(VERSION.split(".")[1]))
    revision = QtCore.Property(str, lambda self: "34045")
    mainApplicationName = QtCore.Property(str, lambda self: "Slicer")
    documentationBaseUrl = QtCore.Property(str, lambda self: "https://slicer.readthedocs.io/")

    def moduleDocumentationUrl(self, name: str) -> str:
        """Where a module is documented."""
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    def testingEnabled(self) -> bool:
        """Whether the application runs in testing mode."""
        return self.testing

    def commandOptions(self) -> Any:
        """The command line's options."""
        return SimpleNamespace(noMainWindow=False, testingEnabled=self.testing, runPythonAndExit=False)

    def settings(self) -> QtCore.QSettings:
        """The user's settings."""
        return self._settings

    userSettings = revisionUserSettings = settings

    def coreIOManager(self) -> IOManager:
        """Reads and writes files."""
        return self._io

    ioManager = coreIOManager

    def moduleManager(self) -> qSlicerModuleManager:
        """Knows the modules."""
        return self._modules

    def layoutManager(self) -> qSlicerLayoutManager | None:
        """Arranges the views; None until the main window exists."""
        return self._layout_manager

    def applicationLogic(self) -> Any:
        """The real vtkSlicerApplicationLogic."""
        return None if self._logics is None else self._logics.application

    def mrmlScene(self) -> Any:
        """The scene."""
        return slicer.mrmlScene

    def pauseRender(self) -> None:
        """No view renders until as many calls of :meth:`resumeRender`."""
        RenderWidget.paused += 1

    def resumeRender(self) -> None:
        """The opposite of :meth:`pauseRender`."""
        RenderWidget.paused = max(0, RenderWidget.paused - 1)
        if not RenderWidget.paused:
            for view in all_views():
                view.scheduleRender()

    def isRenderPaused(self) -> bool:
        """Whether views wait."""
        return RenderWidget.paused > 0

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        """The environment that the application was started in."""
        return QtCore.QProcessEnvironment.systemEnvironment()

    def nodeModule(self, node: Any) -> str:
        """Which module edits a node."""
        return "Data"

    def openNodeModule(self, node: Any) -> None:
        """Would switch to the module that edits a node."""

    def _make_python_slicer(self, folder: Path) -> None:
        """PythonSlicer on the PATH, as the application has it: a launcher that stays between the two.

        It passes no input on, and says itself that what it launched has crashed (commontk/AppLauncher,
        ctkAppLauncher.cpp). Arguments that are not ASCII, which it garbles on Windows, it refuses here.
        """
        launcher = folder / "bin" / "PythonSlicer"
        launcher.parent.mkdir(exist_ok=True)
        launcher.write_text(_LAUNCHER.format(python=sys.executable), encoding="utf-8")
        launcher.chmod(0o755)
        os.environ["PATH"] = f"{launcher.parent}{os.pathsep}{os.environ['PATH']}"
