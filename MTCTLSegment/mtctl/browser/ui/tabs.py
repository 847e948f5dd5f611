"""What each tab of the browser shows, so that nobody decides on a case that another tab has just replaced.

There is one session: all tabs show the same case, and follow when it changes. But a tab may lag behind: it sleeps, or
the person clicks in the moment in which the picture changes. So each tab says with every command what it shows: the
case, and the number of the last change that it knows of. What a tab did itself it knows; its commands may come faster
than the page follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from mtctl.errors import MtctlError

#: The tab whose message is being answered; "": none.
CLIENT: ContextVar[str] = ContextVar("client", default="")

#: Tabs of which it is remembered what they did.
_REMEMBERED = 256


class OldTabError(MtctlError):
    """The tab shows what is no more."""


class Tabs:
    """The changes of the session by number, and which tab made them."""

    def __init__(self) -> None:
        self._revision = 0
        self._opened = 0  # number of the change that brought the case on the screen
        self._key: str | None = None
        self._stroking = ""  # the tab that used the mouse last
        self._by: dict[str, int] = {}  # number of the last change of the case on the screen, by tab
        self._shown: dict[str, int] = {}  # what each tab said last

    def place(self) -> dict[str, Any]:
        """Return what a tab that is up to date says with its commands."""
        return {"case": self._key, "revision": self._revision}

    def opened(self, key: str) -> None:
        """Note that another case is on the screen, or the same one as read anew."""
        self._revision += 1
        self._key, self._opened = key, self._revision
        self._by.clear()

    def changed(self, tab: str | None = None) -> None:
        """Note that a tab changed the case; None: the one whose message is being answered."""
        self._changed_by(CLIENT.get() if tab is None else tab)

    def stroked(self) -> None:
        """Note that the tab that used the mouse last changed the case."""
        self._changed_by(self._stroking)

    def shows(self, place: object) -> None:
        """Note what the tab whose message is being answered shows."""
        self._shown.pop(CLIENT.get(), None)
        self._shown[CLIENT.get()] = self._number(place)
        _shorten(self._shown)

    def check(self, place: object, whole: bool) -> None:
        """See that the tab shows the case that is on the screen.

        Args:
            place: What the tab said.
            whole: Whether it must know all changes, too.

        Raises:
            OldTabError: It does not.
        """
        self.shows(place)
        if not self._is_current(CLIENT.get(), whole):
            raise OldTabError(
                "another tab opened or changed the case in the meantime, so nothing was done; look at it as it is now "
                "and do it again"
            )

    def may_press(self) -> bool:
        """Return whether the tab shows the case on the screen with all changes: strokes are taken from no other."""
        if not self._is_current(CLIENT.get(), whole=True):
            return False
        self._stroking = CLIENT.get()
        return True

    def _changed_by(self, tab: str) -> None:
        self._revision += 1
        self._by.pop(tab, None)
        self._by[tab] = self._revision
        _shorten(self._by)

    def _is_current(self, client: str, whole: bool) -> bool:
        known = self._shown.get(client, -1)
        others = max((number for tab, number in self._by.items() if tab != client), default=0) if whole else 0
        return known >= max(self._opened, others)

    def _number(self, place: object) -> int:
        if not isinstance(place, Mapping) or place.get("case") != self._key:
            return -1
        revision = place.get("revision")
        return revision if type(revision) is int and revision <= self._revision else -1


def _shorten(by_tab: dict[str, int]) -> None:
    while len(by_tab) > _REMEMBERED:
        del by_tab[next(iter(by_tab))]
