"""Open the reviewer in the browser of this machine without showing the one-time link to others.

What a program is started with can be read by everyone who is logged in here (`ps`). So the browser is started with a
file that only its owner may read, which leads to the link.
"""

from __future__ import annotations

import html
import shutil
import tempfile
import webbrowser
from pathlib import Path

from mtctl.system.files import WriteError, write_reason

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>MTCTL review</title>
<p><a href="{link}">Open the review</a></p>
"""


class RedirectPage:
    """A file that leads a browser to a link, in a folder of its own.

    Attributes:
        path: The file.
    """

    def __init__(self, link: str) -> None:
        """Write the file.

        Raises:
            WriteError: There is no place for it.
        """
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="mtctl-open-"))  # mode 0700
            self.path = self._folder / "review.html"
            self.path.touch(mode=0o600)
            self.path.write_text(_PAGE.format(link=html.escape(link, quote=True)), encoding="utf-8")
        except OSError as error:
            raise WriteError(f"the browser cannot be opened by itself: {write_reason(error)}") from error

    def open(self) -> bool:
        """Start the browser of this machine with it; return whether there is one."""
        return webbrowser.open(self.path.as_uri())

    def remove(self) -> None:
        """Remove file and folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
