"""The reviewer's measures: made when asked for, made anew after a change, and gone with their case."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser_case import write_case

from mtctl.browser.sources.folder import FolderSource
from mtctl.browser.ui import measuring
from mtctl.browser.ui.measuring import NOTHING, CaseMeasurer
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.cases.store import CaseStore
from mtctl.errors import MtctlError
from mtctl.measures.document import CaseMeasures, IntervalEstimate

pytestmark = pytest.mark.slow


class ShownState:
    """As trame's: changed in a `with`."""

    def __init__(self) -> None:
        self.measures: dict[str, Any] = NOTHING

    def __enter__(self) -> ShownState:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rows(self) -> dict[str, tuple[str, str]]:
        return {row["name"]: (row["value"], row["interval"]) for row in self.measures["rows"]}


@pytest.fixture
def case(tmp_path: Path) -> CaseUnderReview:
    write_case(tmp_path)
    source = FolderSource(tmp_path, CaseStore(tmp_path / "case-store"))
    return CaseUnderReview("ball", "ball", source.open("ball.image.nrrd"))


@pytest.fixture
def measured_masks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The volumes of what is measured, in voxels; the numbers come without a child process."""
    asked: list[float] = []

    async def at_once(case: CaseUnderReview, session: Any, mask: Any) -> CaseMeasures:
        await asyncio.sleep(0)
        asked.append(float(mask.sum()))
        number = IntervalEstimate(asked[-1], 0.0, 1.0)
        return CaseMeasures(case.name, number, number, (number,) * 3, number)

    monkeypatch.setattr(measuring, "_measure_in_child", at_once)
    monkeypatch.setattr(measuring, "_AFTER", 0.0)
    return asked


def run(work: Callable[[CaseMeasurer, ShownState], Awaitable[None]]) -> ShownState:
    """Does something with a measurer and waits for its numbers."""
    state = ShownState()

    async def session() -> None:
        measurer = CaseMeasurer(state)
        await work(measurer, state)
        await settled(state)
        measurer.close()

    asyncio.run(session())
    return state


async def settled(state: ShownState) -> None:
    await asyncio.sleep(0.02)  # Of 0 seconds: the loop's timers come first.
    for _ in range(3000):
        if not state.measures["busy"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(state.measures)


def test_the_numbers_come_from_a_child_process_with_their_intervals(case: CaseUnderReview) -> None:
    async def work(measurer: CaseMeasurer, state: ShownState) -> None:
        measurer.ask(case)
        assert state.measures["busy"]

    shown = run(work).rows()
    assert shown["Volume"][0] == f"{case.volume_ml:.1f} mL"
    assert len(shown) == 6 and all(" to " in interval for _, interval in shown.values())


def test_nothing_is_measured_that_nobody_asked_for(case: CaseUnderReview, measured_masks: list[float]) -> None:
    async def work(measurer: CaseMeasurer, state: ShownState) -> None:
        measurer.follow(case)

    assert run(work).measures == NOTHING and measured_masks == []


def test_a_change_is_measured_anew_and_a_glance_is_not(case: CaseUnderReview, measured_masks: list[float]) -> None:
    async def work(measurer: CaseMeasurer, state: ShownState) -> None:
        measurer.ask(case)
        await settled(state)
        measurer.follow(case)
        await settled(state)
        case.mask = np.zeros_like(case.mask)
        measurer.follow(case)
        await settled(state)

    assert run(work).rows()["Volume"][0] == "0.0 mL"
    assert len(measured_masks) == 2 and measured_masks[1] == 0


def test_the_numbers_of_a_case_go_with_it(case: CaseUnderReview, measured_masks: list[float]) -> None:
    async def work(measurer: CaseMeasurer, state: ShownState) -> None:
        measurer.ask(case)
        await settled(state)
        assert state.rows()
        measurer.follow(None)

    assert run(work).measures == NOTHING


def test_what_cannot_be_measured_is_said(case: CaseUnderReview, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> CaseMeasures:
        raise MtctlError("the mask is empty: there is nothing to measure")

    monkeypatch.setattr(measuring, "_measure_in_child", refuse)

    async def work(measurer: CaseMeasurer, state: ShownState) -> None:
        measurer.ask(case)

    shown = run(work).measures
    assert shown["text"] == "not measured: the mask is empty: there is nothing to measure" and not shown["busy"]
