"""What the page shows where two people have one case, or nothing can be saved, and how the browser finds the page."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page
from support.browser_case import write_case
from support.chromium import wait
from support.serving import STATE, Served, missing, ready

from mtctl.browser.server.opening import RedirectPage

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small cases, each for one test."""
    if lacking := missing():
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("cases")
    for name in ("a", "b", "c"):
        write_case(folder, name)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    """The reviewer of MK."""
    server = Served(folder, "--reviewer", "MK")
    yield server
    server.stop()


@pytest.fixture
def second(folder: Path, tab: Page) -> Iterator[Served]:
    """The reviewer of JS, who comes later."""
    server = Served(folder, "--reviewer", "JS")
    yield server
    server.stop()


def show(tab: Page, name: str) -> None:
    """Let the reviewer open a case."""
    tab.evaluate(f"key => window.trame.trigger('open', [{STATE}.at, key])", f"{name}.image.nrrd")
    wait(tab, f"{STATE}.shown.name === '{name}'", 60)
    ready(tab)


def touch(tab: Page) -> None:
    """Change what is saved with the review."""
    tab.evaluate(f"window.trame.trigger('threshold', [{STATE}.at, 0.43])")


def seen(tab: Page, selector: str) -> str:
    return str(tab.evaluate(f"document.querySelector('{selector}')?.innerText ?? ''"))


def buttons_off(tab: Page) -> set[str]:
    names = ("paint", "erase")
    return {name for name in names if tab.evaluate(f"document.querySelector('#mt-{name}').disabled")}


def test_what_another_has_open_can_be_looked_at_and_taken_over(
    tab: Page, second: Served, chromium: BrowserContext, folder: Path
):
    show(tab, "a")
    touch(tab)
    wait(tab, f"{STATE}.saved === 'saved'")
    with chromium.new_page() as other:
        other.goto(second.link)
        show(ready(other), "a")
        wait(other, "document.querySelector('#mt-held')")
        assert "MK, since" in seen(other, "#mt-held")
        assert not seen(other, "#mt-accept")
        assert buttons_off(other) == {"paint", "erase"}
        assert buttons_off(tab) == set()
        other.keyboard.press("d")
        wait(other, f"{STATE}.notice?.text.includes('open elsewhere')")
        assert other.evaluate(f"{STATE}.tool") == "look"
        other.click("#mt-take")
        other.click("#mt-take-it")
        wait(other, "document.querySelector('#mt-accept') && !document.querySelector('#mt-held')")
        wait(tab, "document.querySelector('#mt-held')?.innerText.includes('JS, since')", 60)
        assert not seen(tab, "#mt-accept")
    assert second.stop(signal.SIGHUP) == 0, "as where the connection of `ssh` breaks"
    wait(tab, "document.querySelector('#mt-accept') && !document.querySelector('#mt-held')", 60)
    assert not list(folder.glob("*.beside-*"))


def test_two_reviews_of_a_case_are_shown_as_such_and_one_is_chosen(tab: Page, folder: Path):
    show(tab, "b")
    (folder / "b.review.json").write_text('{"of": "another program"}', encoding="utf-8")
    touch(tab)
    wait(tab, "document.querySelector('#mt-disputed')?.innerText.includes('b.beside-1.review.json')")
    tab.click("#mt-ours")
    wait(tab, "!document.querySelector('#mt-disputed')")
    assert "another program" in (folder / "b.before-1.review.json").read_text(encoding="utf-8")
    assert "another program" not in (folder / "b.review.json").read_text(encoding="utf-8")


def test_what_cannot_be_saved_is_said_until_it_is_saved(tab: Page, folder: Path):
    show(tab, "c")
    (folder / "c.review.json").symlink_to(folder / "elsewhere.json")
    touch(tab)
    wait(tab, "document.querySelector('#mt-unsaved')?.innerText.includes('Not saved')")
    (folder / "c.review.json").unlink()
    wait(tab, f"!document.querySelector('#mt-unsaved') && {STATE}.saved === 'saved'", 60)
    assert (folder / "c.review.json").is_file()


def test_the_file_that_the_browser_is_started_with_leads_to_the_page(served: Served, chromium: BrowserContext):
    page = RedirectPage(served.link)
    with chromium.new_page() as tab:
        tab.goto(page.path.as_uri())
        ready(tab)
        assert "token" not in tab.url
    page.remove()
    assert not page.path.parent.exists()
