"""Questions on the page from end to end: the real child asks, keys and clicks answer, the files hold what was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page
from support.children import wait_for
from support.chromium import box, drag, wait
from support.serving import STATE, Served, ready, still

from mtctl.cases.store import CaseStore
from mtctl.io.volumes import read_mask

pytestmark = pytest.mark.browser

QUESTIONS = f"{STATE}.questions"

#: Seconds for the child to start, or to look for questions, on a busy machine.
PATIENCE = 180


@pytest.fixture
def asked_tab(folder: Path, chromium: BrowserContext) -> Iterator[Page]:
    """A page whose reviewer asks: the first question is shown."""
    server = Served(folder, asks=True)
    try:
        with chromium.new_page() as page:
            page.goto(server.link)
            wait(ready(page), f"{QUESTIONS}.at === 0", PATIENCE)
            yield page
    finally:
        server.stop()


def review_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result" / "phantom-0.review.json").read_text(encoding="utf-8"))
    return found


def replies_of(folder: Path) -> list[tuple[str, bool]]:
    return [(one["reply"], one["undone"]) for one in review_of(folder)["questions"]]


def corrected(folder: Path) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = read_mask(folder / "result" / "phantom-0.review.seg.nrrd").array != 0
    return found


def volume(tab: Page) -> str:
    return str(tab.evaluate(f"{STATE}.shown.volume"))


def middle_of(tab: Page, view: str) -> tuple[float, float]:
    left, top, width, height = box(tab, view)
    return left + width / 2, top + height / 2


def recorded(tab: Page, folder: Path, replies: list[tuple[str, bool]]) -> None:
    """Waits until the file holds these replies; what is saved is saved soon after it was done."""
    wait_for(lambda: (folder / "result" / "phantom-0.review.json").exists() and replies_of(folder) == replies, PATIENCE)
    wait(tab, f"{STATE}.saved === 'saved'", PATIENCE)


def test_five_answers_by_keys_a_stroke_undo_a_click_acceptance_and_a_second_look(asked_tab: Page, folder: Path):
    tab, keys = asked_tab, asked_tab.keyboard
    count, start, outlook = tab.evaluate(f"[{QUESTIONS}.count, {STATE}.shown.volume, {QUESTIONS}.outlook]")
    assert 1 <= count <= 10 and tab.locator("#mt-question").inner_text().startswith(f"Question 1 of {count}: ")
    assert outlook.startswith("Likely Dice 0.") and outlook.endswith(" mL") and ", volume " in outlook
    kept = min(3, count - 1)
    for _ in range(kept):  # Faster than the list is worked out anew.
        keys.press("k")
    keys.press("c")
    replies = [("kept", False)] * kept + [("changed", False)]
    recorded(tab, folder, replies)
    answered = volume(tab)
    assert answered != start
    wait(tab, f"{QUESTIONS}.at !== null || {QUESTIONS}.text === 'Nothing to ask.'", PATIENCE)
    if tab.evaluate(f"{QUESTIONS}.at") is not None:
        assert tab.evaluate(f"{QUESTIONS}.outlook") != outlook
        keys.press("k")
        replies.append(("kept", False))
        recorded(tab, folder, replies)
    last = {"kept": "keep", "changed": "answer"}[replies[-1][0]]
    wait(tab, f"{STATE}.shown.undo === '{last}'", PATIENCE)

    keys.press("d")
    wait(tab, f"{STATE}.tool === 'paint'", PATIENCE)
    still(tab)
    x, y = middle_of(tab, ".mt-axial")
    drag(tab, [(x + 4 * step, y) for step in range(-10, 11)])
    wait(tab, f"{STATE}.shown.undo === 'paint'", PATIENCE)
    keys.press("z")
    wait(tab, f"{STATE}.shown.undo === '{last}'", PATIENCE)
    assert volume(tab) == answered
    keys.press("z")
    recorded(tab, folder, [*replies[:-1], (replies[-1][0], True)])
    keys.press("y")
    recorded(tab, folder, replies)

    keys.press("o")
    wait(tab, f"{QUESTIONS}.click === 'outside' && {STATE}.tool === 'look'", PATIENCE)
    keys.press("Escape")
    wait(tab, f"{QUESTIONS}.click === ''", PATIENCE)
    keys.press("i")
    wait(tab, f"{QUESTIONS}.click === 'inside'", PATIENCE)
    x, y = middle_of(tab, ".mt-coronal")
    slices = tab.evaluate(f"{STATE}.slices")
    tab.mouse.click(x + 30, y - 20)
    replies.append(("clicked", False))
    recorded(tab, folder, replies)
    left, behind, up = place = review_of(folder)["questions"][-1]["place"]
    assert behind == pytest.approx(-slices["Coronal"]["value"], abs=0.01)
    scale = (left - slices["Sagittal"]["value"]) / 30
    assert 0.05 < scale < 1 and up == pytest.approx(slices["Axial"]["value"] + 20 * scale, abs=1.5 * scale)
    assert tab.evaluate(f"{QUESTIONS}.click") == ""
    clicked = read_mask(folder / "result" / "phantom-0.review.seg.nrrd")
    at = tuple(clicked.geometry.physical_to_index(place).round().astype(int)[::-1])
    assert clicked.array[at] != 0, "the clicked place is inside"

    tab.click("#mt-accept")
    wait(tab, "document.querySelector('#mt-verdict')?.innerText === 'case accepted'", PATIENCE)
    (case,) = CaseStore(folder / "case-store").cases()
    assert (case.corrected_mask() == corrected(folder)).all()
    tab.click("#mt-reopen")
    wait(tab, f"{STATE}.shown.status === 'draft'", PATIENCE)
    assert replies_of(folder) == replies
