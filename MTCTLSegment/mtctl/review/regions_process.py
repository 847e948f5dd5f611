"""Find the regions of a review in a child process: half a second and more, for which no window may stand still.

It is started as `python -m mtctl.review.regions_process REQUEST`.

REQUEST is a JSON file (its path as `launcher.encode_argument` gives it), its arrays (z, y, x) beside it as .npy:

    {"geometry": Geometry.to_json(), "arrays": {"uncertainty", "segmentation" and perhaps "outline": FILE}, "to": FILE}

The regions are written to the file "to", as `RegionMap.save` does. One line of JSON comes back:

    {"event": "done"} or {"event": "failed", "reason": ...}
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.geometry import Geometry
from mtctl.processes.launcher import decode_argument
from mtctl.processes.request import answer_with
from mtctl.system.documents import read_object
from mtctl.system.fields import FileName, read_as
from mtctl.system.temporary import remove_orphans
from mtctl.uncertainty.region_search import region_map

#: Kind of the temporary folders in which maps are handed over (`system.temporary`).
FOLDER = "regions"


@dataclass(frozen=True)
class RegionsRequest:
    """A request; see the module."""

    geometry: Geometry
    arrays: dict[str, FileName]
    to: str


def main(request: Path) -> int:
    """Do what a request asks for and say so on the standard output.

    Returns:
        Exit status: 0 done, 1 failed.
    """

    def work() -> Mapping[str, Any]:
        asked = read_as(RegionsRequest, read_object(request), "the request")
        arrays = {name: np.load(request.parent / file, allow_pickle=False) for name, file in asked.arrays.items()}
        outline = arrays.get("outline")
        region_map(arrays["uncertainty"], arrays["segmentation"], asked.geometry, outline).save(Path(asked.to))
        return {}

    return answer_with(work)


if __name__ == "__main__":
    status = main(Path(decode_argument(sys.argv[1])))
    remove_orphans(FOLDER)
    sys.exit(status)
