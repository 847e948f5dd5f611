"""Which stand-ins there are, by the module in which the application offers them."""

from __future__ import annotations

from PySide6 import QtWidgets

from . import choosers, containers, sliders
from .loader import REGISTERED
from .mrml_widget import qMRMLWidget, qSlicerWidget
from .node_combo_box import qMRMLNodeComboBox
from .segment_editor.widget import qMRMLSegmentEditorWidget
from .segments_table import qMRMLSegmentsTableView

SLICER_WIDGETS: list[type[QtWidgets.QWidget]] = [
    qMRMLWidget,
    qSlicerWidget,
    qMRMLNodeComboBox,
    qMRMLSegmentEditorWidget,
    qMRMLSegmentsTableView,
    sliders.qMRMLSliderWidget,
    sliders.qMRMLSpinBox,
    sliders.qMRMLRangeWidget,
]

CTK_WIDGETS: list[type[QtWidgets.QWidget]] = [
    value
    for module in (choosers, containers, sliders)
    for name, value in vars(module).items()
    if name.startswith("ctk")
]

REGISTERED |= {cls.__name__: cls for cls in SLICER_WIDGETS + CTK_WIDGETS}
