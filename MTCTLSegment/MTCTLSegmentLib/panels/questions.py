"""Section 3: the questions that are worth asking, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from slicer.i18n import tr as _

from mtctl import scene
from mtctl.errors import counted
from mtctl.geometry import Triple
from mtctl.guidance.outlook import outlook_words, question_words
from mtctl.review.answers import Answer, Side
from mtctl.worker.question_dialogue import QuestionDialogue
from MTCTLSegmentLib import python_packages
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.jobs.warm_worker import WarmWorker
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.panels.click_place import ClickPlace
from MTCTLSegmentLib.panels.editor import EditorPanel
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.review.questioning import QuestionsInScene

# After the last change: a person who strokes, or keeps several places, goes on.
_REST_MS = 300

# A grey frame is seen on light and on dark windows, whatever is in it.
_SWATCH = "background: {color}; border: 1px solid #808080; border-radius: 2px;"


class QuestionPanel(Panel):
    """The strip and its buttons; the keys K, C, N and P call `keep`, `change`, `next` and `previous`."""

    def __init__(self, ui: Any, current: CurrentReview, worker: WarmWorker, editor: EditorPanel) -> None:
        super().__init__()
        self._ui, self._current, self._editor = ui, current, editor
        in_scene = QuestionsInScene(
            current, worker, editor.settle, editor.save_for_undo, editor.note_answer, self.refresh
        )
        self._dialogue = QuestionDialogue(in_scene, worker.client)
        self._side: Side = "inside"
        self._click = ClickPlace(self._clicked, self.refresh)
        self._rest = self.make_timer(_REST_MS, self._ask_if_due)
        sides: tuple[tuple[Any, Side], ...] = ((ui.insideButton, "inside"), (ui.outsideButton, "outside"))
        self.connect(
            (ui.keepButton, "clicked()", self.keep),
            (ui.changeButton, "clicked()", self.change),
            (ui.nextQuestionButton, "clicked()", self.next),
            (ui.previousQuestionButton, "clicked()", self.previous),
            (ui.takeBackButton, "clicked()", editor.undo),
            (ui.askAgainButton, "clicked()", self._ask_again),
            (ui.questionsSection, "contentsCollapsed(bool)", self._opened),
            *((button, "clicked()", partial(self._wait_for_click, side)) for button, side in sides),
        )
        editor.take_back_first(lambda: self._dialogue.answering, self._dialogue.take_back)
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Wait for no answer and no click, and close the panel."""
        self.leave()
        self._click.close()
        super().close()

    def leave(self) -> None:
        """Let go of what is under way, as the module is left, the scene goes, or the case is decided on."""
        self._rest.stop()
        self._click.stop()
        self._dialogue.leave()

    def refresh(self) -> None:
        """Show the questions of the open case; ask for them anew after a change."""
        dialogue, ui = self._dialogue, self._ui
        ui.questionsSection.enabled = self._current.review is not None
        dialogue.follow()
        if self._current.review is None and self._click.waiting:
            self._click.stop()
            return  # It has called this.
        if self._is_due():
            self._rest.start()
        open_case = self._current.review is not None and not dialogue.answering
        asked = open_case and dialogue.current is not None
        for button in (ui.keepButton, ui.changeButton):
            button.enabled = asked
        for button in (ui.nextQuestionButton, ui.previousQuestionButton):
            button.enabled = open_case and bool(dialogue.questions)
        for button, side in ((ui.insideButton, "inside"), (ui.outsideButton, "outside")):
            button.enabled = open_case
            button.checked = self._click.waiting and self._side == side
        ui.askAgainButton.setVisible(bool(dialogue.problem))
        ui.questionLabel.text = self._strip()
        drawn = dialogue.current if self._current.review is not None and self._current.review.asked else None
        ui.questionColor.setVisible(drawn is not None)
        if drawn is not None:
            ui.questionColor.setStyleSheet(_SWATCH.format(color=scene.preview_color(drawn.side)))
        ui.outlookLabel.text = self._outlook()
        ui.outlookLabel.setVisible(bool(ui.outlookLabel.text))
        self._editor.show_history()

    def keep(self) -> None:
        """Record that the segmentation is right here, and go to the next question."""
        self._act(self._dialogue.keep)

    def change(self) -> None:
        """Let the network change the segmentation here as it proposes."""
        self._act(self._dialogue.change)

    def next(self) -> None:
        """Go to the question after the present one."""
        self._act(partial(self._dialogue.step, 1))

    def previous(self) -> None:
        """Go to the question before the present one."""
        self._act(partial(self._dialogue.step, -1))

    def _act(self, action: Callable[[], None]) -> None:
        if self._current.parameters is not None:  # Else the module is being left.
            with errors_shown():
                action()

    # --- asking -------------------------------------------------------------------------------------------------------

    def _is_due(self) -> bool:
        is_shown = self._current.parameters is not None  # Else the module was left, or the scene closes.
        return is_shown and self._dialogue.due and not self._ui.questionsSection.collapsed

    def _ask_if_due(self) -> None:
        if self._is_due() and not python_packages.missing():
            with errors_shown():
                self._dialogue.ask()
        self.refresh()

    def _ask_again(self) -> None:
        with errors_shown():
            if python_packages.ensure():
                self._dialogue.ask_again()
        self.refresh()

    def _opened(self, collapsed: bool) -> None:
        if not collapsed:
            self.refresh()

    # --- clicks -------------------------------------------------------------------------------------------------------

    def _wait_for_click(self, side: Side, *_signal: Any) -> None:
        again = self._click.waiting and self._side == side
        self._click.stop()
        if not again and self._current.review is not None:
            self._side = side
            self._ui.segmentEditor.setActiveEffect(None)  # A brush would take the click.
            with errors_shown():
                self._click.wait()
        self.refresh()

    def _clicked(self, place: Triple) -> None:
        review = self._current.review
        if review is not None:
            with errors_shown():
                if python_packages.ensure():
                    self._dialogue.give(Answer((review.place_in_review(place),), self._side))
        self.refresh()

    # --- words --------------------------------------------------------------------------------------------------------

    def _strip(self) -> str:
        dialogue = self._dialogue
        if self._current.review is None:
            return ""
        if dialogue.problem:
            reason = dialogue.problem.rstrip(".")
            return _("No questions can be asked: {reason}. All else works as before.").format(reason=reason)
        if self._click.waiting:
            side = _("inside") if self._side == "inside" else _("outside")
            return _("Click a place in a slice that is {side} the atrium (Esc: none).").format(side=side)
        if dialogue.answering:
            return _("Working out what the answer changes ...")
        if dialogue.current is not None and dialogue.at is not None:
            words = question_words(dialogue.at + 1, len(dialogue.questions), dialogue.current)
            return words[:1].upper() + words[1:]
        if dialogue.asking:
            return self._why_not_asked() or _("Looking for questions ...")
        if dialogue.questions:
            count = counted(len(dialogue.questions), _("question"), _("questions"))
            return _("{count}: N goes to the first.").format(count=count)
        return _("Nothing to ask.")

    def _why_not_asked(self) -> str:
        if self._dialogue.due and python_packages.missing():
            return _("Questions need Python packages that are not installed yet: Apply asks for them.")
        return ""

    def _outlook(self) -> str:
        review, dialogue = self._current.review, self._dialogue
        if review is None:
            return ""
        words = outlook_words(dialogue.outlook, review.expected_dice)
        if dialogue.asking and words and dialogue.questions:
            words = _("{words} (being worked out anew)").format(words=words)
        return words[:1].upper() + words[1:]
