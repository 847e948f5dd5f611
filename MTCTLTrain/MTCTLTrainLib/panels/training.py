"""Section 2: what a run starts from, how long it lasts, and Start, Stop, Resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MTCTLSegmentLib import python_packages as dependencies
from MTCTLSegmentLib.error_display import telling
from MTCTLSegmentLib.panels.base import Panel
from MTCTLSegmentLib.widgets.folder_edit import FolderEdit
from MTCTLTrainLib import settings
from MTCTLTrainLib.page_state import Workbench
from MTCTLTrainLib.parameters import Length
from MTCTLTrainLib.runs.training_run import PROGRAM, Order, Phase, TrainingRun
from MTCTLTrainLib.text import duration_words, sentence

NEEDS = dependencies.Task(
    _("The fine-tuning"),
    _("Nothing was installed, so nothing can be trained. Press Start to be asked again."),
    {**dependencies.NEEDED, "scipy": "scipy>=1.13", "matplotlib": "matplotlib>=3.9"},
)

# So few corrected cases make a run, but no verdict that means much.
_FEW = 3


class TrainingPanel(Panel):
    """Starts runs.

    `settle_store` is called before a run begins: it learns from the store whose folder stands in the field.

    Attributes:
        program: What is started with Python; tests put another in its place.
        further: More words for `mtctl finetune`.
        runsEdit: The field with the folder of the runs.
    """

    def __init__(self, ui: Any, bench: Workbench, settle_store: Callable[[], None]) -> None:
        super().__init__()
        self._ui, self._bench, self._settle_store = ui, bench, settle_store
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
        self.listen(bench, self.refresh)

    def close(self) -> None:
        """The panel is no more; a run goes on."""
        self.runsEdit.close()
        super().close()

    def refresh(self) -> None:
        """Show what can be done now."""
        ui, bench = self._ui, self._bench
        self._list_models()
        at_work, obstacle = bench.at_work, self._obstacle()
        ui.startButton.enabled = not at_work and not obstacle
        ui.startButton.toolTip = obstacle or _("Train on the corrected cases; it goes on when Slicer is closed.")
        ui.stopButton.enabled = at_work
        resumable = bench.standing is not None and bench.standing.phase in (Phase.STOPPED, Phase.FAILED)
        ui.resumeButton.enabled = resumable and bench.run is not None and bench.run.decision is None
        for widget in (ui.modelSelector, ui.lengthSelector, ui.minutesBox, ui.iterationsBox, ui.advancedBox):
            widget.enabled = not at_work
        parameters = bench.parameters
        by_time = parameters is None or parameters.length == Length.minutes
        ui.minutesBox.setVisible(by_time)
        ui.iterationsBox.setVisible(not by_time)
        ui.estimateLabel.text = obstacle if obstacle and not at_work else self._estimate()

    def start(self) -> None:
        """Begin a new run."""
        with telling():
            bench, parameters = self._bench, self._bench.parameters
            self._settle_store()
            self.runsEdit.settle()
            bench.find_run()  # Another Slicer may have begun one a moment ago.
            if parameters is None or bench.store is None or bench.at_work or not dependencies.ensure(NEEDS):
                return
            if not self._may_replace():
                return
            by_time = parameters.length == Length.minutes
            count = parameters.minutes if by_time else parameters.iterations
            order = Order(
                store=str(bench.store),
                base=parameters.model,
                length=(parameters.length.value, str(count)),
                device=parameters.device,
                further=self.further,
            )
            bench.show(TrainingRun.begin(settings.runs_folder(), order, self.program))

    def stop(self) -> None:
        """End the process; the run can be resumed."""
        with telling():
            if self._bench.run is not None:
                try:
                    self._bench.run.stop()
                finally:
                    self._bench.look()

    def resume(self) -> None:
        """Go on from the last checkpoint."""
        with telling():
            run = self._bench.run
            if run is not None and dependencies.ensure(NEEDS):
                run.program = self.program
                try:
                    run.go_on()
                finally:
                    self._bench.look()

    def _may_replace(self) -> bool:
        """Whether a run that waits for a word may be left behind; its files stay."""
        bench = self._bench
        if bench.run is None or bench.verdict is None or bench.run.decision is not None:
            return True
        question = _(
            "The last run has a model that was neither published nor discarded. Start a new run all the same? Its "
            "files stay in {folder}."
        )
        return bool(slicer.util.confirmYesNoDisplay(question.format(folder=bench.run.folder), _("Start a new run")))

    def _obstacle(self) -> str:
        """Why nothing can be started, in a sentence, or ""."""
        bench = self._bench
        if bench.parameters is None or (bench.listing and not bench.cases):
            return ""
        if bench.store is None:
            return _("Choose the folder of the case store first.")
        if bench.listed:
            return sentence(bench.listed)
        if not any(case.labelled for case in bench.cases):
            return _("No case is corrected or accepted yet: there is nothing to learn from.")
        return ""

    def _estimate(self) -> str:
        bench, parameters = self._bench, self._bench.parameters
        if parameters is None:
            return ""
        words = []
        labelled = sum(case.labelled for case in bench.cases)
        if 0 < labelled < _FEW:
            words.append(_("With so few corrected cases the verdict will mean little; three or more are better."))
        pace = settings.seconds_per_iteration(parameters.device)
        if pace is None:
            words.append(_("How long an iteration takes here is known after the first one."))
        elif parameters.length == Length.minutes:
            # 0.9: the share of the time that the run gives to training.
            count = max(1, round(60 * parameters.minutes * 0.9 / pace))
            words.append(_("About {count} iterations, by the pace of the last run.").format(count=count))
        else:
            time = duration_words(parameters.iterations * pace)
            words.append(_("It takes {time}, by the pace of the last run.").format(time=time))
        return " ".join(words)

    # --- choices ------------------------------------------------------------------------------------------------------

    def _list_models(self) -> None:
        models, box = self._bench.models, self._ui.modelSelector
        if models is not self._models:
            self._models = models
            box.clear()
            for number, model in enumerate(models):
                box.addItem(f"{model.title}, {_('in use')}" if number == 0 else model.title)
                box.setItemData(number, model.details, qt.Qt.ToolTipRole)
        parameters = self._bench.parameters
        if parameters is None or not models:
            return
        names = [model.name for model in models]
        index = names.index(parameters.model) if parameters.model in names else 0
        if box.currentIndex != index:
            box.currentIndex = index
        if parameters.model and parameters.model not in names:
            parameters.model = ""

    def _model_chosen(self, index: int) -> None:
        if self._bench.parameters is not None and 0 <= index < len(self._models):
            # The one in use goes without its name: whichever that is when the run begins.
            self._bench.parameters.model = self._models[index].name if index else ""

    def _runs_chosen(self, path: str) -> None:
        settings.choose_runs_folder(path)
        self._bench.find_run()
