"""A review in the browser from end to end: what is seen, what is pressed, and what is then in the files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page
from support.chromium import box, drag, pixels, wait
from support.serving import STATE, Served, ready, still

from mtctl.cases.history import CaseState
from mtctl.cases.store import CaseStore
from mtctl.io.volumes import read_map, read_mask

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class ReviewedCase:
    """A case in a folder, whose results lie in the folder `result` there."""

    folder: Path
    name: str

    def review(self) -> dict[str, Any]:
        """Return the review as it is on the disk."""
        found: dict[str, Any] = json.loads(self._result("review.json").read_text(encoding="utf-8"))
        return found

    def corrected(self) -> NDArray[np.bool_]:
        return read_mask(self._result("review.seg.nrrd")).array != 0

    def predicted(self) -> NDArray[np.bool_]:
        return read_mask(self._result("seg.nrrd")).array != 0

    def uncertainty(self) -> NDArray[np.float32]:
        return read_map(self._result("uncertainty.nrrd")).array

    def _result(self, ending: str) -> Path:
        return self.folder / "result" / f"{self.name}.{ending}"


@pytest.fixture(scope="module")
def shared_folder(segmented: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the case five times, each for one test."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "result").mkdir()
    for number in range(5):
        for path in (path for path in segmented.rglob("phantom-0.*") if path.is_file()):
            copy = folder / path.relative_to(segmented).with_name(path.name.replace("phantom-0", f"phantom-{number}"))
            shutil.copy(path, copy)
            if copy.suffix == ".json":
                copy.write_text(copy.read_text("utf-8").replace("phantom-0", copy.stem), "utf-8")
    return folder


@pytest.fixture(scope="module")
def shared(shared_folder: Path) -> Iterator[Served]:
    """The reviewer of that folder."""
    server = Served(shared_folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    """The names of its cases."""
    return iter([f"phantom-{number}" for number in range(5)])


@pytest.fixture
def case(shared_folder: Path, names: Iterator[str]) -> ReviewedCase:
    """A case there that nobody has touched yet."""
    return ReviewedCase(shared_folder, next(names))


@pytest.fixture
def case_tab(shared: Served, case: ReviewedCase, chromium: BrowserContext) -> Iterator[Page]:
    """A page that shows it."""
    with chromium.new_page() as page:
        page.goto(shared.link)
        ready(page)
        page.evaluate(f"key => window.trame.trigger('open', [{STATE}.at, key])", f"{case.name}.image.nrrd")
        wait(page, f"{STATE}.shown.name === '{case.name}'", 60)
        yield ready(page)


@pytest.fixture
def own_case(folder: Path) -> ReviewedCase:
    """The only case of a reviewer of the test's own."""
    return ReviewedCase(folder, "phantom-0")


def saved(tab: Page) -> None:
    wait(tab, f"{STATE}.saved === 'saved'")


def erase_in_the_middle(tab: Page) -> None:
    """Erase across the middle of the axial view, over both borders of the atrium."""
    tab.keyboard.press("Escape")  # All cases have one tool: E where it is chosen already puts it away.
    wait(tab, f"{STATE}.tool === 'look'")
    tab.keyboard.press("e")
    wait(tab, f"{STATE}.tool === 'erase'")
    still(tab)
    left, top, width, height = box(tab, ".mt-axial")
    x, y = left + width / 2, top + height / 2
    drag(tab, [(x + width * step / 40, y) for step in range(-14, 15)])
    wait(tab, f"{STATE}.shown.undo === 'erase'")


