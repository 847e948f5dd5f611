"""CTK's sliders and spin boxes."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets

from .properties import Setters, stored


class ctkSliderWidget(Setters, QtWidgets.QWidget):
    """A slider with a spin box. The value is kept within the range and rounded to the decimals, as CTK does."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)

    minimum = stored(float, "minimum", 0.0, "_new_range")
    maximum = stored(float, "maximum", 99.0, "_new_range")
    singleStep = stored(float, "singleStep", 1.0, "_new_range")
    pageStep = stored(float, "pageStep", 10.0)
    decimals = stored(int, "decimals", 2, "_new_range")
    tracking = stored(bool, "tracking", True)
    suffix = stored(str, "suffix", "", "_new_range")
    prefix = stored(str, "prefix", "", "_new_range")
    spinBoxVisible = stored(bool, "spinBoxVisible", True, "_new_range")
    tickInterval = stored(float, "tickInterval", 0.0)
    value = QtCore.Property(float, lambda self: self._spin_box.value(), lambda self, value: self.setValue(value))

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._spin_box = QtWidgets.QDoubleSpinBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin_box)
        self._slider.valueChanged.connect(self._slider_moved)
        self._slider.sliderReleased.connect(self._slider_released)
        self._spin_box.valueChanged.connect(self._spin_box_changed)
        self._new_range()

    def setValue(self, value: float) -> None:
        """Moves the slider."""
        self._spin_box.setValue(float(value))

    def setRange(self, minimum: float, maximum: float) -> None:
        """Sets both ends."""
        self.minimum, self.maximum = minimum, maximum

    def reset(self) -> None:
        """Back to the lowest value, as ctkSliderWidget does."""
        self.setValue(self.minimum)

    def slider(self) -> QtWidgets.QSlider:
        """The slider inside."""
        return self._slider

    def spinBox(self) -> QtWidgets.QDoubleSpinBox:
        """The spin box inside."""
        return self._spin_box

    def _new_range(self) -> None:
        box = self._spin_box
        box.setDecimals(self.decimals)
        box.setRange(self.minimum, self.maximum)
        box.setSingleStep(self.singleStep)
        box.setPrefix(self.prefix)
        box.setSuffix(self.suffix)
        box.setVisible(self.spinBoxVisible)
        self._slider.blockSignals(True)
        self._slider.setRange(0, round((self.maximum - self.minimum) / (self.singleStep or 1)))
        self._slider.blockSignals(False)
        self._show_value()

    def _show_value(self) -> None:
        self._slider.blockSignals(True)
        self._slider.setValue(round((self._spin_box.value() - self.minimum) / (self.singleStep or 1)))
        self._slider.blockSignals(False)

    def _slider_moved(self, step: int) -> None:
        value = self.minimum + step * self.singleStep
        self.valueIsChanging.emit(value)
        if self.tracking or not self._slider.isSliderDown():
            self.setValue(value)

    def _slider_released(self) -> None:
        self.setValue(self.minimum + self._slider.value() * self.singleStep)

    def _spin_box_changed(self, value: float) -> None:
        self._show_value()
        self.valueChanged.emit(value)


class qMRMLSliderWidget(ctkSliderWidget):
    """A slider that knows the scene's units."""

    quantity = stored(str, "quantity", "")

    def setMRMLScene(self, scene: object) -> None:
        """Units are not looked up here."""


class ctkDoubleSlider(ctkSliderWidget):
    """The slider without the spin box."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.spinBoxVisible = False


class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """CTK's spin box."""


class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box that knows the scene's units."""

    def setMRMLScene(self, scene: object) -> None:
        """Units are not looked up here."""


class ctkRangeWidget(Setters, QtWidgets.QWidget):
    """Two spin boxes for the ends of a range."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)

    minimum = stored(float, "minimum", 0.0, "_new_range")
    maximum = stored(float, "maximum", 99.0, "_new_range")
    singleStep = stored(float, "singleStep", 1.0, "_new_range")
    decimals = stored(int, "decimals", 2, "_new_range")
    minimumValue = QtCore.Property(
        float, lambda self: self._low.value(), lambda self, value: self.setValues(value, self._high.value())
    )
    maximumValue = QtCore.Property(
        float, lambda self: self._high.value(), lambda self, value: self.setValues(self._low.value(), value)
    )

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = QtWidgets.QDoubleSpinBox(self), QtWidgets.QDoubleSpinBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._low, 1)
        layout.addWidget(self._high, 1)
        self._new_range()
        self._high.setValue(self.maximum)
        self._low.valueChanged.connect(lambda value: self._changed(self.minimumValueChanged, value))
        self._high.valueChanged.connect(lambda value: self._changed(self.maximumValueChanged, value))

    def setValues(self, low: float, high: float) -> None:
        """Sets both ends; one signal."""
        before = (self._low.value(), self._high.value())
        self.blockSignals(True)
        self._low.setValue(low)
        self._high.setValue(high)
        self.blockSignals(False)
        if before != (self._low.value(), self._high.value()):
            self.valuesChanged.emit(self._low.value(), self._high.value())

    def setRange(self, minimum: float, maximum: float) -> None:
        """Sets what can be chosen."""
        self.minimum, self.maximum = minimum, maximum

    def _new_range(self) -> None:
        for box in (self._low, self._high):
            box.setDecimals(self.decimals)
            box.setRange(self.minimum, self.maximum)
            box.setSingleStep(self.singleStep)

    def _changed(self, signal: QtCore.SignalInstance, value: float) -> None:
        signal.emit(value)
        self.valuesChanged.emit(self._low.value(), self._high.value())


class ctkDoubleRangeSlider(ctkRangeWidget):
    """The range without spin boxes."""


class qMRMLRangeWidget(ctkRangeWidget):
    """A range that knows the scene's units."""

    def setMRMLScene(self, scene: object) -> None:
        """Units are not looked up here."""
