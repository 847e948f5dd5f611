"""A child process that is asked for questions, in this process: it answers what the test says, at once or when told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Mask, Triple
from mtctl.processes.launcher import decode_argument
from mtctl.processes.messages import encode
from mtctl.review.answers import OBEYED_MM, Answer, Point, Said, ShownQuestion
from mtctl.review.places import near
from mtctl.system.fields import read_as
from mtctl.worker.protocol import next_request
from mtctl.worker.received import read_packed

_LOOK_MS = 2


def obeyed(mask: Mask, answer: Answer, geometry: Geometry) -> NDArray[np.int64]:
    """The voxels around the clicks that change side."""
    return np.flatnonzero(near(answer.clicks, OBEYED_MM, geometry) & (mask != (answer.side == "inside")))


class QuestionChild:
    """What the test says of the child, and what it was asked.

    Attributes:
        asks: Returns the questions about a mask after what was said; the test sets it.
        requests: In order: mask, what was said before, and the answer.
        failure: What is said in place of an answer; "": nothing fails.
        ending: How the child ends at the next request; "": it does not.
        held: Whether answers wait.
    """

    def __init__(self) -> None:
        self.asks: Callable[[Mask, Said], list[ShownQuestion]] = lambda mask, said: []
        self.requests: list[tuple[Mask, Said, Answer | None]] = []
        self.failure = self.ending = ""
        self.held = False
        self.started = 0

    def transport(self) -> QuestionChildTransport:
        """A child of this kind, as `WorkerClient` takes it."""
        return QuestionChildTransport(self)


class QuestionChildTransport:
    """One child; see `Transport`."""

    def __init__(self, child: QuestionChild) -> None:
        import qt

        self._child, self._after = child, 0
        self._timer = qt.QTimer()
        self._timer.setInterval(_LOOK_MS)

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        on_output: Callable[[bytes], None],
        on_error: Callable[[bytes], None],
        on_finished: Callable[[str], None],
    ) -> None:
        """As `Transport.start`."""
        self._child.started += 1
        self._exchange = Path(decode_argument(arguments[-1]))
        self._say, self._end = on_output, on_finished
        on_output(encode({"event": "ready"}))
        self._timer.connect("timeout()", self._look)
        self._timer.start()

    def kill_tree(self) -> None:
        """As `Transport.kill_tree`."""
        self._timer.stop()

    def _look(self) -> None:
        found = None if self._child.held else next_request(self._exchange, self._after)
        if found is None:
            return
        self._after, request = found
        if self._child.ending:
            self._timer.stop()
            self._end(self._child.ending)
        elif self._child.failure:
            self._say(encode({"event": "failed", "id": self._after, "message": self._child.failure}))
        else:
            self._answer(request)

    def _answer(self, request: dict[str, Any]) -> None:
        number, folder = request["id"], Path(request["output"])
        geometry = Geometry.from_json(request["geometry"])
        mask, said = read_packed(folder / "mask.npy", geometry), read_as(Said, request["said"], "said")
        answer = read_as(Answer, request["answer"], "answer") if request["answer"] else None
        self._child.requests.append((mask.copy(), said, answer))
        if answer:
            changed = obeyed(mask, answer, geometry)
            np.save(folder / "changed.npy", changed)
            self._say(encode({"event": "answered", "id": number, "changed": "changed.npy"}))
            mask.reshape(-1)[changed] ^= True
            said = Said((*said.answers, answer), said.kept)
        volume = float(mask.sum()) * geometry.voxel_ml
        outlook = {"volume_ml": {"value": volume, "low": volume - 4, "high": volume + 4}, "doubt_left": 0.5}
        self._say(encode({"event": "outlook", "id": number, **outlook}))
        questions = self._child.asks(mask, said)
        for place, question in enumerate(questions):
            np.save(folder / f"question-{place}.npy", question.voxels)
        fields = ("name", "place", "click", "side", "change_ml", "chance")
        listed = [{name: getattr(question, name) for name in fields} for question in questions]
        self._say(encode({"event": "done", "id": number, "questions": listed}))


def at_either_side(mask: Mask, geometry: Geometry) -> dict[str, tuple[Triple, str]]:
    """Return two places on the border of a mask (z, y, x): at one it ends too early, at the other too late."""
    z, y, x = np.argwhere(mask).T
    middle = int(y.mean()), int(z.mean())
    outside = geometry.index_to_physical((int(x.min()) - 1, *middle)).tolist()
    inside = geometry.index_to_physical((int(x.max()), *middle)).tolist()
    return {
        "left inferior vein": ((outside[0], outside[1], outside[2]), "inside"),
        "mitral plane": ((inside[0], inside[1], inside[2]), "outside"),
    }


def made_up_questions(
    places: Mapping[str, tuple[Triple, str]], geometry: Geometry
) -> Callable[[Mask, Said], list[ShownQuestion]]:
    """Returns what asks about each place until something was said there.

    Args:
        places: Place (LPS mm) and the side of the opposite answer, by name.
        geometry: The scan's grid.
    """

    def ask(mask: Mask, said: Said) -> list[ShownQuestion]:
        done: set[Point] = {*said.kept, *(click for answer in said.answers for click in answer.clicks)}
        questions = []
        for name, (place, side) in places.items():
            if place in done:
                continue
            answer = Answer((place,), "inside" if side == "inside" else "outside")
            voxels = obeyed(mask, answer, geometry)
            ml = len(voxels) * geometry.voxel_ml * (1 if side == "inside" else -1)
            questions.append(ShownQuestion(name, place, place, answer.side, ml, 0.5, voxels))
        return questions

    return ask
