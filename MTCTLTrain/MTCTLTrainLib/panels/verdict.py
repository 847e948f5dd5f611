"""Section 4: the comparison of the old and the new model, and the decision."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from mtctl.models.verdict import Compared, Verdict
from mtctl.processes.request import Events
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.widgets.table_columns import set_up_columns
from MTCTLTrainLib.page_state import PageState
from MTCTLTrainLib.runs.training_run import Decision, Phase, TrainingRun
from MTCTLTrainLib.text import sentence, short_names

# Half-transparent, so that it fits Slicer's light and dark style alike.
_GOOD = "background: rgba(60, 160, 90, 60); border-radius: 4px; padding: 6px;"
_BAD = "background: rgba(240, 160, 0, 70); border-radius: 4px; padding: 6px;"
_GREEN, _ORANGE = "#3a9d5d", "#c77700"


class VerdictPanel(Panel):
    """Publish, discard and roll back models, in a child process."""

    def __init__(self, ui: Any, page: PageState) -> None:
        super().__init__()
        self._ui, self._page = ui, page
        self._shown: Verdict | None = None
        self._refused: tuple[str, ...] = ()
        self._busy = False
        titles = (_("Held-out case"), _("Dice old"), _("Dice new"), _("Change"))
        set_up_columns(ui.verdictTable, titles, stretched=(0,))
        ui.verdictTable.setTextElideMode(qt.Qt.ElideMiddle)
        self.connect(
            (ui.publishButton, "clicked()", self.publish),
            (ui.discardButton, "clicked()", self.discard),
            (ui.rollBackButton, "clicked()", self.roll_back),
            (ui.reasonEdit, "textChanged(QString)", self._reason_changed),
        )
        self.listen(page, self.refresh)

    def refresh(self) -> None:
        """Show the verdict, if there is one."""
        ui, page, verdict = self._ui, self._page, self._page.verdict
        if verdict is not self._shown:
            self._shown, self._refused = verdict, ()
            ui.reasonEdit.text = ""
            self._fill(verdict)
        decision = page.run.decision if page.run is not None and verdict is not None else None
        against = (*self._refused, *(verdict.against if verdict is not None else ()))
        ui.verdictLabel.text = _headline(verdict, decision, against) if verdict is not None else self._outlook()
        if decision is not None and decision.kind == "published" and page.models and not self._is_in_use(decision):
            ui.verdictLabel.text += " " + _("It is not in use any more.")
        ui.verdictLabel.setStyleSheet(_BAD if against and decision is None else _GOOD if verdict is not None else "")
        for widget in (ui.verdictTable, ui.figuresLabel):
            widget.setVisible(verdict is not None and bool(verdict.cases))
        undecided = verdict is not None and decision is None
        ui.reasonEdit.setVisible(undecided and bool(against))
        ui.publishButton.setVisible(undecided)
        ui.discardButton.setVisible(undecided)
        ui.publishButton.text = _("Publish even so") if against else _("Publish")
        ui.publishButton.enabled = undecided and not self._busy and (not against or bool(ui.reasonEdit.text.strip()))
        ui.publishButton.toolTip = (
            _("Say first why it is to be published though it is not better; the reason is recorded.")
            if against
            else _("From the next case on, this model is used. The one before stays and can be rolled back to.")
        )
        ui.discardButton.enabled = undecided and not self._busy
        published = page.published
        ui.inUseLabel.text = _in_use(published) if page.models else ""
        ui.inUseLabel.toolTip = sentence(published["damage"]) if published is not None else ""
        ui.rollBackButton.enabled = published is not None and bool(published["model"]) and not self._busy

    def _outlook(self) -> str:
        """Return what will be said here, or why nothing will."""
        status = self._page.status
        if self._page.no_verdict and status is not None and status.phase is Phase.FINISHED:
            return _("There is no verdict on the last run, see above.")
        return _(
            "After the training, old and new are compared here on corrected cases that were held out. With few cases "
            "there are two trainings, each judged on the cases that the other one learnt from; the new model is the "
            "mean of both."
        )

    def _is_in_use(self, decision: Decision) -> bool:
        page = self._page
        return page.listing or (page.published is not None and page.published["model"] == decision.model)

    def publish(self) -> None:
        """Publish the new model."""
        run = self._page.run
        if run is None or self._page.verdict is None:
            return
        reason = self._ui.reasonEdit.text.strip()
        self._ask(
            {"do": "publish", "candidate": str(run.candidate), "override": reason},
            lambda events: self._published(run, reason, events),
        )

    def discard(self) -> None:
        """Discard the new model; the one in use stays."""
        with errors_shown():
            run = self._page.run
            if run is not None and self._page.verdict is not None:
                self._decide(run, Decision("discarded"))
                self._page.notify()

    def roll_back(self) -> None:
        """Put the model before the one in use into use again."""
        published = self._page.published
        question = _("Go back to the model that was in use before {model}? {model} stays in the store.")
        if published is None or not slicer.util.confirmYesNoDisplay(
            question.format(model=published["model"]), _("Roll back")
        ):
            return
        self._ask({"do": "rollback"}, self._rolled_back)

    def _published(self, run: TrainingRun, reason: str, events: Events) -> None:
        for event in events:
            if event["event"] == "refused":
                own = self._page.verdict.against if self._page.verdict is not None else ()
                self._refused = tuple(text for text in event["reasons"] if text not in own)
            elif event["event"] == "published":
                self._refused = ()
                self._decide(run, Decision("published", event["model"], reason))

    def _rolled_back(self, events: Events) -> None:
        model = next((event["model"] for event in events if event["event"] == "rolled back"), None)
        text = _("{model} is in use again.").format(model=model or _("The model that came with the extension"))
        slicer.util.showStatusMessage(text, 5000)

    def _decide(self, run: TrainingRun, decision: Decision) -> None:
        run.decide(decision)
        # The scans that it was prepared with are not needed any more.
        self._page.requests.ask({"do": "tidy", "run": str(run.folder)}, lambda events: None, lambda reason: None)

    def _ask(self, request: dict[str, Any], then: Any) -> None:
        def done(events: Events) -> None:
            self._busy = False
            with errors_shown():
                then(events)
            self._page.refresh()  # First: until it is read again, nothing is said of which model is in use.
            self._page.notify()

        def failed(reason: str) -> None:
            self._busy = False
            self._page.notify()
            slicer.util.errorDisplay(sentence(reason))

        self._busy = True
        self._page.requests.ask(request, done, failed)
        self._page.notify()

    def _reason_changed(self, _text: str) -> None:
        self.refresh()

    # --- table --------------------------------------------------------------------------------------------------------

    def _fill(self, verdict: Verdict | None) -> None:
        table = self._ui.verdictTable
        cases = sorted(verdict.cases, key=lambda case: case.new - case.old) if verdict is not None else []
        names = short_names(case.case for case in cases)
        rows = [(names[case.case], case.old, case.new) for case in cases]
        if verdict is not None and verdict.worst is not None:
            rows.append((_("Mean"), *verdict.dice))
        table.setRowCount(len(rows))
        for number, (name, old, new) in enumerate(rows):
            mean = number == len(cases)
            for column, text in enumerate((name, f"{100 * old:.2f}", f"{100 * new:.2f}", f"{100 * (new - old):+.2f}")):
                item = qt.QTableWidgetItem(text)
                item.setToolTip("" if mean else cases[number].case)
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                if column == 3 and round(new - old, 4):
                    item.setForeground(qt.QBrush(qt.QColor(_GREEN if new > old else _ORANGE)))
                if mean:
                    font = qt.QFont(table.font)
                    font.setBold(True)
                    item.setFont(font)
                table.setItem(number, column, item)
        self._ui.figuresLabel.text = _figures(verdict) if verdict is not None else ""


def _in_use(published: dict[str, Any] | None) -> str:
    if published is None:
        return _("In use: the model that came with the extension.")
    if not published["model"]:
        return _("Which model is in use cannot be read; nothing is segmented until then.")
    if published["damage"]:
        text = _("In use: {model}, which is damaged; roll back, or restore it from a backup.")
        return text.format(model=published["model"])
    return _("In use: {model}, published {date}.").format(model=published["model"], date=published["published"][:10])


def _headline(verdict: Verdict, decision: Decision | None, against: tuple[str, ...]) -> str:
    if decision is not None and decision.kind == "published":
        text = _("Published as {model}.").format(model=decision.model)
        return f"{text} {_('Reason: {reason}').format(reason=decision.reason)}" if decision.reason else text
    if decision is not None:
        return _("Discarded; the model in use stayed. The new one is still in the folder of the run.")
    old, new = verdict.dice
    if against:
        return "\n".join([_("Not better:"), *(f"• {sentence(reason)}" for reason in against)])
    text = _("Better") if round(new, 4) > round(old, 4) else _("As good")
    return _("{text}: mean Dice {old:.2f} before, {new:.2f} now.").format(text=text, old=100 * old, new=100 * new)


def _figures(verdict: Verdict) -> str:
    lines = [sentence(_("Held out: {text}").format(text=verdict.held_out))] if verdict.held_out else []
    worst: Compared | None = verdict.worst
    if worst is not None:
        lines.append(
            _("Worst case {case}: {old:.2f} before, {new:.2f} now.").format(
                case=worst.case, old=100 * worst.old, new=100 * worst.new
            )
        )
    if verdict.calibration is not None:
        lines.append(
            _("Probabilities near the border are off by {old:.3f} before, {new:.3f} now.").format(
                old=verdict.calibration[0], new=verdict.calibration[1]
            )
        )
    for name, (old, new) in verdict.uncertainty.items():
        title = _("Uncertainty finds errors (AUROC)") if name == "error_auroc" else name
        lines.append(f"{title}: {old:.3f} → {new:.3f}.")
    if verdict.p_value is not None:
        lines.append(_("Paired test of the Dice: p = {p:.3f}.").format(p=verdict.p_value))
    return "\n".join(lines)
