"""A review in the browser from end to end: what is seen, what is pressed, and what is then in the files."""

from __future__ import annotations

import json
from pathlib import Path

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


def review_of(folder: Path) -> dict:
    return json.loads((folder / "result" / "phantom-0.review.json").read_text(encoding="utf-8"))


def saved(tab: Page) -> None:
    wait(tab, f"{STATE}.saved === 'saved'")


def corrected(folder: Path) -> NDArray[np.bool_]:
    return read_mask(folder / "result" / "phantom-0.review.seg.nrrd").array != 0


def predicted(folder: Path) -> NDArray[np.bool_]:
    return read_mask(folder / "result" / "phantom-0.seg.nrrd").array != 0


def erase_in_the_middle(tab: Page) -> None:
    """Go to the first region and erase across the middle of the axial view, where it lies."""
    tab.keyboard.press("n")
    wait(tab, f"{STATE}.shown.current !== null")
    tab.keyboard.press("e")
    wait(tab, f"{STATE}.tool === 'erase'")
    still(tab)
    left, top, width, height = box(tab, ".mt-axial")
    x, y = left + width / 2, top + height / 2
    drag(tab, [(x + 4 * step, y) for step in range(-8, 9)])
    wait(tab, f"{STATE}.shown.undo === 'erase'")


def test_the_page_shows_scan_heatmap_surface_and_regions_and_loads_nothing_from_elsewhere(
    chromium: BrowserContext, served: Served
):
    tab = chromium.new_page()
    requests: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("websocket", lambda socket: requests.append(socket.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(f"exception: {error}"))
    tab.goto(served.link)
    ready(tab)
    still(tab)
    view = pixels(tab.locator(".mt-axial")).astype(int)
    grey = np.abs(view - view.mean(axis=2, keepdims=True)).max(axis=2) < 12
    assert (grey & (view[..., 0] > 60)).mean() > 0.2, "the scan is missing"
    assert ((view[..., 1] > 150) & (view[..., 2] < 110)).sum() > 300, "the heatmap is missing"
    assert pixels(tab.locator(".mt-volume")).std() > 8, "the surface is missing"
    assert tab.evaluate("document.querySelectorAll('#mt-regions li').length") > 5
    assert "likely Dice" in tab.evaluate("document.querySelector('#mt-summary').innerText")
    foreign = [url for url in requests if not url.startswith((served.address, served.address.replace("http", "ws")))]
    assert [url for url in foreign if not url.startswith(("blob:", "data:"))] == []
    assert [line for line in said if "exception" in line] == []


def test_dragging_the_threshold_changes_picture_list_and_file(tab: Page, folder: Path):
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
    assert review_of(folder)["threshold"] == tab.evaluate(f"{STATE}.threshold")


def test_keys_walk_the_regions_accept_them_and_move_the_slices(tab: Page, folder: Path):
    first, second = tab.evaluate(f"{STATE}.regions.slice(0, 2).map(r => r.id)")
    for key, wanted in (("n", first), ("n", second), ("p", first)):
        tab.keyboard.press(key)
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
    marks = {mark["id"]: mark for mark in review_of(folder)["regions"]}
    assert marks[first]["accepted_at"] is not None
    assert marks[second]["accepted_at"] is None


def test_erasing_touches_only_uncertain_voxels_and_undo_and_redo_are_exact(tab: Page, folder: Path):
    erase_in_the_middle(tab)
    saved(tab)
    start, after = predicted(folder), corrected(folder)
    uncertainty = read_map(folder / "result" / "phantom-0.uncertainty.nrrd").array
    changed = start != after
    assert changed.sum() > 5
    assert not after[changed].any()
    assert (uncertainty[changed] >= np.float32(tab.evaluate(f"{STATE}.threshold"))).all()
    tab.keyboard.press("z")
    wait(tab, f"{STATE}.shown.redo === 'erase'")
    saved(tab)
    assert (corrected(folder) == start).all()
    tab.keyboard.press("y")
    wait(tab, f"{STATE}.shown.undo === 'erase'")
    saved(tab)
    assert (corrected(folder) == after).all()


def test_a_proposal_is_previewed_first_and_then_applied(tab: Page, folder: Path):
    tab.keyboard.press("n")
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
    assert (predicted(folder) & ~corrected(folder)).sum() > 100
    assert review_of(folder)["edits"][0]["kind"] == "remove"


def test_reload_second_tab_and_restart_show_the_same_review(
    tab: Page, served: Served, folder: Path, chromium: BrowserContext
):
    erase_in_the_middle(tab)
    saved(tab)
    mask = corrected(folder)
    seen = tab.evaluate(f"[{STATE}.shown.volume, {STATE}.shown.current, {STATE}.regions.length]")
    tab.reload()
    ready(tab)
    assert tab.evaluate(f"[{STATE}.shown.volume, {STATE}.shown.current, {STATE}.regions.length]") == seen
    other = chromium.new_page()
    other.goto(served.address + "/index.html")
    ready(other)
    other.keyboard.press("n")
    moved = wait(other, f"{STATE}.shown.current !== {seen[1]} && {STATE}.shown.current").json_value()
    wait(tab, f"{STATE}.shown.current === {moved}")
    assert served.stop() == 0
    again = Served(folder)
    try:
        tab.goto(again.link)
        ready(tab)
        assert tab.evaluate(f"[{STATE}.shown.volume, {STATE}.shown.current]") == [seen[0], moved]
        assert (corrected(folder) == mask).all()
    finally:
        again.stop()


def test_an_accepted_case_is_in_the_store_as_it_was_corrected(tab: Page, folder: Path):
    erase_in_the_middle(tab)
    tab.click("#mt-accept")
    wait(tab, "document.querySelector('#mt-verdict')?.innerText === 'case accepted'", 60)
    wait(tab, f"{STATE}.remaining === '1 case, nothing left'")
    (case,) = CaseStore(folder / "case-store").cases()
    assert case.state is CaseState.CORRECTED
    assert (case.corrected_mask() == corrected(folder)).all()
    assert review_of(folder)["status"] == "accepted"


def test_a_rejection_needs_a_reason_and_can_be_taken_back(tab: Page, folder: Path):
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
