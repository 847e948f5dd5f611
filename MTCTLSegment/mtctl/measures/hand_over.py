"""A case under review, handed over to a child process that measures it: a JSON file with arrays beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Mask, Volume
from mtctl.measures.body_size import BodySize
from mtctl.measures.case import ReadCase, answered_places
from mtctl.review.case_maps import CaseMaps, probability_of
from mtctl.review.document import resume_review, review_document
from mtctl.review.session import ReviewSession
from mtctl.system.documents import read_object
from mtctl.system.fields import FileName, Longest, Matching, Within, read_as

#: Kind of the temporary folders in which cases are handed over (`system.temporary`).
FOLDER = "measure"


@dataclass(frozen=True)
class SearchedWall:
    """Where the wall is looked for, see `enhancement.WallShell`."""

    outward_mm: Annotated[float, Within(0.0, 100.0)]
    inward_mm: Annotated[float, Within(0.0, 100.0)]


@dataclass(frozen=True)
class HandedCase:
    """What a request about a case holds.

    Attributes:
        arrays: By name, (z, y, x); they must not change before they are written.
        content: The rest, plain values for JSON.
    """

    arrays: Mapping[str, NDArray[Any]]
    content: Mapping[str, Any]


@dataclass(frozen=True)
class HandedRequest:
    """A request as the child reads it.

    Attributes:
        case: The name of the case.
        geometry: Grid of all arrays.
        arrays: File names by name, beside the request.
        report, review: Documents of the segmentation and of its review.
        body: The person's size; None: unknown.
        wall: Where the wall is looked for; None: it is not measured.
        out: Folder or file that is written.
        formats, space: Of surfaces, see `surface_files.SurfaceFiles`.
    """

    case: Annotated[str, Longest(300)]
    geometry: Geometry
    arrays: dict[str, FileName]
    report: dict[str, Any]
    review: dict[str, Any]
    body: BodySize | None = None
    wall: SearchedWall | None = None
    out: str = ""
    formats: Annotated[tuple[str, ...], Longest(10)] = ()
    space: Annotated[str, Matching("LPS|RAS", "LPS or RAS")] = "LPS"


def hand_over(
    case: str,
    session: ReviewSession,
    mask: Mask,
    report: Mapping[str, Any],
    geometry: Geometry,
    scan: NDArray[Any] | None = None,
) -> HandedCase:
    """Return what a request about a case under review holds.

    Args:
        case: Its name.
        session: The review.
        mask: The segmentation as it is now, (z, y, x).
        report: Of the segmentation.
        geometry: Where the scan is now; it may have been moved since the review began.
        scan: Its voxels, for the wall, the report and surfaces.
    """
    maps = session.maps
    arrays: dict[str, NDArray[Any]] = {
        "segmentation": np.asarray(maps.segmentation, dtype=bool),
        "mask": np.asarray(mask, dtype=bool),
        "uncertainty": maps.uncertainty,
    }
    if maps.outline is not None:
        arrays["outline"] = np.asarray(maps.outline, dtype=bool)
    if scan is not None:
        arrays["scan"] = scan
    review = {**review_document(session), "geometry": geometry.to_json()}
    return HandedCase(arrays, {"case": case, "geometry": geometry.to_json(), "report": dict(report), "review": review})


def read_request(path: Path) -> HandedRequest:
    """Read a request.

    Raises:
        DocumentError: It is not what it has to be.
    """
    return read_as(HandedRequest, read_object(path), "the request")


def handed_case(request: HandedRequest, folder: Path) -> tuple[ReadCase, Volume | None]:
    """Return the case that was handed over, and its scan where that was.

    Args:
        request: What was asked for.
        folder: Where its arrays are.

    Raises:
        MtctlError: The segmentation is empty, or the review is not of this case.
    """

    def array(name: str) -> NDArray[Any]:
        loaded: NDArray[Any] = np.load(folder / request.arrays[name], allow_pickle=False)
        return loaded

    segmentation, current = array("segmentation").astype(bool), array("mask").astype(bool)
    outline = array("outline").astype(bool) if "outline" in request.arrays else None
    uncertainty = np.clip(array("uncertainty"), 0, 1)
    probability = probability_of(uncertainty, segmentation)
    maps = CaseMaps(segmentation, uncertainty, probability, request.geometry, outline)
    session = resume_review(request.review, maps, current)
    case = ReadCase.of(
        maps, session, current, request.report, request.report.get("warnings", ()), answered_places(request.review)
    )
    return case, Volume(array("scan"), request.geometry) if "scan" in request.arrays else None
