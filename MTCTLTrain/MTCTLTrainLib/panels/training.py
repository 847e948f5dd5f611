"""Section 2: the settings of a run, and the buttons Start, Stop and Resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MTCTLSegmentLib import python_packages
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.widgets.folder_edit import FolderEdit
from MTCTLTrainLib import settings
from MTCTLTrainLib.page_state import PageState
from MTCTLTrainLib.parameters import Length
from MTCTLTrainLib.runs.training_run import PROGRAM, Phase, RunSettings, TrainingRun
from MTCTLTrainLib.text import duration_text, sentence

NEEDS = python_packages.Purpose(
    _("The fine-tuning"),
    _("Nothing was installed, so nothing can be trained. Press Start to be asked again."),
    {**python_packages.NEEDED, "scipy": "scipy>=1.13", "matplotlib": "matplotlib>=3.9"},
)

# So few corrected cases make a run, but no verdict that means much.
_FEW = 3


class TrainingPanel(Panel):
    """Start, stop and resume runs.

    `commit_store` is called before a run begins: it learns from the store whose folder stands in the field.

    Attributes:
        program: Arguments of Python that start the run; tests use another program.
        further: More arguments of `mtctl finetune`.
        runsEdit: The field with the folder of the runs.
    """

    def __init__(self, ui: Any, page: PageState, commit_store: Callable[[], None]) -> None:
        super().__init__()
        self._ui, self._page, self._commit_store = ui, page, commit_store
        self.program: tuple[str, ...] = PROGRAM
        self.further: tuple[str, ...] = ()
        self._models: tuple[Any, ...] = ()
        ui.runsEdit.currentPath = str(settings.runs_folder())
        self.runsEdit = FolderEdit(ui.runsEdit, self._runs_chosen)
        self.connect(
            (ui.startButton, "clicked()", self.start),
            (ui.stopButton, "clicked()", self.stop),
            (ui.resumeButton, "clicked()", self.resume),
            (ui.modelSelector, "activated(int)", self._model_chosen),
        )
        self.listen(page, self.refresh)

    def close(self) -> None:
        """Close the field of the runs and the panel; a run goes on."""
        self.runsEdit.close()
        super().close()

    def refresh(self) -> None:
        """Enable what can be done now."""
        ui, page = self._ui, self._page
        self._list_models()
        active, obstacle = page.active, self._obstacle()
        ui.startButton.enabled = not active and not obstacle
        ui.startButton.toolTip = obstacle or _("Train on the corrected cases; it goes on when Slicer is closed.")
        ui.stopButton.enabled = active
        resumable = page.status is not None and page.status.phase in (Phase.STOPPED, Phase.FAILED)
        ui.resumeButton.enabled = resumable and page.run is not None and page.run.decision is None
        for widget in (ui.modelSelector, ui.lengthSelector, ui.minutesBox, ui.iterationsBox, ui.advancedBox):
            widget.enabled = not active
        parameters = page.parameters
        by_time = parameters is None or parameters.length == Length.minutes
        ui.minutesBox.setVisible(by_time)
        ui.iterationsBox.setVisible(not by_time)
        ui.estimateLabel.text = "" if active else obstacle or self._estimate()  # Its progress is shown below.
        ui.estimateLabel.setVisible(bool(ui.estimateLabel.text))

    def start(self) -> None:
        """Start a new run."""
        with errors_shown():
            page, parameters = self._page, self._page.parameters
            self._commit_store()
            self.runsEdit.commit()
            page.find_run()  # Another Slicer may have begun one a moment ago.
            if parameters is None or page.store is None or page.active or not python_packages.ensure(NEEDS):
                return
            if not self._may_replace():
                return
            by_time = parameters.length == Length.minutes
            count = parameters.minutes if by_time else parameters.iterations
            run_settings = RunSettings(
                store=str(page.store),
                base=parameters.model,
                length=(parameters.length.value, str(count)),
                device=parameters.device,
                further=self.further,
            )
            page.show(TrainingRun.begin(settings.runs_folder(), run_settings, self.program))

    def stop(self) -> None:
        """End the process; the run can be resumed."""
        with errors_shown():
            if self._page.run is not None:
                try:
                    self._page.run.stop()
                finally:
                    self._page.poll()

    def resume(self) -> None:
        """Resume the run from its last checkpoint."""
        with errors_shown():
            run = self._page.run
            if run is not None and python_packages.ensure(NEEDS):
                run.program = self.program
                try:
                    run.go_on()
                finally:
                    self._page.poll()

    def _may_replace(self) -> bool:
        """Return whether the user agrees to replace a run without a decision; its files stay."""
        page = self._page
        if page.run is None or page.verdict is None or page.run.decision is not None:
            return True
        question = _(
            "The last run has a model that was neither published nor discarded. Start a new run all the same? Its "
            "files stay in {folder}."
        )
        return bool(slicer.util.confirmYesNoDisplay(question.format(folder=page.run.folder), _("Start a new run")))

    def _obstacle(self) -> str:
        """Return why nothing can be started, or ""."""
        page = self._page
        if page.parameters is None or (page.listing and not page.cases):
            return ""
        if page.store is None:
            return _("Choose the folder of the case store first.")
        if page.listed:
            return sentence(page.listed)
        if not any(case.labelled for case in page.cases):
            return _("No case is corrected or accepted yet: there is nothing to learn from.")
        return ""

    def _estimate(self) -> str:
        page, parameters = self._page, self._page.parameters
        if parameters is None:
            return ""
        sentences = []
        labelled = sum(case.labelled for case in page.cases)
        if 0 < labelled < _FEW:
            sentences.append(_("With so few corrected cases the verdict will mean little; three or more are better."))
        seconds = settings.seconds_per_iteration(parameters.device)
        if seconds is None:
            sentences.append(_("How long an iteration takes here is known after the first one."))
        elif parameters.length == Length.minutes:
            # 0.9: the share of the time that the run gives to training.
            count = max(1, round(60 * parameters.minutes * 0.9 / seconds))
            text = _("About one iteration") if count == 1 else _("About {count} iterations").format(count=count)
            sentences.append(_("{text}, by the pace of the last run.").format(text=text))
        else:
            time = duration_text(parameters.iterations * seconds)
            sentences.append(_("It takes {time}, by the pace of the last run.").format(time=time))
        return " ".join(sentences)

    # --- choices ------------------------------------------------------------------------------------------------------

    def _list_models(self) -> None:
        models, box = self._page.models, self._ui.modelSelector
        if models is not self._models:
            self._models = models
            box.clear()
            for number, model in enumerate(models):
                box.addItem(f"{model.title}, {_('in use')}" if number == 0 else model.title)
                box.setItemData(number, model.details, qt.Qt.ToolTipRole)
        parameters = self._page.parameters
        if parameters is None or not models:
            return
        names = [model.name for model in models]
        index = names.index(parameters.model) if parameters.model in names else 0
        if box.currentIndex != index:
            box.currentIndex = index
        if parameters.model and parameters.model not in names:
            parameters.model = ""

    def _model_chosen(self, index: int) -> None:
        if self._page.parameters is not None and 0 <= index < len(self._models):
            # The one in use goes without its name: whichever that is when the run begins.
            self._page.parameters.model = self._models[index].name if index else ""

    def _runs_chosen(self, path: str) -> None:
        settings.choose_runs_folder(path)
        self._page.find_run()
