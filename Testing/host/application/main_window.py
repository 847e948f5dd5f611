"""The main window: module panel on the left, views on the right, a toolbar above and a status bar below."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from ..widgets.containers import ctkCollapsibleButton
from .modules import qSlicerModuleManager, qSlicerScriptedLoadableModule

PANEL_WIDTH = 520


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """Switches between modules."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, manager: qSlicerModuleManager, window: qSlicerMainWindow) -> None:
        super().__init__("Module selection", window)
        self._manager = manager
        self._window = window
        self._selected = ""
        self._names = QtWidgets.QComboBox()
        self._names.setMinimumWidth(220)
        self.addWidget(QtWidgets.QLabel(" Modules: "))
        self.addWidget(self._names)
        manager.moduleLoaded.connect(self._names.addItem)

    selectedModule = QtCore.Property(str, lambda self: self._selected)

    def selectModule(self, name: str) -> None:
        """Leaves the present module and enters another; an unknown name only leaves."""
        if name == self._selected:
            return
        self.leave()
        module = self._manager.module(name)
        self._selected = name
        if isinstance(module, qSlicerScriptedLoadableModule):
            self._names.setCurrentText(name)
            widget = module.widgetRepresentation()
            self._window.panel.show_module(widget, module.title or name, module.helpText)
            widget.enter()
        else:
            self._window.panel.show_module(None, name, "")
        self.moduleSelected.emit(name)

    def leave(self) -> None:
        """Calls ``exit`` of the present module."""
        module = self._manager.module(self._selected)
        if isinstance(module, qSlicerScriptedLoadableModule) and module.existing_widget() is not None:
            module.widgetRepresentation().exit()
        self._selected = ""


class qSlicerModulePanel(QtWidgets.QWidget):
    """The left side of the window: the module's title, its help, its panel, and the data probe."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("ModulePanel")
        self._title = QtWidgets.QLabel()
        self._title.setStyleSheet("font-weight: bold; padding: 2px;")
        self._help = ctkCollapsibleButton("Help && Acknowledgement")
        self._help_text = QtWidgets.QLabel()
        self._help_text.setWordWrap(True)
        QtWidgets.QVBoxLayout(self._help).addWidget(self._help_text)
        self._scroll = QtWidgets.QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        probe = ctkCollapsibleButton("Data Probe")
        probe.setObjectName("DataProbeCollapsibleWidget")
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        for widget, stretch in ((self._title, 0), (self._help, 0), (self._scroll, 1), (probe, 0)):
            layout.addWidget(widget, stretch)
        self._help.setChecked(False)
        probe.setChecked(False)
        self._panel: QtWidgets.QWidget | None = None
        self.widths: list[int] = []

    helpAndAcknowledgmentVisible = QtCore.Property(
        bool, lambda self: not self._help.isHidden(), lambda self, value: self._help.setVisible(value)
    )

    def show_module(self, panel: QtWidgets.QWidget | None, title: str, help_text: str) -> None:
        """Shows a module's panel; the one before is kept, hidden."""
        self._title.setText(title)
        self._help_text.setText(help_text)
        old = self._scroll.takeWidget()
        if old is not None:
            old.setParent(None)
            old.hide()
        self._panel = panel
        if panel is not None:
            self._scroll.setWidget(panel)
            panel.installEventFilter(self)
            panel.show()
            self._make_room()

    def forget_widths(self) -> None:
        """Keep the present width alone."""
        self.widths = [self.width()]

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        if not self.widths or self.widths[-1] != self.width():
            self.widths.append(self.width())
        super().resizeEvent(event)

    def scroll_to(self, widget: QtWidgets.QWidget) -> None:
        """For screenshots: brings a widget of the panel into sight."""
        self._scroll.ensureWidgetVisible(widget)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if watched is self._panel and event.type() == QtCore.QEvent.Type.LayoutRequest:
            self._make_room()
        return super().eventFilter(watched, event)

    def _make_room(self) -> None:
        """The panel is never narrower than its contents: the application shows no horizontal scroll bar either."""
        if self._panel is not None:
            bar = self._scroll.verticalScrollBar().sizeHint().width()
            self._scroll.setMinimumWidth(self._panel.minimumSizeHint().width() + bar)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """The application's window."""

    def __init__(self, manager: qSlicerModuleManager) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer")
        self._selector = qSlicerModuleSelectorToolBar(manager, self)
        self.addToolBar(self._selector)
        self.viewport = QtWidgets.QWidget(self)
        self.viewport.setObjectName("Viewport")
        self.viewport.setStyleSheet("#Viewport { background: #303030; }")
        self.setCentralWidget(self.viewport)
        self.panel = qSlicerModulePanel(self)
        dock = QtWidgets.QDockWidget("", self)
        dock.setObjectName("PanelDockWidget")
        dock.setTitleBarWidget(QtWidgets.QWidget())
        dock.setWidget(self.panel)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self.resizeDocks([dock], [PANEL_WIDTH], QtCore.Qt.Orientation.Horizontal)
        self.statusBar()

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        """Switches between modules."""
        return self._selector
