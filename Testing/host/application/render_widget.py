"""A view: VTK draws off screen, Qt shows the picture. Renders are coalesced as the application does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

# ctkVTKAbstractView's default: at most 60 pictures a second.
SHORTEST_INTERVAL_MS = 1000 / 60

BUTTONS = {
    QtCore.Qt.MouseButton.LeftButton: "Left",
    QtCore.Qt.MouseButton.RightButton: "Right",
    QtCore.Qt.MouseButton.MiddleButton: "Middle",
}


class RenderWidget(QtWidgets.QWidget):
    """What slice views and 3-D views share: window, interactor, displayable managers, the way to the screen."""

    paused: ClassVar[int] = 0  # slicer.app.pauseRender() nests, and holds for all views

    def __init__(self, factory: Any, managers: tuple[str, ...], parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(100, 100)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.renderer = vtk.vtkRenderer()
        self.overlay = vtk.vtkRenderer()
        self.overlay.SetLayer(1)
        self.overlay.InteractiveOff()
        self.gl_window = vtk.vtkRenderWindow()
        self.gl_window.SetOffScreenRendering(1)
        self.gl_window.SetMultiSamples(0)
        self.gl_window.SetNumberOfLayers(2)
        self.gl_window.AddRenderer(self.renderer)
        self.gl_window.AddRenderer(self.overlay)
        self.vtk_interactor = vtk.vtkGenericRenderWindowInteractor()
        self.vtk_interactor.SetRenderWindow(self.gl_window)
        self.managers = _manager_group(factory, managers, self.renderer)
        self.managers.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: self.scheduleRender())
        self.renders = 0
        self.drawn_at = 0.0
        self._picture = QtGui.QImage()
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.forceRender)

    def scheduleRender(self) -> None:
        """Asks for a render once the event loop is back; many requests make one."""
        if RenderWidget.paused or self._timer.isActive():
            return
        since = (time.perf_counter() - self.drawn_at) * 1000
        self._timer.start(max(0, round(SHORTEST_INTERVAL_MS - since)))

    def forceRender(self) -> None:
        """Renders now."""
        self._timer.stop()
        if RenderWidget.paused or not self.isVisible():
            return
        self.gl_window.Render()
        self._picture = _image_of(self.pixels())
        self.renders += 1
        self.drawn_at = time.perf_counter()
        self.repaint()

    def renderWindow(self) -> Any:
        """The VTK render window."""
        return self.gl_window

    def interactor(self) -> Any:
        """The VTK interactor; mouse and key events of this widget reach it."""
        return self.vtk_interactor

    def displayableManagerByClassName(self, name: str) -> Any:
        """One of the view's displayable managers."""
        return self.managers.GetDisplayableManagerByClassName(name)

    def pixels(self) -> np.ndarray:
        """The picture as drawn last: (height, width, 3) of uint8, top row first."""
        width, height = self.gl_window.GetSize()
        data = vtk.vtkUnsignedCharArray()
        self.gl_window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, data)
        return np.ascontiguousarray(vtk_to_numpy(data).reshape(height, width, 4)[::-1, :, :3])

    def close_down(self) -> None:
        """Lets go of the scene and of OpenGL: at the end, while everything that they need is still there."""
        self._timer.stop()
        self.managers.RemoveAllObservers()
        self.managers.SetMRMLDisplayableNode(None)
        self.vtk_interactor.SetRenderWindow(None)
        self.gl_window.Finalize()

    def render_pending(self) -> bool:
        """Whether a render was asked for and not done yet."""
        return self._timer.isActive()

    def resized(self, width: int, height: int) -> None:
        """For derived views: the window has a new size."""

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        width, height = max(2, self.width()), max(2, self.height())
        self.gl_window.SetSize(width, height)
        self.vtk_interactor.SetSize(width, height)
        self.resized(width, height)
        self.scheduleRender()

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        self.scheduleRender()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.drawImage(self.rect(), self._picture)
        self.annotate(painter)
        painter.end()

    def annotate(self, painter: QtGui.QPainter) -> None:
        """For derived views: what is written over the picture."""

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        self._to_vtk(event, f"{BUTTONS.get(event.button(), 'Left')}ButtonPressEvent")

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        self._to_vtk(event, f"{BUTTONS.get(event.button(), 'Left')}ButtonReleaseEvent")

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        self._to_vtk(event, "MouseMoveEvent")

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        self._to_vtk(event, "MouseWheelForwardEvent" if event.angleDelta().y() > 0 else "MouseWheelBackwardEvent")

    def _to_vtk(self, event: Any, name: str) -> None:
        keys = QtCore.Qt.KeyboardModifier
        x, y = int(event.position().x()), self.height() - 1 - int(event.position().y())
        control, shift = (bool(event.modifiers() & key) for key in (keys.ControlModifier, keys.ShiftModifier))
        self.vtk_interactor.SetEventInformation(x, y, int(control), int(shift), "\0", 0, None)
        getattr(self.vtk_interactor, name)()


def _manager_group(factory: Any, names: tuple[str, ...], renderer: Any) -> Any:
    instance = factory.GetInstance()
    for name in names:
        if hasattr(slicer, name) and not instance.IsDisplayableManagerRegistered(name):
            instance.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.Initialize(instance, renderer)
    return group


def _image_of(pixels: np.ndarray) -> QtGui.QImage:
    height, width, _ = pixels.shape
    return QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()


def all_views(predicate: Callable[[RenderWidget], bool] = lambda view: True) -> list[RenderWidget]:
    """Every view that exists."""
    widgets = QtWidgets.QApplication.allWidgets()
    return [widget for widget in widgets if isinstance(widget, RenderWidget) and predicate(widget)]
