"""The search for the regions of a review, in a child process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import numpy as np

from mtctl.system.temporary import make_own_folder
from mtctl.uncertainty.regions import RegionMap
from MTCTLSegmentLib.jobs.array_request import ArrayRequest, ChildProgram

if TYPE_CHECKING:
    from mtctl.review.case_maps import CaseMaps

_REGIONS = ChildProgram("mtctl.review.regions_process", "the process that finds regions", "regions")


class RegionsJob:
    """One search at a time."""

    def __init__(self) -> None:
        self._request: ArrayRequest | None = None
        self._folder: Path | None = None

    def start(self, maps: CaseMaps, found: Callable[[RegionMap | None], None]) -> None:
        """Begin, in place of what is under way.

        Args:
            maps: What the review begins with; they must not change meanwhile.
            found: Called with the regions; with None where they could not be found there: the window has to do it.

        Raises:
            MtctlError: There is no place for temporary files.
        """
        self.cancel()
        folder = self._folder = make_own_folder(_REGIONS.folder)
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "uncertainty": maps.uncertainty,
            "segmentation": np.asarray(maps.segmentation, bool),
        }
        if maps.outline is not None:
            arrays["outline"] = np.asarray(maps.outline, bool)
        file, geometry = folder / "found.npz", maps.geometry

        def done(_answer: dict[str, Any]) -> None:
            try:
                places: RegionMap | None = RegionMap.load(file, geometry)
            except (OSError, ValueError):
                places = None
            self.cancel()
            found(places)

        def failed(_reason: str) -> None:
            self.cancel()
            found(None)

        content = {"geometry": geometry.to_json(), "to": str(file)}
        self._request = ArrayRequest(_REGIONS, arrays, content, done, failed)
        self._request.start()

    def cancel(self) -> None:
        """Stop; `found` is not called any more."""
        request, self._request = self._request, None
        if request is not None:
            request.cancel()
        if self._folder is not None:
            rmtree(self._folder, ignore_errors=True)
