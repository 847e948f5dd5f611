"""Slice views: qMRMLSliceWidget with its controller bar, on the real slice logic and displayable managers."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .render_widget import RenderWidget
from .view_bar import ViewBar

MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)


class qMRMLSliceView(RenderWidget):
    """The picture of one slice."""

    def __init__(self, node: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(slicer.vtkMRMLSliceViewDisplayableManagerFactory, MANAGERS, parent)
        self.node = node
        for renderer in (self.renderer, self.overlay):
            renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(self._mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._image.VisibilityOff()
        self.renderer.AddViewProp(self._image)
        self._connection: Any = None
        self.logic = _slice_logic(node)
        self.logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show_image())
        self.managers.SetMRMLDisplayableNode(node)
        self.logic.SetDisplayableManagerGroup(self.managers)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self.logic)
        self._style.SetDisplayableManagers(self.managers)
        self.vtk_interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._style.SetInteractor(self.vtk_interactor)
        self._show_image()
        # In the application a loaded scene shows at once; here the segmentation's outline waits for the slice node.
        slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, lambda *_: node.Modified())

    def mrmlSliceNode(self) -> Any:
        """The view's node."""
        return self.node

    def sliceViewInteractorStyle(self) -> Any:
        """The interactor style that turns mouse events into slice changes."""
        return self._style

    def close_down(self) -> None:
        self.logic.RemoveAllObservers()
        self._style.SetSliceLogic(None)
        self._style.SetDisplayableManagers(None)
        self._style.SetInteractor(None)
        self.logic.SetDisplayableManagerGroup(None)
        super().close_down()
        self.logic.SetMRMLScene(None)

    def resized(self, width: int, height: int) -> None:
        self.logic.ResizeSliceNode(width, height)

    def annotate(self, painter: QtGui.QPainter) -> None:
        """Names of the layers in the lower left corner, as the application's data probe writes them."""
        composite = self.logic.GetSliceCompositeNode()
        foreground = f" ({round(composite.GetForegroundOpacity() * 100)}%)"
        layers = (
            ("L", composite.GetLabelVolumeID(), ""),
            ("F", composite.GetForegroundVolumeID(), foreground),
            ("B", composite.GetBackgroundVolumeID(), ""),
        )
        lines = [
            f"{letter}: {slicer.mrmlScene.GetNodeByID(node).GetName()}{suffix}"
            for letter, node, suffix in layers
            if node and slicer.mrmlScene.GetNodeByID(node)
        ]
        area = self.rect().adjusted(6, 6, -6, -6)
        alignment = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignBottom
        painter.setPen(QtGui.QColor(0, 0, 0))
        painter.drawText(area.translated(1, 1), alignment, "\n".join(lines))
        painter.setPen(QtGui.QColor(255, 255, 255))
        painter.drawText(area, alignment, "\n".join(lines))

    def _show_image(self) -> None:
        connection = self.logic.GetImageDataConnection()
        if connection is not self._connection:
            self._connection = connection
            self._mapper.SetInputConnection(connection)
            self._image.SetVisibility(connection is not None)
        self.scheduleRender()


class qMRMLSliceWidget(QtWidgets.QWidget):
    """A slice view with its bar: name, slider and offset."""

    def __init__(self, node: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"qMRMLSliceWidget{node.GetLayoutName()}")
        self._view = qMRMLSliceView(node, self)
        self._bar = ViewBar(node, self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._view, 1)
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update_bar())
        self._bar.moved.connect(self._view.logic.SetSliceOffset)

    def sliceView(self) -> qMRMLSliceView:
        """The view without its bar."""
        return self._view

    def sliceController(self) -> ViewBar:
        """The bar."""
        return self._bar

    def mrmlSliceNode(self) -> Any:
        """The slice node."""
        return self._view.node

    def mrmlSliceCompositeNode(self) -> Any:
        """The node that holds the layers."""
        return self._view.logic.GetSliceCompositeNode()

    def sliceLogic(self) -> Any:
        """The slice logic."""
        return self._view.logic

    def fitSliceToBackground(self) -> None:
        """Shows the whole background volume."""
        self._view.logic.FitSliceToBackground()
        self._view.logic.SnapSliceOffsetToIJK()

    def sliceOrientation(self) -> str:
        """The orientation's name: Axial, Sagittal, Coronal or Reformat."""
        return str(self._view.node.GetOrientation())

    def _update_bar(self) -> None:
        bounds = [0.0] * 6
        self._view.logic.GetSliceBounds(bounds)
        self._bar.show_offset(_place(self._view.node), self._view.logic.GetSliceOffset(), bounds[4], bounds[5])


def _place(node: Any) -> str:
    """Where a slice lies in the patient, along the axis that it is nearest to."""
    matrix = node.GetSliceToRAS()
    axis = max(range(3), key=lambda row: abs(matrix.GetElement(row, 2)))
    return f"{'RAS'[axis]}: {matrix.GetElement(axis, 3):.2f} mm"


def _slice_logic(node: Any) -> Any:
    """The logic of a slice node, known to the application logic so that it can find and fit all views."""
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
    slicer.app.applicationLogic().GetSliceLogics().AddItem(logic)
    logic.SetMRMLScene(slicer.mrmlScene)
    if logic.GetSliceNode() is not node:
        logic.SetSliceNode(node)
    return logic
