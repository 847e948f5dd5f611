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
    """Go to the first region and erase across the middle of the axial view, where it lies."""
    tab.click("#mt-next")
    wait(tab, f"{STATE}.shown.current !== null")
    tab.keyboard.press("e")
    wait(tab, f"{STATE}.tool === 'erase'")
    still(tab)
    left, top, width, height = box(tab, ".mt-axial")
    x, y = left + width / 2, top + height / 2
    drag(tab, [(x + 4 * step, y) for step in range(-8, 9)])
    wait(tab, f"{STATE}.shown.undo === 'erase'")


def test_the_page_shows_scan_heatmap_surface_and_regions_and_loads_nothing_from_elsewhere(
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
    assert tab.evaluate("document.querySelectorAll('#mt-regions li').length") > 5
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


def test_dragging_the_threshold_changes_picture_list_and_file(case_tab: Page, case: ReviewedCase):
    tab = case_tab
    still(tab)
    before, listed = pixels(tab.locator(".mt-axial")), tab.evaluate(f"{STATE}.regions.length")
    left, top, width, height = box(tab, "#mt-threshold")
    x, y = left + width * tab.evaluate(f"{STATE}.threshold"), top + height / 2
    drag(tab, [(x, y), (x - width * 0.2, y), (left + width * 0.3, y)])
    wait(tab, f"Math.abs({STATE}.threshold - 0.3) < 0.06")
    still(tab)
    assert (pixels(tab.locator(".mt-axial")) != before).any(axis=2).mean() > 0.01
    assert tab.evaluate(f"{STATE}.regions.length") >= listed
    saved(tab)
    assert case.review()["threshold"] == tab.evaluate(f"{STATE}.threshold")


def test_buttons_walk_the_regions_and_keys_accept_them_and_move_the_slices(case_tab: Page, case: ReviewedCase):
    tab = case_tab
    first, second = tab.evaluate(f"{STATE}.regions.slice(0, 2).map(r => r.id)")
    for button, wanted in (("#mt-next", first), ("#mt-next", second), ("#mt-previous", first)):
        tab.click(button)
        wait(tab, f"{STATE}.shown.current === {wanted}")
    tab.keyboard.press("a")
    wait(tab, f"{STATE}.shown.current === {second}")
    assert tab.evaluate(f"{STATE}.regions.find(r => r.id === {first}).state") == "accepted"
    here = tab.evaluate(f"{STATE}.slices.Axial.value")
    tab.keyboard.press("ArrowUp")
    wait(tab, f"{STATE}.slices.Axial.value > {here}")
    saved(tab)
    tab.keyboard.press("w")
    wait(tab, "document.querySelector('#mt-list em')?.innerText === 'in review'")
    marks = {mark["id"]: mark for mark in case.review()["regions"]}
    assert marks[first]["accepted_at"] is not None
    assert marks[second]["accepted_at"] is None


def test_erasing_touches_only_uncertain_voxels_and_undo_and_redo_are_exact(case_tab: Page, case: ReviewedCase):
    tab = case_tab
    erase_in_the_middle(tab)
    saved(tab)
    start, after = case.predicted(), case.corrected()
    uncertainty = case.uncertainty()
    changed = start != after
    assert changed.sum() > 5
    assert not after[changed].any()
    assert (uncertainty[changed] >= np.float32(tab.evaluate(f"{STATE}.threshold"))).all()
    tab.keyboard.press("z")
    wait(tab, f"{STATE}.shown.redo === 'erase'")
    saved(tab)
    assert (case.corrected() == start).all()
    tab.keyboard.press("y")
    wait(tab, f"{STATE}.shown.undo === 'erase'")
    saved(tab)
    assert (case.corrected() == after).all()


def test_a_proposal_is_previewed_first_and_then_applied(case_tab: Page, case: ReviewedCase):
    tab = case_tab
    tab.click("#mt-next")
    wait(tab, f"{STATE}.shown.current !== null")
    still(tab)
    before, volume = pixels(tab.locator(".mt-axial")), tab.evaluate(f"{STATE}.shown.volume")
    tab.click("[data-proposal='remove']")
    wait(tab, f"{STATE}.preview && !{STATE}.preview.nothing")
    still(tab)
    assert (pixels(tab.locator(".mt-axial")) != before).any(axis=2).mean() > 0.002
    assert tab.evaluate(f"{STATE}.shown.volume") == volume
    tab.keyboard.press("Enter")
    wait(tab, f"{STATE}.shown.undo === 'remove'")
    saved(tab)
    assert (case.predicted() & ~case.corrected()).sum() > 100
    assert case.review()["edits"][0]["kind"] == "remove"


def test_reload_second_tab_and_restart_show_the_same_review(
    tab: Page, served: Served, folder: Path, own_case: ReviewedCase, chromium: BrowserContext
):
    erase_in_the_middle(tab)
    saved(tab)
    mask = own_case.corrected()
    seen = tab.evaluate(f"[{STATE}.shown.volume, {STATE}.shown.current, {STATE}.regions.length]")
    tab.reload()
    ready(tab)
    assert tab.evaluate(f"[{STATE}.shown.volume, {STATE}.shown.current, {STATE}.regions.length]") == seen
    other = chromium.new_page()
    other.goto(served.address + "/index.html")
    ready(other)
    other.click("#mt-next")
    moved = wait(other, f"{STATE}.shown.current !== {seen[1]} && {STATE}.shown.current").json_value()
    wait(tab, f"{STATE}.shown.current === {moved}")
    assert served.stop() == 0
    again = Served(folder)
    try:
        tab.goto(again.link)
        ready(tab)
        assert tab.evaluate(f"[{STATE}.shown.volume, {STATE}.shown.current]") == [seen[0], moved]
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
    wait(tab, "document.querySelector('#mt-reopen')")
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
