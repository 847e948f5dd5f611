"""CTK's collapsible containers and its variants of Qt's buttons and boxes."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from .properties import Setters, stored

HEADER = 24
WIDGET_MAXIMUM = 16777215  # QWIDGETSIZE_MAX


def _fold_children(widget: QtWidgets.QWidget, shown: dict[QtWidgets.QWidget, bool], opened: bool) -> None:
    """Hides the children, or shows those again that were not hidden before; `shown` remembers which."""
    for child in widget.children():
        if not isinstance(child, QtWidgets.QWidget):
            continue
        if opened:
            child.setVisible(shown.pop(child, not child.isHidden()))
        elif child not in shown:
            shown[child] = not child.isHidden()
            child.hide()


class ctkCollapsibleButton(Setters, QtWidgets.QAbstractButton):
    """A header that folds away what is inside. As in CTK it is a checkable button: checked means open."""

    contentsCollapsed = QtCore.Signal(bool)

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))
    collapsedHeight = stored(int, "collapsedHeight", 10)
    indicatorAlignment = stored(int, "indicatorAlignment", 0x84)
    contentsLineWidth = stored(int, "contentsLineWidth", 1)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)

    def __init__(self, *arguments: object) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(arguments[-1] if arguments and not isinstance(arguments[-1], str) else None)
        self._shown_before: dict[QtWidgets.QWidget, bool] = {}
        self.setText(str(text))
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, HEADER, 0, 0)
        # As in CTK: never narrower than the contents would like to be. A wrapped label asks for up to 80 letters.
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(self._fold)

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() <= HEADER

    def minimumSizeHint(self) -> QtCore.QSize:
        return self._hint(super().minimumSizeHint())

    def sizeHint(self) -> QtCore.QSize:
        return self._hint(super().sizeHint())

    def _hint(self, contents: QtCore.QSize) -> QtCore.QSize:
        height = HEADER if self.collapsed else max(contents.height(), HEADER)
        return QtCore.QSize(max(contents.width(), 100), height)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        child = event.child()
        if event.added() and self.collapsed and isinstance(child, QtWidgets.QWidget):
            self._shown_before[child] = True
            child.hide()
        super().childEvent(event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), HEADER - 2)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, 6, 10, 10)
        arrows = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(arrows.PE_IndicatorArrowRight if self.collapsed else arrows.PE_IndicatorArrowDown, arrow)
        area = QtCore.QRect(22, 0, self.width() - 26, HEADER - 2)
        painter.drawText(area, QtCore.Qt.AlignmentFlag.AlignVCenter, self.text().replace("&&", "&"))

    def _fold(self, opened: bool) -> None:
        _fold_children(self, self._shown_before, opened)
        policies = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policies.Minimum, policies.Preferred if opened else policies.Fixed)
        self.setMaximumHeight(WIDGET_MAXIMUM if opened else HEADER)  # the empty layout would keep its margins
        self.contentsCollapsed.emit(not opened)


class ctkCollapsibleGroupBox(Setters, QtWidgets.QGroupBox):
    """A group box that folds."""

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown_before: dict[QtWidgets.QWidget, bool] = {}
        self.setCheckable(True)
        self.toggled.connect(self._fold)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        # A .ui file collapses the box before it fills it. (Not at childEvent: a child is no more than a QWidget then.)
        if self.collapsed:
            self._fold(False)
        super().showEvent(event)

    def _fold(self, opened: bool) -> None:
        _fold_children(self, self._shown_before, opened)
        self.setMaximumHeight(WIDGET_MAXIMUM if opened else self.fontMetrics().height() + 6)


class ctkExpandableWidget(QtWidgets.QFrame):
    """A frame that a person can make taller."""


class ctkCheckBox(QtWidgets.QCheckBox):
    """CTK's check box."""


class ctkComboBox(Setters, QtWidgets.QComboBox):
    """A combo box with a text for when nothing is chosen."""

    defaultText = stored(str, "defaultText", "", "_show_default")

    def _show_default(self) -> None:
        self.setPlaceholderText(self.defaultText)


class ctkPushButton(QtWidgets.QPushButton):
    """CTK's push button."""


class ctkCheckablePushButton(Setters, QtWidgets.QPushButton):
    """A push button with a check box."""

    checkBoxControlsButton = stored(bool, "checkBoxControlsButton", True)
    checkBoxUserCheckable = stored(bool, "checkBoxUserCheckable", True)


class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with a menu."""


class ctkSearchBox(QtWidgets.QLineEdit):
    """A line edit to search with."""


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text as high as it needs to be."""


class ctkMessageBox(Setters, QtWidgets.QMessageBox):
    """A message box that can be told not to come again."""

    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")
    dontShowAgainVisible = stored(bool, "dontShowAgainVisible", False)
    dontShowAgain = stored(bool, "dontShowAgain", False)


class ctkColorPickerButton(Setters, QtWidgets.QPushButton):
    """A button that shows and chooses a colour."""

    colorChanged = QtCore.Signal(QtGui.QColor)

    color = stored(QtGui.QColor, "color", QtGui.QColor(0, 0, 0), "_color_chosen")
    displayColorName = stored(bool, "displayColorName", True)

    def _color_chosen(self) -> None:
        self.colorChanged.emit(self.color)
