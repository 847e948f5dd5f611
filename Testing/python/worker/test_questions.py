"""Questions through the real child process, with the shipped guidance network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from support.guidance import turned

from mtctl.geometry import Volume
from mtctl.review.answers import Answer, Said, ShownQuestion, with_changed
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import QuestionedCase, QuestionHandlers

pytestmark = pytest.mark.slow

PATIENCE = 300.0
GEOMETRY = turned((48, 44, 24), (1.3, 1.2, 2.4), 12.0)


@dataclass
class Told:
    """What the handlers of one request were told, in order."""

    events: list[str] = field(default_factory=list)
    changed: NDArray[np.int64] | None = None
    questions: list[ShownQuestion] | None = None
    failure: str = ""

    def handlers(self) -> QuestionHandlers:
        return QuestionHandlers(answered=self._answered, done=self._done, failed=self._failed)

    def ended(self) -> bool:
        return self.questions is not None or bool(self.failure)

    def _answered(self, voxels: NDArray[np.int64]) -> None:
        self.events.append("answered")
        self.changed = voxels

    def _done(self, questions: list[ShownQuestion]) -> None:
        self.events.append("done")
        self.questions = questions

    def _failed(self, message: str) -> None:
        self.failure = message


def away() -> NDArray[np.float64]:
    indices = np.indices(GEOMETRY.shape).reshape(3, -1).T[:, ::-1]
    middle = GEOMETRY.index_to_physical((np.array(GEOMETRY.size) - 1) / 2)
    return np.linalg.norm(GEOMETRY.index_to_physical(indices) - middle, axis=1).reshape(GEOMETRY.shape)


def from_middle(left: float, back: float, up: float) -> list[float]:
    middle = GEOMETRY.index_to_physical((np.array(GEOMETRY.size) - 1) / 2)
    return [float(at) for at in middle + np.array([left, back, up])]


@pytest.fixture(scope="module")
def case() -> QuestionedCase:
    mask = away() < 18
    scan = (200 * mask + np.random.default_rng(0).normal(50, 20, mask.shape)).astype(np.int16)
    probability = (1 / (1 + np.exp((away() - 18) / 1.5))).astype(np.float32)
    return QuestionedCase("one", Volume(scan, GEOMETRY), mask, probability, "cpu")


@pytest.fixture(scope="module")
def client() -> Iterator[WorkerClient]:
    client = WorkerClient()
    yield client
    client.close()


def drive(client: WorkerClient, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline
        client.poll()
        time.sleep(0.01)


def ask(
    client: WorkerClient, case: QuestionedCase, mask: NDArray[np.bool_], said: Said, answer: Answer | None = None
) -> Told:
    told = Told()
    client.ask(case, mask, said, answer, told.handlers())
    drive(client, told.ended)
    return told


def test_an_answer_is_obeyed_first_and_the_questions_follow(client: WorkerClient, case: QuestionedCase) -> None:
    first = ask(client, case, case.original, Said())
    assert first.events == ["done"] and not first.failure
    x, y, z = from_middle(0.0, 0.0, 22.0)
    answer = Answer(((x, y, z),), "inside")
    told = ask(client, case, case.original, Said(), answer)
    assert told.events == ["answered", "done"] and told.changed is not None
    after = with_changed(case.original, told.changed)
    here = tuple(np.round(GEOMETRY.physical_to_index((x, y, z))[::-1]).astype(int))
    assert after[here] and not (case.original & ~after).any()
    # The same again, as after an undo, is the same to the last voxel.
    again = ask(client, case, case.original, Said(), answer)
    assert np.array_equal(again.changed, told.changed)


def test_what_was_painted_since_is_what_the_answer_is_about(client: WorkerClient, case: QuestionedCase) -> None:
    painted = case.original.copy()
    painted[10:14, 2:8, 2:8] = True
    x, y, z = from_middle(20.0, 0.0, 0.0)
    told = ask(client, case, painted, Said(), Answer(((x, y, z),), "inside"))
    assert told.changed is not None
    assert with_changed(painted, told.changed)[10:14, 2:8, 2:8].all()


def test_a_cancelled_request_says_nothing_and_the_next_child_gets_the_case_anew(
    client: WorkerClient, case: QuestionedCase
) -> None:
    dropped = Told()
    number = client.ask(case, case.original, Said(), None, dropped.handlers())
    client.poll()
    client.cancel(number)
    told = ask(client, case, case.original, Said())
    assert told.questions is not None and not dropped.events


def test_a_scan_that_no_network_can_use_is_said_and_the_child_lives_on(
    client: WorkerClient, case: QuestionedCase
) -> None:
    flat = Volume(np.full(GEOMETRY.shape, np.nan, np.float32), GEOMETRY)
    assert ask(client, replace(case, key="flat", volume=flat), case.original, Said()).failure
    assert ask(client, case, case.original, Said()).questions is not None
