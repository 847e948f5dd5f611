"""CTK's choosers of files and folders."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

from ..dialogs import dialogs
from .properties import Setters, stored


class ctkPathLineEdit(Setters, QtWidgets.QWidget):
    """A path to type or to browse for. An empty path is no path: nothing is signalled for it."""

    Files, Dirs, Drives, Readable, Writable, Executable, Hidden = 0x2, 0x1, 0x4, 0x10, 0x20, 0x40, 0x100

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    filters = stored(int, "filters", 0x2)
    nameFilters = stored("QStringList", "nameFilters", [])
    settingKey = stored(str, "settingKey", "")
    showBrowseButton = stored(bool, "showBrowseButton", True)
    showHistoryButton = stored(bool, "showHistoryButton", True)
    AdjustToContents, AdjustToContentsOnFirstShow, AdjustToMinimumContentsLength = range(3)
    minimumContentsLength = stored(int, "minimumContentsLength", 0)
    sizeAdjustPolicy = stored(int, "sizeAdjustPolicy", AdjustToContentsOnFirstShow)
    currentPath = QtCore.Property(str, lambda self: self._edit.text(), lambda self, value: self._edit.setText(value))

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._edit = QtWidgets.QLineEdit(self)
        browse = QtWidgets.QToolButton(self)
        browse.setText("...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        layout.addWidget(browse)
        browse.clicked.connect(self.browse)
        self._edit.textChanged.connect(self._changed)

    def browse(self) -> None:
        """Asks for a path."""
        chosen = dialogs.asked("ctkPathLineEdit", "Select a file to save", "")
        if chosen:
            self._edit.setText(str(chosen))

    def addCurrentPathToHistory(self) -> None:
        """Histories are not kept."""

    def _changed(self, path: str) -> None:
        if path:
            self.currentPathChanged.emit(path)
        self.validInputChanged.emit(bool(path))


class ctkDirectoryButton(Setters, QtWidgets.QWidget):
    """A button that shows and chooses a folder; the folder is always an absolute one."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    directory = QtCore.Property(
        str, lambda self: QtCore.QDir(self._directory).absolutePath(), lambda self, value: self.setDirectory(value)
    )
    caption = stored(str, "caption", "")
    elideMode = stored(int, "elideMode", 1)
    displayAbsolutePath = stored(bool, "displayAbsolutePath", True)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._directory = "."
        self._button = QtWidgets.QPushButton(QtCore.QDir(".").absolutePath(), self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self._button.clicked.connect(self.browse)

    def setDirectory(self, path: str) -> None:
        """Chooses a folder."""
        before = self.directory
        self._directory = path
        self._button.setText(self.directory)
        if self.directory != before:
            self.directoryChanged.emit(self.directory)

    def browse(self) -> None:
        """Asks for a folder."""
        chosen = dialogs.asked("ctkDirectoryButton", self.caption, "")
        if chosen:
            self.setDirectory(str(chosen))
            self.directorySelected.emit(self.directory)
