"""Where an atrium is open: the ends of its pulmonary veins and its mitral valve, as planes that a person may move.

A mask closes the cavity there, although the blood goes on. The places are found by `finding`, written as a JSON
document, and read back from it after somebody has changed numbers, or has made a "vein" an "appendage", which stays
closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import MtctlError
from mtctl.system.documents import read_object
from mtctl.system.fields import Longest, Matching, Share, Within, read_as
from mtctl.system.files import write_json

#: Ends the name of a case's document of openings.
OPENINGS = ".openings.json"

_FORMAT = 1
_SPACE = "LPS"

_Millimetre = Annotated[float, Within(-1e5, 1e5)]
_Part = Annotated[float, Within(-1.001, 1.001)]

#: How far a direction's length may be from 1: people round to three decimals.
_ROUNDED = 0.05


class OpeningError(MtctlError):
    """A document of openings cannot be used, or an opening does not fit its surface."""


class OpeningKind(Enum):
    """What goes on behind an opening; an appendage ends there, and is not opened."""

    VEIN = "vein"
    MITRAL = "mitral valve"
    APPENDAGE = "appendage"


@dataclass(frozen=True)
class Opening:
    """A plane that ends the atrium.

    Attributes:
        kind: What it is.
        centre: Of the section, LPS mm.
        normal: Unit direction out of the atrium, LPS.
        radius: Of a circle of the section's area, mm.
        blood: How bright what lies behind it is: 0 as the tissue around, 1 as the atrium's blood; None without a scan.
    """

    kind: OpeningKind
    centre: tuple[_Millimetre, _Millimetre, _Millimetre]
    normal: tuple[_Part, _Part, _Part]
    radius: Annotated[float, Within(0.5, 100.0)]
    blood: Share | None = None

    def __post_init__(self) -> None:
        if abs(float(np.linalg.norm(self.normal)) - 1) > _ROUNDED:
            raise OpeningError("the normal has to have the length 1")

    def height(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far points (n, 3), LPS mm, lie beyond the plane, mm; negative on the atrium's side."""
        normal = np.array(self.normal) / np.linalg.norm(self.normal)
        return np.asarray((points - np.array(self.centre)) @ normal)

    @property
    def is_open(self) -> bool:
        """Whether blood goes on behind it."""
        return self.kind is not OpeningKind.APPENDAGE


@dataclass(frozen=True)
class _OpeningsDocument:
    format: Annotated[int, Within(1, _FORMAT)]
    space: Annotated[str, Matching(_SPACE, f"the text {_SPACE}")]
    openings: Annotated[tuple[Opening, ...], Longest(50)]


def write_openings(openings: Sequence[Opening], path: Path) -> None:
    """Write a document of openings, for a person to look at and to change.

    Raises:
        WriteError: It cannot be written.
    """
    write_json(path, {"format": _FORMAT, "space": _SPACE, "openings": [_plain(one) for one in openings]})


def read_openings(path: Path) -> tuple[Opening, ...]:
    """Read a document of openings.

    Raises:
        OpeningError: It is missing.
        DocumentError: It is not what it has to be; the message names file and field.
    """
    try:
        values = read_object(path)
    except FileNotFoundError as error:
        raise OpeningError(f"{path}: is missing; the surfaces of the case are written together with it") from error
    return read_as(_OpeningsDocument, values, str(path)).openings


def _plain(opening: Opening) -> Mapping[str, Any]:
    values = {**asdict(opening), "kind": opening.kind.value}
    for name in ("centre", "normal"):
        values[name] = [round(value, 4) for value in values[name]]
    values["radius"] = round(opening.radius, 2)
    return values
