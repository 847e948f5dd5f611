"""3-D views: qMRMLThreeDWidget on the real view logic and displayable managers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets

from .render_widget import RenderWidget
from .view_bar import ViewBar

MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
)


class qMRMLThreeDView(RenderWidget):
    """The picture of the 3-D scene."""

    def __init__(self, node: Any, parent: QtWidgets.QWidget) -> None:
        super().__init__(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, MANAGERS, parent)
        self.node = node
        self.vtk_interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self.logic.SetMRMLScene(slicer.mrmlScene)
        slicer.app.applicationLogic().GetViewLogics().AddItem(self.logic)
        self.managers.SetMRMLDisplayableNode(node)

    def close_down(self) -> None:
        super().close_down()
        self.logic.SetMRMLScene(None)

    def mrmlViewNode(self) -> Any:
        """The view's node."""
        return self.node

    def cameraNode(self) -> Any:
        """The camera's node."""
        return slicer.modules.cameras.logic().GetViewActiveCameraNode(self.node)

    def resetFocalPoint(self) -> None:
        """Turns the camera to the middle of what is shown; as in the application it comes no nearer."""
        with self._without_box():
            bounds = self.renderer.ComputeVisiblePropBounds()
        if bounds[0] <= bounds[1]:
            middle = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
            self.renderer.GetActiveCamera().SetFocalPoint(*middle)
        self.renderer.ResetCameraClippingRange()
        self.node.InvokeEvent(slicer.vtkMRMLViewNode.ResetFocalPointRequestedEvent)
        self.scheduleRender()

    def resetCamera(self, rotation: bool = True, translation: bool = True, distance: bool = True) -> None:
        """Moves the camera so that everything is seen."""
        with self._without_box():
            self.cameraNode().Reset(rotation, translation, distance, self.renderer)
        self.scheduleRender()

    @contextmanager
    def _without_box(self) -> Iterator[None]:
        """The box and its letters are no part of what is looked at."""
        shown = self.node.GetBoxVisible(), self.node.GetAxisLabelsVisible()
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        yield
        self.node.SetBoxVisible(shown[0])
        self.node.SetAxisLabelsVisible(shown[1])


class qMRMLThreeDWidget(QtWidgets.QWidget):
    """A 3-D view with its bar."""

    def __init__(self, node: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"ThreeDWidget{node.GetLayoutName()}")
        self._view = qMRMLThreeDView(node, self)
        self._bar = ViewBar(node, self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._view, 1)

    def threeDView(self) -> qMRMLThreeDView:
        """The view without its bar."""
        return self._view

    def threeDController(self) -> ViewBar:
        """The bar."""
        return self._bar

    def mrmlViewNode(self) -> Any:
        """The view's node."""
        return self._view.node
