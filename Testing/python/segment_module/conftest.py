"""The module MTCTLSegment in the test host, a scan, and its review."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.asked_module import FLOOR, PATIENCE, ROOF, VEIN, let_ask, let_ask_no_more, questions_at, strip
from support.paths import ROOT
from support.question_child import QuestionChild
from support.same_process import answer_here
from support.segment_module import arrive, choose_store, current, load_scan

from mtctl.cases.store import CaseStore


@pytest.fixture(scope="session")
def module_loaded(running_application: Any) -> str:
    running_application.module(ROOT / "MTCTLSegment" / "MTCTLSegment.py")
    return "MTCTLSegment"


@pytest.fixture
def module(host: Any, module_loaded: str) -> Iterator[Any]:
    """The module, entered in an empty scene; nothing is remembered from before."""
    import qt

    qt.QSettings().remove("MTCTLSegment")
    entered = host.enter(module_loaded)
    entered.ui.storeEdit.currentPath = ""
    yield entered
    widget = current(host)
    if widget.logic.job.running:
        widget.scanPanel.cancel()
    host.leave()
    # What a reloaded module leaves observes its parameter node until it is collected: never while that node has news,
    # for VTK would call an observer that is gone.
    gc.collect()


@pytest.fixture
def stored_here(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written into the case store, and whatever else a child process is asked for, is done by this process."""
    answer_here(monkeypatch)


@pytest.fixture
def scan_node(host: Any, module: Any) -> Any:
    """A scan that was just loaded and chosen in the panel."""
    return load_scan(host, module)


@pytest.fixture
def case(host: Any, module: Any, scan_node: Any) -> Any:
    """The review of a scan whose result has just arrived."""
    return arrive(host, module, scan_node)


@pytest.fixture
def store(host: Any, module: Any, tmp_path: Path) -> CaseStore:
    """The store that is chosen in the panel; nothing is in it yet."""
    choose_store(host, module.finishPanel.storeEdit, tmp_path / "store")
    return CaseStore(tmp_path / "store")


@pytest.fixture
def child(host: Any, module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[QuestionChild]:
    """The child that is asked for questions; it has none unless the test says so."""
    made = QuestionChild()
    let_ask(module, made, monkeypatch)
    yield made
    made.held = False
    let_ask_no_more(current(host))


@pytest.fixture
def asked(host: Any, module: Any, child: QuestionChild, scan_node: Any) -> Any:
    """A case whose questions, about three places on the border of the ball, have come."""
    from mtctl import scene

    child.asks = questions_at((VEIN, ROOF, FLOOR), scene.volume_of(scan_node).geometry)
    review = arrive(host, module, scan_node)
    assert host.wait_until(lambda: strip(module).startswith("Question 1 of 3"), PATIENCE)
    return review