def test_the_page_shows_scan_heatmap_and_surface_and_loads_nothing_from_elsewhere(
    chromium: BrowserContext, shared: Served
):
    tab = chromium.new_page()
    requests: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("websocket", lambda socket: requests.append(socket.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(f"exception: {error}"))
    tab.goto(shared.link)
    ready(tab)
    still(tab)
    view = pixels(tab.locator(".mt-axial")).astype(int)
    grey = np.abs(view - view.mean(axis=2, keepdims=True)).max(axis=2) < 12
    assert (grey & (view[..., 0] > 60)).mean() > 0.2, "the scan is missing"
    assert ((view[..., 1] > 150) & (view[..., 2] < 110)).sum() > 300, "the heatmap is missing"
    assert pixels(tab.locator(".mt-volume")).std() > 8, "the surface is missing"
    assert "likely Dice" in tab.evaluate("document.querySelector('#mt-summary').innerText")
    foreign = [url for url in requests if not url.startswith((shared.address, shared.address.replace("http", "ws")))]
    assert [url for url in foreign if not url.startswith(("blob:", "data:"))] == []
    assert [line for line in said if "exception" in line] == []
    tab.close()


def test_the_page_measures_the_case_when_asked_and_shows_intervals(chromium: BrowserContext, shared: Served):
    with chromium.new_page() as page:
        page.goto(shared.link)
        tab = ready(page)
        assert "extents" in tab.locator("#mt-measured").inner_text()
        tab.click("#mt-measure")
        wait(tab, f"{STATE}.measures.rows.length === 6", 60)
        volume = tab.locator("[data-measure='Volume']").inner_text().split("\n")
        assert volume[1] == tab.evaluate(f"{STATE}.shown.volume") and " to " in volume[2]


def test_dragging_the_threshold_changes_picture_and_file(case_tab: Page, case: ReviewedCase):
    tab = case_tab
    still(tab)
    before = pixels(tab.locator(".mt-axial"))
    left, top, width, height = box(tab, "#mt-threshold")
    x, y = left + width * tab.evaluate(f"{STATE}.threshold"), top + height / 2
    drag(tab, [(x, y), (x - width * 0.2, y), (left + width * 0.3, y)])
    wait(tab, f"Math.abs({STATE}.threshold - 0.3) < 0.06")
    still(tab)
    assert (pixels(tab.locator(".mt-axial")) != before).any(axis=2).mean() > 0.01
    saved(tab)
    assert case.review()["threshold"] == tab.evaluate(f"{STATE}.threshold")


def test_keys_move_the_slices_and_open_the_work_list(case_tab: Page):
    tab = case_tab
    here = tab.evaluate(f"{STATE}.slices.Axial.value")
    tab.keyboard.press("ArrowUp")
    wait(tab, f"{STATE}.slices.Axial.value > {here}")
    erase_in_the_middle(tab)
    saved(tab)
    tab.keyboard.press("w")
    wait(tab, "document.querySelector('#mt-list em')?.innerText === 'in review'")


def test_erasing_touches_only_uncertain_voxels_when_told_so_and_undo_and_redo_are_exact(
    case_tab: Page, case: ReviewedCase
):
    tab = case_tab
    start, uncertainty = case.predicted(), case.uncertainty()
    sure = uncertainty < np.float32(tab.evaluate(f"{STATE}.threshold"))
    erase_in_the_middle(tab)
    saved(tab)
    assert (start & ~case.corrected() & sure).any()
    tab.keyboard.press("z")
    wait(tab, f"{STATE}.shown.redo === 'erase'")
    tab.click("#mt-only-uncertain")
    wait(tab, f"{STATE}.only_uncertain")
    erase_in_the_middle(tab)
    saved(tab)
    after = case.corrected()
    changed = start != after
    assert changed.sum() > 5
    assert not after[changed].any()
    assert not (changed & sure).any()
    tab.keyboard.press("z")
    wait(tab, f"{STATE}.shown.redo === 'erase'")
    saved(tab)
    assert (case.corrected() == start).all()
    tab.keyboard.press("y")
    wait(tab, f"{STATE}.shown.undo === 'erase'")
    saved(tab)
    assert (case.corrected() == after).all()
    tab.click("#mt-only-uncertain")
    wait(tab, f"!{STATE}.only_uncertain")


def test_reload_second_tab_and_restart_show_the_same_review(
    tab: Page, served: Served, folder: Path, own_case: ReviewedCase, chromium: BrowserContext
):
    erase_in_the_middle(tab)
    saved(tab)
    mask = own_case.corrected()
    seen = tab.evaluate(f"{STATE}.shown.volume")
    tab.reload()
    ready(tab)
    assert tab.evaluate(f"{STATE}.shown.volume") == seen
    other = chromium.new_page()
    other.goto(served.address + "/index.html")
    ready(other)
    other.click("#mt-eye")
    wait(tab, f"!{STATE}.heatmap")
    assert served.stop() == 0
    again = Served(folder)
    try:
        tab.goto(again.link)
        ready(tab)
        assert tab.evaluate(f"{STATE}.shown.volume") == seen
        assert (own_case.corrected() == mask).all()
    finally:
        again.stop()


def test_a_rejection_needs_a_reason_and_can_be_taken_back_and_an_accepted_case_is_in_the_store_as_it_was_corrected(
    tab: Page, folder: Path, own_case: ReviewedCase
):
    tab.click("#mt-reject")
    tab.click("#mt-ask button[type=submit]")
    wait(tab, "document.querySelector('#mt-notice')?.innerText.includes('Say in a few words')")
    assert tab.evaluate(f"{STATE}.shown.status") == "draft"
    tab.click("#mt-reject")
    tab.evaluate("document.querySelector('#mt-reason').value = 'motion artefact'")
    tab.click("#mt-ask button[type=submit]")
    wait(tab, f"{STATE}.shown.status === 'rejected'", 60)
    (case,) = CaseStore(folder / "case-store").cases()
    assert (case.state, case.reason()) == (CaseState.REJECTED, "motion artefact")
    wait(tab, "document.querySelector('#mt-verdict')?.title === 'motion artefact'")
    tab.click("#mt-reopen")
    wait(tab, f"{STATE}.shown.status === 'draft'")
    erase_in_the_middle(tab)
    tab.click("#mt-accept")
    wait(tab, "document.querySelector('#mt-verdict')?.innerText === 'case accepted'", 60)
    wait(tab, f"{STATE}.remaining === '1 case, nothing left'")
    (case,) = CaseStore(folder / "case-store").cases()
    assert case.state is CaseState.CORRECTED
    assert (case.corrected_mask() == own_case.corrected()).all()
    assert own_case.review()["status"] == "accepted"
