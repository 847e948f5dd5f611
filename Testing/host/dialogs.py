"""Questions that the application would ask a person, answered by the test.

A test says beforehand what will be answered (``host.answer(True)``); a question without an answer gets the answer of
the application's testing mode. All of them, and all messages, are kept for the test to look at.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """What a person would have read: ``kind`` is "error", "warning", "info", "question" or a dialog's class."""

    kind: str
    text: str


@dataclass
class Dialogs:
    """The messages shown so far and the answers still to be given."""

    shown: list[Message] = field(default_factory=list)
    answers: deque[Any] = field(default_factory=deque)

    def asked(self, kind: str, text: str, default: Any) -> Any:
        """Records a question and returns the next answer, or ``default`` when none is left."""
        self.shown.append(Message(kind, text))
        return self.answers.popleft() if self.answers else default

    def asked_by_dialog(self, dialog: Any) -> int:
        """A modal dialog was executed: an answer may be a function that fills it in and returns accepted or not."""
        text = dialog.property("text") or dialog.windowTitle()
        answer = self.asked(type(dialog).__name__, str(text), 0)
        return int(answer(dialog) if callable(answer) else answer)


dialogs = Dialogs()
