"""A scan that is dropped on the page: taken in, segmented with progress, cancelled, reviewed."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page
from support.chromium import pixels, wait
from support.serving import STATE, Served, missing, ready

from mtctl.commands.main import main
from mtctl.models.card import write_card
from mtctl.models.model import find_model

pytestmark = pytest.mark.browser

# As dropped by a hand: the event carries a real File.
DROP = """(() => {
  const bytes = Uint8Array.from(atob(%s), c => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], %s));
  for (const kind of ['dragenter', 'dragover', 'drop'])
    document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: carried}));
})()"""


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if lacking := missing():
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("scan")
    assert main(["phantom", "-o", str(folder), "--seed", "3"]) == 0
    return folder / "phantom-3.image.nrrd"


@pytest.fixture(scope="module")
def quick_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shipped model that looks at a scan once, not in five views: it takes seconds all the same."""
    shipped = find_model("mtctl-la16")
    folder = Path(shutil.copytree(shipped.folder, tmp_path_factory.mktemp("models") / "quick"))
    write_card(folder, replace(shipped.card, samples=2, views=1))
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, scan: Path, quick_model: Path) -> Iterator[Served]:
    """A reviewer of a folder with one scan that was not segmented."""
    folder = tmp_path_factory.mktemp("cases")
    shutil.copy(scan, folder / "first.image.nrrd")
    server = Served(folder, "--device", "cpu", "--model", str(quick_model))
    server.folder = folder
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tab(served: Served, chromium: BrowserContext) -> Page:
    page = chromium.new_page()
    page.goto(served.link)
    return ready(page)


def drop(tab: Page, name: str, content: bytes) -> None:
    tab.evaluate(DROP % (json.dumps(base64.b64encode(content).decode()), json.dumps(name)))


def test_a_scan_without_results_is_shown_and_offers_to_be_segmented(tab: Page):
    assert tab.evaluate(f"[{STATE}.shown.name, {STATE}.shown.segmented]") == ["first", False]
    assert pixels(tab.locator(".mt-axial")).std() > 20


def test_a_dropped_scan_is_shown_and_listed_under_a_plain_name(tab: Page, served: Served, scan: Path):
    drop(tab, "Doe, Jane.nrrd", scan.read_bytes())
    wait(tab, f"{STATE}.shown.name === 'Doe-Jane'", 90)
    ready(tab)
    assert tab.evaluate(f"{STATE}.cases.map(c => c.name).sort()") == ["Doe-Jane", "first"]
    assert (served.folder / "Doe-Jane.image.nrrd").is_file()


def test_what_is_no_scan_is_refused_in_a_sentence(tab: Page):
    drop(tab, "holiday.jpg", b"\xff\xd8\xff")
    wait(tab, "document.querySelector('#mt-said').innerText.includes('drop one file that ends in')", 60)
    drop(tab, "broken.nrrd", b"NRRD0004\n\nnothing")
    wait(tab, "document.querySelector('#mt-said').innerText.includes('broken')", 60)
    assert tab.evaluate(f"{STATE}.shown.name") == "Doe-Jane"


def test_a_segmentation_shows_progress_can_be_cancelled_and_ends_in_a_review(tab: Page, served: Served):
    tab.click("#mt-segment")
    wait(tab, "document.querySelector('#mt-progress')")
    wait(tab, f"{STATE}.progress.percent > 0", 60)
    tab.click("#mt-cancel")
    wait(tab, "!document.querySelector('#mt-progress') && document.querySelector('#mt-segment')")
    assert not list(served.folder.glob("Doe-Jane*.seg.nrrd"))
    tab.click("#mt-segment")
    wait(tab, f"{STATE}.shown.segmented", 180)
    assert tab.evaluate(f"{STATE}.progress") is None
    results = {path.name for path in served.folder.glob("Doe-Jane.*")}
    assert {f"Doe-Jane.{kind}" for kind in ("seg.nrrd", "uncertainty.nrrd", "distance.nrrd", "json")} <= results
    assert "likely Dice" in tab.evaluate("document.querySelector('#mt-summary').innerText")


def test_the_server_itself_never_loads_torch(served: Served):
    maps = Path(f"/proc/{served.process.pid}/maps")
    if not maps.is_file():
        pytest.skip("what a process has loaded is read from /proc")
    assert "libtorch" not in maps.read_text()
