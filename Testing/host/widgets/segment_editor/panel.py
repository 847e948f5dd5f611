"""What one sees of the Segment Editor: selectors, segments, effects, undo and redo, masking."""

from __future__ import annotations

from typing import Any

from PySide6 import QtGui, QtWidgets

from ..node_combo_box import qMRMLNodeComboBox
from ..segments_table import qMRMLSegmentsTableView
from .base import SegmentEditor
from .rules import segment_beside

# Pixels, as seen in the application: without an effect, and with the options of one.
WIDTH, WIDTH_WITH_OPTIONS = 446, 522

# Rows further in the table of segments.
SEGMENT_KEYS = {"Q": -1, "W": 1, "/": -1, "*": 1, ",": -1, ".": 1, ">": -1, "<": 1}


class SegmentEditorPanel:
    """The widgets inside the editor. It shows the editor's state and passes on what a person does."""

    def __init__(self, editor: SegmentEditor) -> None:
        self._editor = editor
        self._shortcuts: list[QtGui.QShortcut] = []
        self._segmentation = _selector(["vtkMRMLSegmentationNode"], editor)
        self._source = _selector(["vtkMRMLScalarVolumeNode"], editor)
        self._segmentation.nodeActivated.connect(editor.setSegmentationNode)
        self._source.nodeActivated.connect(editor.setSourceVolumeNode)
        self._form = QtWidgets.QFormLayout()
        self._form.addRow("Segmentation:", self._segmentation)
        self._form.addRow("Source volume:", self._source)
        self._add, self._remove, self._show_3d = (QtWidgets.QPushButton(text) for text in ("Add", "Remove", "Show 3D"))
        self._show_3d.setCheckable(True)
        self._show_3d.clicked.connect(self._toggle_surface)
        buttons = QtWidgets.QHBoxLayout()
        for button in (self._add, self._remove, self._show_3d):
            buttons.addWidget(button)
        self.table = qMRMLSegmentsTableView(editor)
        self.table.setObjectName("SegmentsTableView")
        self.table.setMaximumHeight(90)
        self._effects_box = QtWidgets.QGroupBox("Effects", editor)
        self._effects_grid = QtWidgets.QGridLayout(self._effects_box)
        self._effect_buttons: dict[str, QtWidgets.QToolButton] = {}
        self._undo, self._redo = QtWidgets.QToolButton(), QtWidgets.QToolButton()
        self._undo.setText("Undo")
        self._redo.setText("Redo")
        self._undo.clicked.connect(editor.undo)
        self._redo.clicked.connect(editor.redo)
        self._undo_box = QtWidgets.QGroupBox(editor)
        self._undo_box.setObjectName("UndoRedoGroupBox")
        undo_layout = QtWidgets.QHBoxLayout(self._undo_box)
        for name, button in (("UndoButton", self._undo), ("RedoButton", self._redo)):
            button.setObjectName(name)
            button.setToolTip(f"{name.removesuffix('Button')} the last change.")
            undo_layout.addWidget(button)
        self._options = QtWidgets.QGroupBox(editor)
        self._options.setObjectName("OptionsGroupBox")
        self._options_text = QtWidgets.QLabel("Options of the effect, with icons and sliders")
        self._options_text.setMinimumWidth(WIDTH_WITH_OPTIONS - 2 * 9 - 4)
        QtWidgets.QVBoxLayout(self._options).addWidget(self._options_text)
        self._options.hide()
        self._effects_box.setMinimumWidth(WIDTH)
        self._masking = QtWidgets.QGroupBox("Masking", editor)
        self._mask_text = QtWidgets.QLabel()
        QtWidgets.QVBoxLayout(self._masking).addWidget(self._mask_text)
        layout = QtWidgets.QVBoxLayout(editor)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addLayout(buttons)
        for widget in (self.table, self._effects_box, self._undo_box, self._options, self._masking):
            layout.addWidget(widget)

    def setMRMLScene(self, scene: Any) -> None:
        """The scene that the selectors list."""
        self._segmentation.setMRMLScene(scene)
        self._source.setMRMLScene(scene)

    def show_state(self) -> None:
        """Shows what the editor says."""
        editor, node = self._editor, self._editor.mrmlSegmentEditorNode()
        self._form.setRowVisible(self._segmentation, editor.segmentationNodeSelectorVisible)
        self._form.setRowVisible(self._source, editor.sourceVolumeNodeSelectorVisible)
        self._segmentation.setCurrentNode(editor.segmentationNode())
        self._source.setCurrentNode(editor.sourceVolumeNode())
        self._add.setVisible(editor.addRemoveSegmentButtonsVisible)
        self._remove.setVisible(editor.addRemoveSegmentButtonsVisible)
        self._show_3d.setVisible(editor.show3DButtonVisible)
        if self.table.segmentationNode() is not editor.segmentationNode():
            self.table.setSegmentationNode(editor.segmentationNode())
        self._arrange_effects()
        self.show_history()
        active = editor.activeEffect()
        self._options.setVisible(active is not None)
        self._options.setTitle("" if active is None else active.name)
        self._masking.setVisible(editor.maskingSectionVisible)
        if node is not None:
            low, high = node.GetSourceVolumeIntensityMaskRange()
            masked = f"{low:.2f} to {high:.2f}" if node.GetSourceVolumeIntensityMask() else "any"
            self._mask_text.setText(f"Editable intensity range: {masked}")

    def show_history(self) -> None:
        """Enables undo and redo where there is something."""
        self._undo.setEnabled(bool(self._editor.logic.CanUndo()))
        self._redo.setEnabled(bool(self._editor.logic.CanRedo()))

    def selected(self) -> tuple[Any, Any]:
        """The segmentation and the source volume that the selectors show."""
        return self._segmentation.currentNode(), self._source.currentNode()

    def install_shortcuts(self, parent: QtWidgets.QWidget) -> None:
        """The editor's keys, working wherever the focus is inside ``parent``."""
        self.uninstall_shortcuts()
        editor = self._editor
        actions: dict[str, Any] = {"Z": editor.undo, "Y": editor.redo, "Escape": lambda: editor.setActiveEffect(None)}
        actions |= {"Space": self._toggle_effect, "0": lambda: editor.setActiveEffect(None)}
        actions |= {str(index + 1): lambda index=index: self._select(index) for index in range(9)}
        actions |= {
            key: lambda offset=offset: self._select_segment_beside(offset) for key, offset in SEGMENT_KEYS.items()
        }
        actions["I"] = editor.toggleSourceVolumeIntensityMaskEnabled
        for key, action in actions.items():
            shortcut = QtGui.QShortcut(QtGui.QKeySequence(key), parent)
            shortcut.activated.connect(action)
            self._shortcuts.append(shortcut)

    def uninstall_shortcuts(self) -> None:
        """No keys any more."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []

    def _arrange_effects(self) -> None:
        names = self._editor.shown_effects()
        if list(self._effect_buttons) != names:
            while self._effects_grid.count():
                widget = self._effects_grid.takeAt(0).widget()
                if widget in self._effect_buttons.values():
                    widget.hide()
                    widget.deleteLater()
            self._effect_buttons = {name: self._effect_button(name) for name in names}
            cells = list(self._effect_buttons.values())
            columns = max(1, self._editor.effectColumnCount)
            for index, button in enumerate(cells):
                self._effects_grid.addWidget(button, index // columns, index % columns)
        active = self._editor.activeEffect()
        for name, button in self._effect_buttons.items():
            button.setChecked(active is not None and active.name == name)

    def _effect_button(self, name: str) -> QtWidgets.QToolButton:
        button = QtWidgets.QToolButton(self._effects_box)
        button.setObjectName(name)
        button.setText(name)
        button.setCheckable(True)
        button.setMinimumHeight(26)
        button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        button.clicked.connect(lambda on: self._editor.setActiveEffectByName(name if on else ""))
        return button

    def _select(self, index: int) -> None:
        if index < self._editor.effectCount():
            self._editor.setActiveEffect(self._editor.effectByIndex(index))

    def _select_segment_beside(self, offset: int) -> None:
        editor = self._editor
        editor.setCurrentSegmentID(segment_beside(editor.segmentationNode(), editor.currentSegmentID(), offset))

    def _toggle_effect(self) -> None:
        active = self._editor.activeEffect()
        if active is not None:
            self._last = active
        self._editor.setActiveEffect(None if active is not None else getattr(self, "_last", None))

    def _toggle_surface(self, on: bool) -> None:
        segmentation = self._editor.segmentationNode()
        if segmentation is not None:
            (segmentation.CreateClosedSurfaceRepresentation if on else segmentation.RemoveClosedSurfaceRepresentation)()


def _selector(node_types: list[str], parent: QtWidgets.QWidget) -> qMRMLNodeComboBox:
    selector = qMRMLNodeComboBox(parent)
    selector.nodeTypes = node_types
    selector.noneEnabled = True
    selector.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
    return selector
