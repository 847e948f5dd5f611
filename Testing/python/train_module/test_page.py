"""What the page of MTCTLTrain shows: its width, names of cases, columns, counts, and nothing that is true no more."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.train_module import finished_run, text_of, verdict_on

from mtctl.cases.store import CaseStore
from mtctl.models.model import Model
from mtctl.models.store import ModelStore

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("answered_here")]


def case_line(id: str, **known: Any) -> Any:
    from MTCTLTrainLib.page_state import CaseLine

    line = {"state": "predicted", "labelled": False, "reviewer": "", "changed": "2026-11-29T08:01:00", "version": 0}
    return CaseLine(**{"id": id, **line, "score": None, "rank": None, **known})


def show(host: Any, module: Any, *lines: Any) -> None:
    module.page.cases = lines
    module.page.notify()
    host.process_events()


def columns(module: Any) -> list[str]:
    """The titles of the columns that are shown."""
    table = module.ui.caseTable
    count = range(table.columnCount)
    return [table.horizontalHeaderItem(place).text() for place in count if not table.isColumnHidden(place)]


@pytest.fixture
def trainer() -> Iterator[int]:
    """A process that seems to train."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process.pid
    process.kill()
    process.wait()


def running(folder: Path, trainer: int, minutes: int = 30) -> None:
    """The folder of a run under way."""
    folder.mkdir(parents=True, exist_ok=True)
    order = {"store": "", "base": "", "length": ["--minutes", str(minutes)], "device": "cpu", "further": []}
    (folder / "order.json").write_text(json.dumps(order), "utf-8")
    status = {"pid": trainer, "started": 1.0, "heard": time.time(), "state": "running", "message": ""}
    (folder / "status.json").write_text(json.dumps(status), "utf-8")


def tell(folder: Path, *events: dict[str, Any]) -> None:
    with open(folder / "progress.jsonl", "a", encoding="utf-8") as log:
        log.writelines(json.dumps({"fold": 1, "folds": 2, "iteration": 0, **event}) + "\n" for event in events)


def end(folder: Path) -> None:
    status = json.loads((folder / "status.json").read_text("utf-8")) | {"state": "finished"}
    (folder / "status.json").write_text(json.dumps(status), "utf-8")


def test_the_panel_needs_the_same_width_whatever_it_says(
    host: Any, module: Any, site: ModelStore, store: CaseStore, tiny_model: Model, tmp_path: Path, trainer: int
) -> None:
    page, ui, panel = module.page, module.ui, module.ui.casesSection.parent()
    widths = set()

    def look() -> None:
        host.process_events()
        widths.add((panel.minimumSizeHint.width(), panel.sizeHint.width(), host.window.panel.width()))

    look()
    long = "Ward-7-" + "follow-up-" * 5
    show(host, module, case_line(long, rank=1, reviewer="a" * 30), case_line("case-076ed2f896fd", rank=2))
    look()
    page.troubles = (f"{long}: cannot be read, " + "for one reason or another " * 9,) * 3
    page.models = (dataclasses.replace(page.models[0], title=long * 2), *page.models[1:])
    page.notify()
    look()
    running(tmp_path / "runs" / "run", trainer)
    tell(tmp_path / "runs" / "run", {"event": "skipped", "case": long, "reason": "segment it first " * 20})
    page.find_run()
    look()
    page.progress.comparing = True
    page.notify()
    look()
    ui.advancedBox.collapsed = False
    look()
    ui.lengthSelector.currentIndex = 1
    look()
    end(tmp_path / "runs" / "run")
    page.poll()
    finished_run(tmp_path / "runs", verdict_on(site.version(1).model, -0.01), tiny_model, store)
    os.utime(tmp_path / "runs" / "2026-11-24-120000" / "order.json", (2e9, 2e9))
    page.find_run()
    look()
    assert ui.reasonEdit.isVisible(), "all widgets have been seen"
    assert len(widths) == 1
    assert widths.pop()[0] <= 400, "narrower than any width that a person chooses"


def test_nothing_reaches_beyond_the_right_edge(host: Any, module: Any) -> None:
    show(host, module, case_line("case-076ed2f896fd-of-a-ward-with-a-long-name-2026-11", rank=1))
    panel = module.ui.casesSection.parent()
    for widget in (module.ui.refreshButton, module.ui.nextCaseLabel, module.ui.curvesBox, module.ui.rollBackButton):
        right = widget.mapTo(panel, widget.rect.topRight())
        assert right.x() < panel.width, widget.objectName
    assert "not segmented yet" in module.ui.nextCaseLabel.text


