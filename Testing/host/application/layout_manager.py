"""slicer.app.layoutManager(): views arranged by the application's own layout descriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .plot_view import qMRMLPlotWidget
from .render_widget import RenderWidget
from .slice_view import qMRMLSliceWidget
from .three_d_view import qMRMLThreeDWidget


class PlaceholderView(QtWidgets.QLabel):
    """A table view: present in the layout, not drawn."""


class qSlicerLayoutManager(QtCore.QObject):
    """Makes the views that a layout asks for, keeps them, and arranges them in the viewport."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, logic: Any, viewport: QtWidgets.QWidget) -> None:
        super().__init__(viewport)
        self._logic = logic
        self._viewport = viewport
        self._viewport_layout = QtWidgets.QVBoxLayout(viewport)
        self._viewport_layout.setContentsMargins(0, 0, 0, 0)
        self._views: dict[str, QtWidgets.QWidget] = {}
        self._arranged = -1
        logic.GetLayoutNode().AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._arrange())

    def _get_layout(self) -> int:
        return int(self._logic.GetLayoutNode().GetViewArrangement())

    def setLayout(self, layout: int) -> None:
        """Shows one of vtkMRMLLayoutNode's layouts."""
        self._logic.GetLayoutNode().SetViewArrangement(int(layout))

    layout = QtCore.Property(int, _get_layout, setLayout)

    def layoutLogic(self) -> Any:
        """The real layout logic."""
        return self._logic

    def sliceViewNames(self) -> list[str]:
        """Names of the slice views that exist: "Red", "Green", "Yellow"."""
        return [view.mrmlSliceNode().GetLayoutName() for view in self.slice_widgets()]

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        """The slice view of that name."""
        return next((view for view in self.slice_widgets() if view.mrmlSliceNode().GetLayoutName() == name), None)

    def mrmlSliceLogics(self) -> Any:
        """All slice logics, as a vtkCollection."""
        return slicer.app.applicationLogic().GetSliceLogics()

    threeDViewCount = QtCore.Property(int, lambda self: len(self.three_d_widgets()))
    tableViewCount = QtCore.Property(int, lambda self: len(self._placeholders("vtkMRMLTableViewNode")))
    plotViewCount = QtCore.Property(int, lambda self: len(self.plot_widgets()))

    def threeDWidget(self, which: int | str) -> qMRMLThreeDWidget | None:
        """The 3-D view of that number or name."""
        views = self.three_d_widgets()
        if isinstance(which, int):
            return views[which] if which < len(views) else None
        return next((view for view in views if view.mrmlViewNode().GetLayoutName() == which), None)

    def plotWidget(self, index: int) -> qMRMLPlotWidget | None:
        """The plot view of that number."""
        views = self.plot_widgets()
        return views[index] if index < len(views) else None

    def resetSliceViews(self) -> None:
        """Fits all slice views to their volumes."""
        for view in self.slice_widgets():
            view.sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Points all 3-D views at what they show."""
        for view in self.three_d_widgets():
            view.threeDView().resetFocalPoint()

    def viewport(self) -> QtWidgets.QWidget:
        """The area that the views fill."""
        return self._viewport

    def slice_widgets(self) -> list[qMRMLSliceWidget]:
        """All slice views that were ever made."""
        return [view for view in self._views.values() if isinstance(view, qMRMLSliceWidget)]

    def three_d_widgets(self) -> list[qMRMLThreeDWidget]:
        """All 3-D views that were ever made."""
        return [view for view in self._views.values() if isinstance(view, qMRMLThreeDWidget)]

    def plot_widgets(self) -> list[qMRMLPlotWidget]:
        """All plot views that were ever made."""
        return [view for view in self._views.values() if isinstance(view, qMRMLPlotWidget)]

    def visible_views(self) -> list[RenderWidget]:
        """The views that the present layout shows."""
        return [view for view in self._viewport.findChildren(RenderWidget) if view.isVisible()]

    def _placeholders(self, kind: str) -> list[PlaceholderView]:
        views = ((key, view) for key, view in self._views.items() if isinstance(view, PlaceholderView))
        return [view for key, view in views if key.startswith(kind)]

    def _arrange(self) -> None:
        arrangement = self._get_layout()
        root = self._logic.GetLayoutNode().GetLayoutRootElement()
        if arrangement == self._arranged or root is None:
            return
        self._arranged = arrangement
        for view in self._views.values():
            view.setParent(self._viewport)
            view.hide()
        old = self._viewport_layout.takeAt(0)
        content = self._content(root)
        self._viewport_layout.addWidget(content)
        for view in self._views.values():
            view.setVisible(content.isAncestorOf(view))
        if old is not None:
            old.widget().deleteLater()
        self.layoutChanged.emit(arrangement)

    def _content(self, element: Any) -> QtWidgets.QWidget:
        """The widget for one element of the layout's XML description."""
        if element.GetName() == "view":
            return self._view(element)
        if element.GetAttribute("type") == "tab":
            tabs = QtWidgets.QTabWidget()
            for item in _children(element):
                tabs.addTab(self._content(item.GetNestedElement(0)), item.GetAttribute("name") or "")
            return tabs
        area = QtWidgets.QWidget()
        vertical = element.GetAttribute("type") == "vertical"
        box: QtWidgets.QBoxLayout = (QtWidgets.QVBoxLayout if vertical else QtWidgets.QHBoxLayout)(area)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        for item in _children(element):
            weight = float(item.GetAttribute("splitSize") or 1)
            box.addWidget(self._content(item.GetNestedElement(0)), max(1, round(weight)))
        return area

    def _view(self, element: Any) -> QtWidgets.QWidget:
        node = self._logic.GetViewFromElement(element)
        makers: dict[str, Callable[[Any], QtWidgets.QWidget]] = {
            "vtkMRMLSliceNode": qMRMLSliceWidget,
            "vtkMRMLViewNode": qMRMLThreeDWidget,
            "vtkMRMLPlotViewNode": qMRMLPlotWidget,
        }
        view = self._views.get(node.GetID())
        if view is None:
            view = makers.get(node.GetClassName(), lambda _: PlaceholderView(node.GetName()))(node)
            self._views[node.GetID()] = view
        return view


def _children(element: Any) -> list[Any]:
    return [element.GetNestedElement(index) for index in range(element.GetNumberOfNestedElements())]
