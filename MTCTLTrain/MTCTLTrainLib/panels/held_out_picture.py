"""The run's picture of the present prediction on a held-out case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from MTCTLTrainLib.runs.run_progress import RunProgress

_WIDTH = 470  # pixels, at most: wider ones show nothing more


class HeldOutPicture:
    """Show the newest picture in a label, as wide as the panel is: `beside` is a widget that fills its width."""

    def __init__(self, label: Any, beside: Any) -> None:
        self._label, self._beside = label, beside
        self._shown: tuple[Path | None, int] = None, 0

    def show(self, folder: Path, progress: RunProgress) -> None:
        """Show the run's last picture; hide the label without one."""
        path = folder / progress.picture if progress.picture else None
        width = max(min(self._beside.width, _WIDTH), 1)
        if (path, width) == self._shown:
            return
        picture = qt.QPixmap(str(path)) if path is not None and path.is_file() else None
        if picture is None or picture.isNull():
            self._label.setVisible(False)
        else:
            self._label.setPixmap(picture.scaledToWidth(width, qt.Qt.SmoothTransformation))
            self._label.toolTip = _("Held-out case {case}: scan, uncertainty and distance map in one plane.").format(
                case=progress.pictured
            )
            self._label.setVisible(True)
        self._shown = path, width
