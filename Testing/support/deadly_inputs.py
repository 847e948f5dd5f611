"""Scans that end or hold the process that reads them."""

from __future__ import annotations

import os
import re
import signal

from mtctl.io.dicom.series import ChosenSeries
from mtctl.io.inputs import ScanInput


class DeadlyInput(ScanInput):
    """A file that does to its reader, if it is called "crash" or "hang", what damaged ones do to a library."""

    reading_seconds = 1.0

    @property
    def chosen(self) -> ChosenSeries | None:  # type: ignore[override]
        """Look at the file, unless it is a deadly one."""
        if self.path.stem == "crash":
            os.kill(os.getpid(), getattr(signal, "SIGSEGV", signal.SIGTERM))
        if self.path.stem == "hang":
            re.match("(a+)+$", "a" * 60 + "b")  # Hears no signal.
        return None
