"""The measures of the case on the screen, made by a child process, and made anew after each change once asked for."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.errors import MtctlError
from mtctl.geometry import Mask
from mtctl.measures.case import settled_by_the_person
from mtctl.measures.document import CaseMeasures
from mtctl.measures.hand_over import FOLDER, hand_over
from mtctl.measures.rows import shape_rows
from mtctl.processes.arrays import write_steps
from mtctl.processes.launcher import child_environment
from mtctl.processes.request import Events, RequestProcess
from mtctl.processes.transport import SubprocessTransport
from mtctl.review.session import ReviewSession
from mtctl.system.fields import read_as
from mtctl.system.files import reason_of
from mtctl.system.temporary import make_own_folder

#: Seconds after the last change: a stroke goes on.
_AFTER = 1.0

#: Nothing was measured; the page's state as it begins.
NOTHING: dict[str, Any] = {"rows": [], "text": "", "busy": False}


class CaseMeasurer:
    """Shows numbers in the page's state "measures"; everything but the numbers runs in the event loop."""

    def __init__(self, state: Any) -> None:
        self._state = state
        self._case: CaseUnderReview | None = None  # The one that a person asked for.
        self._measured: tuple[Mask, Any] | None = None  # What the numbers are of, or will be.
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, case: CaseUnderReview) -> None:
        """Measure a case now, and after each change of it."""
        self._case = case
        self._begin()

    def follow(self, case: CaseUnderReview | None) -> None:
        """Take note of how the case on the screen stands."""
        if case is not self._case or case is None:
            self.close()
            self._state.measures = NOTHING
        elif self._timer is None and not _alike(self._measured, _stand(case)):
            self._timer = asyncio.get_running_loop().call_later(_AFTER, self._begin)

    def close(self) -> None:
        """Stop what is under way."""
        if self._task:
            self._task.cancel()
        if self._timer:
            self._timer.cancel()
        self._case = self._measured = self._task = self._timer = None

    def _begin(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if self._task:
            self._task.cancel()
        if self._case:
            self._measured = _stand(self._case)
            with self._state as state:
                state.measures = {**state.measures, "text": "measuring …", "busy": True}
            self._task = asyncio.get_running_loop().create_task(self._measure(self._case))

    async def _measure(self, case: CaseUnderReview) -> None:
        session, mask = case.snapshot()
        try:
            measures = await _measure_in_child(case, session, mask)
        except (MtctlError, OSError) as error:
            shown = {"rows": [], "text": f"not measured: {reason_of(error)}", "busy": False}
        else:
            rows = [{"name": row.name, "value": row.value, "interval": row.interval} for row in shape_rows(measures)]
            text = f"{measures.settled_percent:.0f} % of the uncertainty is settled"
            shown = {"rows": rows, "text": text, "busy": False}
        with self._state as state:
            state.measures = shown


def _stand(case: CaseUnderReview) -> tuple[Mask, Any]:
    """Return what the numbers depend on; a mask is never changed in place."""
    return case.mask, settled_by_the_person(case.session)


def _alike(before: tuple[Mask, Any] | None, now: tuple[Mask, Any]) -> bool:
    return before is not None and before[0] is now[0] and before[1] == now[1]


async def _measure_in_child(case: CaseUnderReview, session: ReviewSession, mask: Mask) -> CaseMeasures:
    folder = await asyncio.to_thread(make_own_folder, FOLDER)

    def write() -> Path:
        handed = hand_over(case.name, session, mask, case.report, session.maps.geometry)
        for name, array in handed.arrays.items():
            for _ in write_steps(array, folder / f"{name}.npy"):
                pass
        path = folder / "request.json"
        message = {"arrays": {name: f"{name}.npy" for name in handed.arrays}, **handed.content}
        path.write_text(json.dumps(message), encoding="utf-8")
        return path

    writing = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        request = await asyncio.shield(writing)
        answer = await _ask_child("mtctl.measures.process", request)
        return read_as(CaseMeasures, answer["measures"], "the process that measures")
    finally:
        await asyncio.wait([writing])  # A thread goes on where it is waited for no more.
        shutil.rmtree(folder, ignore_errors=True)


async def _ask_child(module: str, request: Path) -> dict[str, Any]:
    """Return the last answer of a child process; where this is cancelled, it ends.

    Raises:
        MtctlError: It says that it failed, or ended.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Events] = loop.create_future()

    def settle(set_it: Callable[[Any], None], outcome: object) -> None:
        if not answered.done():
            set_it(outcome)

    def done(events: Events) -> None:
        loop.call_soon_threadsafe(settle, answered.set_result, events)

    def failed(reason: str) -> None:
        loop.call_soon_threadsafe(settle, answered.set_exception, MtctlError(reason))

    process = RequestProcess(
        SubprocessTransport(), "the process that measures", (module, str(request)), child_environment(os.environ),
        done, failed,
    )  # fmt: skip
    process.start()
    try:
        return (await answered)[-1]
    finally:
        process.cancel()
