"""Scans that end or hold the process that reads them."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from mtctl.evaluation.case_files import CaseFiles
from mtctl.io.dicom.series import ChosenSeries
from mtctl.io.inputs import ScanInput
from mtctl.measures.reading import MaskFile


def _be_deadly(name: str) -> None:
    if name == "crash":
        os.kill(os.getpid(), getattr(signal, "SIGSEGV", signal.SIGTERM))
    if name == "odd":
        raise IndexError("list index out of range")
    if name == "hang":
        re.match("(a+)+$", "a" * 60 + "b")  # Hears no signal.


class DeadlyInput(ScanInput):
    """A file that does to its reader, if it is called "crash", "odd" or "hang", what damaged ones do to a library."""

    reading_seconds = 1.0

    @property
    def chosen(self) -> ChosenSeries | None:  # type: ignore[override]
        """Look at the file, unless it is a deadly one."""
        _be_deadly(self.path.stem)
        return None


class DeadlyCase(CaseFiles):
    """The files of a case that do so."""

    reading_seconds = 1.0

    @property
    def maps(self) -> tuple[Path, Path]:
        """Return where the maps are, unless the case is a deadly one."""
        _be_deadly(self.case)
        return super().maps


class DeadlyMask(MaskFile):
    """A segmentation that does so."""

    reading_seconds = 60.0  # with what a first case imports

    def beside(self, ending: str) -> Path:
        """Return another file of the case, unless it is a deadly one."""
        _be_deadly(self.case)
        return super().beside(ending)
