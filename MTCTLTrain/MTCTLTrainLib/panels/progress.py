"""Section 3: how the run stands, in words, curves and a picture."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from MTCTLSegmentLib.panels.base import Panel
from MTCTLTrainLib.page_state import Workbench
from MTCTLTrainLib.panels.curves import Plots
from MTCTLTrainLib.panels.held_out_picture import HeldOutPicture
from MTCTLTrainLib.runs.training_run import Phase
from MTCTLTrainLib.text import left_words, place_words, sentence, state_words


class ProgressPanel(Panel):
    """Shows the run; the curves only while the module is open."""

    def __init__(self, ui: Any, bench: Workbench) -> None:
        super().__init__()
        self._ui, self._bench = ui, bench
        self._plots, self._picture = Plots(), HeldOutPicture(ui.pictureLabel)
        self._open = False
        ui.stateLabel.setStyleSheet("font-weight: bold; font-size: 15px;")
        self.listen(bench, self.refresh)

    def enter(self) -> None:
        """The module is opened: curves may be shown."""
        self._open = True
        self.refresh()

    def leave(self) -> None:
        """The module is left: the user's views come back."""
        self._open = False
        self._plots.hide()

    def scene_leaves(self) -> None:
        """The scene is closed or replaced."""
        self.leave()
        self._plots.forget()

    def close(self) -> None:
        """The panel is no more."""
        super().close()
        self.leave()
        self._plots.forget()

    def refresh(self) -> None:
        """Show the run as it is now."""
        ui, bench = self._ui, self._bench
        run, standing, story = bench.run, bench.standing, bench.story
        ui.progressSection.enabled = run is not None
        if run is None or standing is None:
            ui.stateLabel.text = _("No run yet.")
            for widget in (ui.progressBar, ui.timeLabel, ui.pictureLabel, ui.noteLabel):
                widget.setVisible(False)
            return
        ui.stateLabel.text = state_words(standing, story)
        ui.stateLabel.toolTip = str(run.folder)
        ui.progressBar.setVisible(True)
        ui.progressBar.value = round(1000 * story.share)
        left = story.seconds_left if standing.phase is Phase.RUNNING and not story.comparing else None
        words = [left_words(left)] if left is not None else []
        ui.timeLabel.text = sentence(", ".join([*words, place_words(story)]).strip(", "))
        ui.timeLabel.setVisible(bool(ui.timeLabel.text))
        self._show_notes()
        self._picture.show(run.folder, story)
        parameters = bench.parameters
        wanted = self._open and parameters is not None and parameters.curves
        if wanted and (bench.at_work or bench.undecided):  # An old run is no reason to take the slice views away.
            self._plots.show(story)
        else:
            self._plots.hide()

    def _show_notes(self) -> None:
        bench = self._bench
        standing, story = bench.standing, bench.story
        assert standing is not None
        notes = [sentence(standing.reason)] if standing.reason else []
        if standing.reason and standing.phase is Phase.STOPPED:
            notes.append(_("Resume goes on from the last checkpoint, at most a minute before that."))
        if bench.no_verdict and standing.phase is Phase.FINISHED:
            notes.append(sentence(bench.no_verdict))
        if story.skipped:
            first = next(iter(story.skipped.items()))
            notes.append(
                _("Without {count} case(s) that cannot be used: {case}: {reason}").format(
                    count=len(story.skipped), case=first[0], reason=sentence(first[1])
                )
            )
        self._ui.noteLabel.text = "\n".join(f"⚠ {note}" for note in notes)
        self._ui.noteLabel.setVisible(bool(notes))
