"""Section 3: the progress of the run as text, curves and a picture."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from MTCTLSegmentLib.panel import Panel
from MTCTLTrainLib.page_state import PageState
from MTCTLTrainLib.panels.curves import Plots
from MTCTLTrainLib.panels.held_out_picture import HeldOutPicture
from MTCTLTrainLib.runs.training_run import Phase
from MTCTLTrainLib.text import case_count_text, left_text, place_text, sentence, state_text


class ProgressPanel(Panel):
    """Show the run; its curves only while the module is shown."""

    def __init__(self, ui: Any, page: PageState) -> None:
        super().__init__()
        self._ui, self._page = ui, page
        self._plots, self._picture = Plots(), HeldOutPicture(ui.pictureLabel, ui.progressBar)
        self._open = False
        ui.stateLabel.setStyleSheet("font-weight: bold; font-size: 15px;")
        self.listen(page, self.refresh)

    def enter(self) -> None:
        """Show the curves, as the module is shown."""
        self._open = True
        self.refresh()

    def leave(self) -> None:
        """Restore the user's layout, as the module is left."""
        self._open = False
        self._plots.hide()

    def scene_leaves(self) -> None:
        """Remove the curves, as the scene is about to be closed or replaced."""
        self.leave()
        self._plots.forget()

    def close(self) -> None:
        """Close the panel and remove the curves."""
        super().close()
        self.leave()
        self._plots.forget()

    def refresh(self) -> None:
        """Show the present state of the run."""
        ui, page = self._ui, self._page
        run, status, progress = page.run, page.status, page.progress
        ui.progressSection.enabled = run is not None
        if run is None or status is None:
            ui.stateLabel.text = _("No run yet.")
            for widget in (ui.progressBar, ui.timeLabel, ui.pictureLabel, ui.noteLabel):
                widget.setVisible(False)
            return
        ui.stateLabel.text = state_text(status, progress)
        ui.stateLabel.toolTip = str(run.folder)
        ui.progressBar.setVisible(True)
        ui.progressBar.value = round(1000 * progress.fraction)
        left = progress.seconds_left if status.phase is Phase.RUNNING and not progress.comparing else None
        parts = [left_text(left)] if left is not None else []
        asked = run.settings.minutes
        if left is not None and asked is not None and left > 60 * asked:
            parts.append(_("longer than asked for, as each training takes at least 20 iterations"))
        ui.timeLabel.text = sentence(", ".join([*parts, place_text(progress)]).strip(", "))
        ui.timeLabel.setVisible(bool(ui.timeLabel.text))
        self._show_notes()
        self._picture.show(run.folder, progress)
        parameters = page.parameters
        wanted = self._open and parameters is not None and parameters.curves
        if wanted and (page.active or page.undecided):  # An old run is no reason to take the slice views away.
            self._plots.show(progress)
        else:
            self._plots.hide()

    def _show_notes(self) -> None:
        page = self._page
        status, progress = page.status, page.progress
        assert status is not None
        notes = [sentence(status.reason)] if status.reason else []
        if status.reason and status.phase is Phase.STOPPED:
            notes.append(_("Resume goes on from the last checkpoint, at most a minute before that."))
        if page.no_verdict and status.phase is Phase.FINISHED:
            notes.append(sentence(page.no_verdict))
        reasons = [_unused(case, reason) for case, reason in progress.skipped.items()]
        if reasons:
            count = case_count_text(len(reasons))
            without = _("Without {count} that cannot be used. {first}").format(count=count, first=reasons[0])
            more = len(reasons) - 1
            notes.append(f"{without} {_('And {more} more.').format(more=more)}" if more else without)
        self._ui.noteLabel.toolTip = "\n".join(reasons)
        self._ui.noteLabel.text = "\n".join(f"⚠ {note}" for note in notes)
        self._ui.noteLabel.setVisible(bool(notes))


def _unused(case: str, reason: str) -> str:
    """Return which case is left out and why; some reasons begin with its name."""
    words = reason.removeprefix("case ").removeprefix(f"{case}: ")
    return f"{case}: {sentence(words)[:1].lower()}{sentence(words)[1:]}"
