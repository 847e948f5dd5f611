"""Section 1: the choice of the model."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from mtctl.models.card import ModelError
from MTCTLSegmentLib import settings
from MTCTLSegmentLib.model_catalogue import ModelChoice, ModelChoices, model_choices, model_in
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.current_review import CurrentReview


class ModelPanel(Panel):
    """The list of models, which is read again whenever it is shown."""

    def __init__(self, ui: Any, current: CurrentReview) -> None:
        super().__init__()
        self._ui, self._current = ui, current
        self._models: list[ModelChoice] = []
        ui.modelNoteLabel.hide()
        self.connect(
            (ui.modelSelector, "activated(int)", self._chosen),
            (ui.modelFolderButton, "clicked()", self._choose_folder),
        )

    def show(self) -> None:
        """List the present models and select the chosen one, or the one in use where the chosen one is missing.

        Which one is in use may have changed since: the scene holds "" for it.
        """
        parameters = self._current.parameters
        if parameters is None:
            return
        catalogue = self._list()
        wanted, names = self._wanted(catalogue.default), [model.name for model in self._models]
        index = names.index(wanted) if wanted in names else 0
        self._ui.modelSelector.currentIndex = index
        parameters.modelChosen = parameters.modelChosen or bool(wanted)
        if parameters.model != names[index] or parameters.samples == parameters.usualSamples:
            self._take(index)
        gone = _("The model {model} is not installed here: the model in use is taken instead.").format(model=wanted)
        self._show_notes([*catalogue.trouble, *([] if wanted in names else [gone])])

    def _list(self) -> ModelChoices:
        box, catalogue = self._ui.modelSelector, model_choices()
        self._models = list(catalogue.choices)
        own = settings.setting("modelFolder")
        if own:
            with contextlib.suppress(ModelError):  # The folder went; the other models are still there.
                self._models.append(model_in(Path(own)))
        box.clear()
        for index, model in enumerate(self._models):
            box.addItem(model.title)
            box.setItemData(index, model.details, qt.Qt.ToolTipRole)
        return catalogue

    def _wanted(self, default: str) -> str:
        """Return the model chosen in this scene, else in the last one; "" for the one in use.

        Earlier versions wrote the shipped default into every scene, though nobody had chosen it.
        """
        parameters, remembered = self._current.parameters, settings.setting("model")
        if parameters.modelChosen or parameters.model not in ("", default):
            return str(parameters.model)
        return remembered if remembered != default or settings.setting("modelChosen") else ""

    def _show_notes(self, sentences: Sequence[str]) -> None:
        label = self._ui.modelNoteLabel
        label.text = "\n".join(f"⚠ {text}" for text in sentences)
        label.setVisible(bool(sentences))

    def _chosen(self, index: int) -> None:
        if 0 <= index < len(self._models):
            self._take(index)
            if self._current.parameters is not None:
                self._current.parameters.modelChosen = True
            settings.remember("model", self._models[index].name)
            settings.remember("modelChosen", "yes")

    def _take(self, index: int) -> None:
        parameters, model = self._current.parameters, self._models[index]
        if parameters is not None:
            parameters.model = model.name
            parameters.samples = parameters.usualSamples = model.samples

    def _choose_folder(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self._ui.modelSelector, _("Folder of a model"))
        if not folder:
            return
        try:
            model = model_in(Path(folder))
        except ModelError as error:
            slicer.util.errorDisplay(str(error))
            return
        settings.remember("modelFolder", model.name)
        self._list()
        index = [each.name for each in self._models].index(model.name)
        self._ui.modelSelector.currentIndex = index
        self._chosen(index)
