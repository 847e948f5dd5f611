"""A page that is as wide at the end of a session as at its beginning: where it grows, all views jump."""

from __future__ import annotations

from typing import Any

import qt

#: What a page needs beside the options of the embedded Segment Editor's tools, which show only when one is chosen: in
#: pixels as seen in the application, and in lines of text, for screens with larger letters.
_PIXELS = 580
_LINES = 34


def keep_width(page: Any) -> None:
    """Give a page, once it is complete, a width that nothing inside can change.

    A layout heeds the minimum of a widget where it is given, in place of what its contents ask for; and a page that
    ignores its own hint asks for no more.

    Args:
        page: The widget of the module's .ui file.
    """
    room = max(_PIXELS, _LINES * page.fontMetrics().height(), page.minimumSizeHint.width())
    page.setMinimumWidth(room)
    page.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