def test_cases_have_short_names_by_which_they_differ_and_are_opened_by_their_whole_ones(
    host: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ["case-076ed2f896fd", "case-076ed2f80000", "case-311af8000000-2", "case-1", "Ward-7"]
    show(host, module, *map(case_line, ids))
    assert [row[0] for row in text_of(module.ui.caseTable)] == [
        "076ed2f89",
        "076ed2f80",
        "311af8000",
        "case-1",
        "Ward-7",
    ]
    assert ids[0] in module.ui.caseTable.item(0, 0).toolTip()
    opened = list[str]()
    monkeypatch.setattr(module.casePanel, "_opener", opened.append)
    module.casePanel._clicked(0, 0)
    assert opened == [ids[0]]


def test_columns_are_shown_where_something_is_known(host: Any, module: Any, site: ModelStore) -> None:
    show(host, module, case_line("case-0"))
    assert columns(module) == ["Case", "State", "Date (UTC)"]
    show(host, module, case_line("case-0", reviewer="MK"))
    assert columns(module) == ["Case", "State", "Reviewer", "Date (UTC)"]
    module.page.verdict = verdict_on(site.version(1).model, 0.01)
    show(host, module, case_line("case-0", reviewer="MK"))
    assert columns(module) == ["Case", "State", "Dice old", "Dice new", "Reviewer", "Date (UTC)"]


@pytest.mark.parametrize(
    ("labelled", "text"),
    [
        ([False], "1 case, not corrected yet."),
        ([True], "1 case, corrected or accepted."),
        ([False, False], "2 cases, none of them corrected or accepted."),
        ([True, False], "2 cases, 1 of them corrected or accepted."),
    ],
)
def test_cases_are_counted_in_the_singular_too(host: Any, module: Any, labelled: list[bool], text: str) -> None:
    show(host, module, *(case_line(f"case-{place}", labelled=is_so) for place, is_so in enumerate(labelled)))
    assert module.ui.casesLabel.text == text


def test_a_case_that_cannot_be_used_is_named_with_its_cause(
    host: Any, module: Any, tmp_path: Path, trainer: int
) -> None:
    folder, reason = tmp_path / "runs" / "run", "case b: a large scan, and no prediction says where its atrium is"
    running(folder, trainer)
    tell(folder, {"event": "skipped", "case": "b", "reason": reason})
    module.page.find_run()
    text = "⚠ Without 1 case that cannot be used. b: a large scan, and no prediction says where its atrium is."
    assert module.ui.noteLabel.text == text
    tell(folder, {"event": "skipped", "case": "c", "reason": "c: its scan is damaged"})
    module.page.poll()
    assert module.ui.noteLabel.text.startswith("⚠ Without 2 cases that") and module.ui.noteLabel.text.endswith(
        "1 more."
    )
    assert "c: its scan is damaged." in module.ui.noteLabel.toolTip


def test_what_is_said_of_a_run_ends_with_it(host: Any, module: Any, tmp_path: Path, trainer: int) -> None:
    import slicer

    ui, page, bar = module.ui, module.page, slicer.util.mainWindow().statusBar()
    assert "known after the first one" in ui.estimateLabel.text
    running(tmp_path / "runs" / "first", trainer)
    page.find_run()
    assert not ui.estimateLabel.isVisible(), "how long it takes is shown below"
    end(tmp_path / "runs" / "first")
    page.poll()
    assert "no verdict" in ui.verdictLabel.text and "are compared here" not in ui.verdictLabel.text
    assert bar.currentMessage() == "MT-CTL Train: Finished"
    running(tmp_path / "runs" / "second", trainer)
    os.utime(tmp_path / "runs" / "second" / "order.json", (2e9, 2e9))
    page.find_run()
    assert bar.currentMessage() == "" and "are compared here" in ui.verdictLabel.text


def test_a_published_model_that_is_not_in_use_any_more_is_not_called_so(
    host: Any, module: Any, site: ModelStore, store: CaseStore, tiny_model: Model, tmp_path: Path
) -> None:
    from MTCTLTrainLib.runs.training_run import Decision

    finished_run(tmp_path / "runs", verdict_on(site.version(1).model, 0.01), tiny_model, store)
    module.page.find_run()
    module.page.run.decide(Decision("published", "site-0001"))
    module.page.notify()
    assert module.ui.verdictLabel.text == "Published as site-0001."
    module.page.published = None
    module.page.notify()
    assert module.ui.verdictLabel.text == "Published as site-0001. It is not in use any more."


def test_a_time_left_that_is_longer_than_the_minutes_asked_for_says_why(
    host: Any, module: Any, tmp_path: Path, trainer: int
) -> None:
    folder = tmp_path / "runs" / "run"
    running(folder, trainer, minutes=1)
    module.page.find_run()
    told = {"event": "progress", "losses": {"dice": 0.5}, "share": 0.1, "of": 20}
    tell(folder, told | {"iteration": 10, "seconds_left": 50})
    module.page.poll()
    assert "longer than asked for" not in module.ui.timeLabel.text
    tell(folder, told | {"iteration": 10, "seconds_left": 300})
    module.page.poll()
    assert "About 5 minutes left, longer than asked for" in module.ui.timeLabel.text
