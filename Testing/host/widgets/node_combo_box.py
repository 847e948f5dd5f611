"""qMRMLNodeComboBox: chooses a node of the scene."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..pythonqt.connections import Alias
from .properties import Setters, stored


class qMRMLNodeComboBox(Setters, QtWidgets.QWidget):
    """Lists the scene's nodes of some classes, filtered by their attributes, and follows the scene."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeActivated = QtCore.Signal(object)
    SIGNATURES = {  # noqa: RUF012
        "currentNodeChanged(vtkMRMLNode*)": Alias("currentNodeChanged(PyObject)"),
        "currentNodeChanged(bool)": Alias("currentNodeChanged(PyObject)", lambda _, args: (args[0] is not None,)),
        "nodeAdded(vtkMRMLNode*)": Alias("nodeAdded(PyObject)"),
        "nodeAddedByUser(vtkMRMLNode*)": Alias("nodeAddedByUser(PyObject)"),
        "nodeActivated(vtkMRMLNode*)": Alias("nodeActivated(PyObject)"),
    }

    nodeTypes = stored("QStringList", "nodeTypes", [], "update_list")
    noneEnabled = stored(bool, "noneEnabled", False, "update_list")
    addEnabled = stored(bool, "addEnabled", True)
    removeEnabled = stored(bool, "removeEnabled", True)
    renameEnabled = stored(bool, "renameEnabled", False)
    editEnabled = stored(bool, "editEnabled", False)
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    showHidden = stored(bool, "showHidden", False, "update_list")
    showChildNodeTypes = stored(bool, "showChildNodeTypes", True, "update_list")
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], "update_list")
    baseName = stored(str, "baseName", "")
    noneDisplay = stored(str, "noneDisplay", "None", "update_list")
    currentNodeID = QtCore.Property(
        str, lambda self: self._current, lambda self, value: self.setCurrentNodeID(value), user=True
    )

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._scene_observers: list[int] = []
        self._name_observers: list[tuple[Any, int]] = []
        self._attributes: list[tuple[str, str, str | None]] = []
        self._current = ""
        self._requested = ""
        self._list = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._list)
        self._list.activated.connect(self._chosen)

    def mrmlScene(self) -> Any:
        """The scene."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Lists the nodes of a scene."""
        for tag in self._scene_observers:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        events = slicer.vtkMRMLScene
        followed = (events.NodeAddedEvent, events.NodeRemovedEvent, events.EndBatchProcessEvent)
        self._scene_observers = [scene.AddObserver(event, self._scene_changed) for event in followed] if scene else []
        self.update_list()

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        """Lists nodes of that class only if they have the attribute, with that value unless it is None."""
        self._attributes.append((node_type, name, None if value is None else str(value)))
        self.update_list()

    def removeAttribute(self, node_type: str, name: str) -> None:
        """The opposite of :meth:`addAttribute`."""
        self._attributes = [each for each in self._attributes if each[:2] != (node_type, name)]
        self.update_list()

    def currentNode(self) -> Any:
        """The chosen node, or None."""
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        """Chooses a node, an ID or None; what is not in the list chooses nothing."""
        self.setCurrentNodeID(node if isinstance(node, str) else "" if node is None else node.GetID())

    def setCurrentNodeID(self, identifier: str | None) -> None:
        """Chooses by ID; before the scene is set, the choice is kept for later."""
        self._requested = identifier or ""
        if self._scene is None:
            return
        if self._scene.IsBatchProcessing():  # The list is read again at the end of the batch: what came is not in it.
            listed = [self._list.itemData(row) for row in range(self._list.count())]
        else:
            listed = [node.GetID() for node in self.nodes()]
        self._choose(self._requested if self._requested in listed else "")

    def nodes(self) -> list[Any]:
        """The nodes in the list."""
        if self._scene is None:
            return []
        found: list[Any] = []
        for name in self.nodeTypes:
            collection = self._scene.GetNodesByClass(name)
            collection.UnRegister(None)
            found += [node for node in collection if node not in found and self._is_listed(node, name)]
        return found

    def nodeCount(self) -> int:
        """How many nodes are in the list."""
        return len(self.nodes())

    def nodeFromIndex(self, index: int) -> Any:
        """The node at a place in the list."""
        return self.nodes()[index]

    def addNode(self, node_type: str | None = None) -> Any:
        """Makes a node, as "Create new" does."""
        node = self._scene.AddNewNodeByClass(node_type or self.nodeTypes[0], self.baseName)
        for each in self._attributes:
            node.SetAttribute(each[1], each[2] or "")
        self.update_list()
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def choose(self, name: str) -> None:
        """For tests: chooses by name, as a person does in the list.

        Raises:
            ValueError: when no such name is listed.
        """
        row = self._list.findText(name)
        if row < 0:
            listed = [self._list.itemText(index) for index in range(self._list.count())]
            raise ValueError(f"'{name}' is not listed, only {listed}")
        self._list.setCurrentIndex(row)
        self._chosen(row)

    def update_list(self) -> None:
        """Reads the scene again."""
        if self._scene is None or self._scene.IsBatchProcessing():
            return
        nodes = self.nodes()
        entries = [(node.GetName(), node.GetID()) for node in nodes]
        if self.noneEnabled:
            entries.insert(0, (self.noneDisplay, ""))
        self._list.clear()
        for name, identifier in entries:
            self._list.addItem(name, identifier)
        self._follow_nodes()
        listed = [identifier for _, identifier in entries]
        wanted = [each for each in (self._requested, self._current) if each and each in listed]
        self._choose(wanted[0] if wanted else listed[0] if listed else "")

    def _is_listed(self, node: Any, node_type: str) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if node.GetClassName() != node_type and not self.showChildNodeTypes:
            return False
        if any(node.IsA(name) for name in self.hideChildNodeTypes):
            return False
        needed = [each for each in self._attributes if node.IsA(each[0])]
        return all(
            node.GetAttribute(key) is not None and value in (None, node.GetAttribute(key)) for _, key, value in needed
        )

    def _choose(self, identifier: str) -> None:
        self._list.setCurrentIndex(self._list.findData(identifier))
        if identifier == self._current:
            return
        self._current = identifier
        self.currentNodeChanged.emit(self.currentNode())
        self.currentNodeIDChanged.emit(identifier)

    def _chosen(self, row: int) -> None:
        self._requested = self._list.itemData(row)
        self._choose(self._requested)
        self.nodeActivated.emit(self.currentNode())

    def _follow_nodes(self) -> None:
        for node, tag in self._name_observers:
            node.RemoveObserver(tag)
        event = vtk.vtkCommand.ModifiedEvent
        nodes = {node for name in self.nodeTypes for node in slicer.util.getNodesByClass(name, self._scene)}
        self._name_observers = [(node, node.AddObserver(event, self._node_modified)) for node in nodes]

    def _node_modified(self, node: Any, _: str) -> None:
        row = self._list.findData(node.GetID())
        if (row >= 0) != (node in self.nodes()):  # an attribute that the list asks for came or went
            self.update_list()
            return
        if row >= 0 and self._list.itemText(row) != node.GetName():
            self._list.setItemText(row, node.GetName())

    def _scene_changed(self, scene: Any, _: str) -> None:
        self.update_list()
