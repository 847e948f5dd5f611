"""Saving goes on after what made it fail, and no tab decides on what it does not show."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator

import pytest

from mtctl.browser.ui import saving
from mtctl.browser.ui.saving import Saver
from mtctl.browser.ui.tabs import CLIENT, OldTabError, Tabs
from mtctl.system.files import WriteError


class RecordedPage(dict):
    """As much of trame's state as saving needs."""

    def __getattr__(self, name: str) -> object:
        return self.get(name, "")

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __enter__(self) -> RecordedPage:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Disk:
    """What is written, and what is in the way of it."""

    def __init__(self) -> None:
        self.written, self.tries, self.now = "", 0, "first"
        self.trouble: Exception | None = None

    async def write(self) -> None:
        self.tries += 1
        content = self.now
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble
        self.written = content


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_AFTER", "_FIRST", "_LAST"):
        monkeypatch.setattr(saving, name, 0.002)


TROUBLE = [
    WriteError("ball: cannot be written: the disk is full"),
    OSError(errno.ENOSPC, "No space left on device", "ball"),
    OSError(errno.EMFILE, "Too many open files", "ball"),
    PermissionError(errno.EACCES, "Permission denied", "ball"),
    RuntimeError("a fault"),
]


async def until(condition: object) -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("trouble", TROUBLE, ids=[type(one).__name__ + str(i) for i, one in enumerate(TROUBLE)])
def test_what_could_not_be_saved_is_saved_by_itself_as_soon_as_it_can_be(trouble: Exception):
    async def run() -> None:
        state, disk = RecordedPage(), Disk()
        saver = Saver(state, disk.write)
        disk.trouble = trouble
        saver.mark()
        await until(lambda: disk.tries > 3)
        assert state.saved == "NOT SAVED" and state.unsaved
        disk.now = "changed meanwhile"
        saver.mark()
        assert state.saved == "NOT SAVED"
        disk.trouble = None
        await until(lambda: state.saved == "saved")
        assert disk.written == "changed meanwhile"
        assert not state.unsaved and not saver.unsaved

    asyncio.run(run())


def test_who_asks_to_save_hears_why_it_fails_and_it_goes_on():
    async def run() -> None:
        state, disk = RecordedPage(), Disk()
        saver = Saver(state, disk.write)
        disk.trouble = TROUBLE[0]
        saver.mark()
        with pytest.raises(WriteError, match="the disk is full"):
            await saver.save()
        disk.trouble = None
        await until(lambda: disk.written == "first")

    asyncio.run(run())


def test_what_changes_while_it_is_written_is_written_too():
    async def run() -> None:
        state, disk = RecordedPage(), Disk()
        saver = Saver(state, disk.write)
        saver.mark()
        saving_it = asyncio.ensure_future(saver.save())
        await asyncio.sleep(0)
        disk.now = "second"
        saver.mark()
        await saving_it
        assert (disk.written, state.saved) == ("second", "saved")

    asyncio.run(run())


@pytest.fixture
def tabs() -> Iterator[Tabs]:
    """A session with case 1 on the screen."""
    before = CLIENT.set("")
    made = Tabs()
    made.opened("1")
    yield made
    CLIENT.reset(before)


def test_a_tab_that_shows_another_case_is_refused(tabs: Tabs):
    place = tabs.place()
    tabs.opened("2")
    CLIENT.set("A")
    with pytest.raises(OldTabError, match="another tab"):
        tabs.check(place, whole=False)
    tabs.check(tabs.place(), whole=True)


def test_a_tab_that_shows_the_same_case_as_it_was_before_it_was_read_anew_is_refused(tabs: Tabs):
    place = tabs.place()
    tabs.opened("1")
    with pytest.raises(OldTabError):
        tabs.check(place, whole=False)


def test_a_tab_must_know_what_others_did_but_not_what_it_did_itself(tabs: Tabs):
    place = tabs.place()
    CLIENT.set("A")
    tabs.check(place, whole=True)
    tabs.changed()
    tabs.check(place, whole=True)  # quicker than the page follows
    CLIENT.set("B")
    with pytest.raises(OldTabError):
        tabs.check(place, whole=True)
    tabs.check(place, whole=False)  # to move through the slices it need not
    tabs.check(tabs.place(), whole=True)


def test_strokes_are_taken_from_a_tab_that_said_what_it_shows(tabs: Tabs):
    CLIENT.set("A")
    assert not tabs.may_press()
    tabs.shows(tabs.place())
    assert tabs.may_press()
    place = tabs.place()
    tabs.stroked()
    assert tabs.may_press()
    CLIENT.set("B")
    tabs.shows(place)
    assert not tabs.may_press(), "A painted meanwhile"
    CLIENT.set("A")
    tabs.opened("2")
    assert not tabs.may_press()


@pytest.mark.parametrize(
    "place",
    [
        *[None, [], "1", {}, {"case": "1"}, {"case": "1", "revision": True}, {"case": "1", "revision": "1"}],
        *[{"case": "1", "revision": 1e9}, {"case": "1", "revision": 10**9}, {"case": [], "revision": 1}],
    ],
)
def test_what_is_no_place_is_that_of_no_tab(tabs: Tabs, place: object):
    with pytest.raises(OldTabError):
        tabs.check(place, whole=False)


def test_a_thousand_tabs_that_come_and_go_are_forgotten(tabs: Tabs):
    for number in range(1000):
        CLIENT.set(str(number))
        tabs.check(tabs.place(), whole=True)
        tabs.changed()
    assert max(len(tabs._by), len(tabs._shown)) <= 256
