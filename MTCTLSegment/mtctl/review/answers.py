"""What a reader says of a case, and what a reader is asked: plain data for windows and child processes. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Mask, Triple
from mtctl.system.fields import Longest, Share, Within

#: What a click says of its place: it belongs to the atrium, or it does not.
Side = Literal["inside", "outside"]

_Millimetres = Annotated[float, Within(-1e7, 1e7)]

#: A place in LPS mm, as documents hold it.
Point = tuple[_Millimetres, _Millimetres, _Millimetres]

#: Places of one answer; no stroke has more.
Clicks = Annotated[tuple[Point, ...], Longest(100_000)]

#: A clicked voxel and what lies this near to it end on the side that the reader said, mm: the next voxel along each
#: axis of the network's grid.
OBEYED_MM = 2.5

#: What is found right with a place, mm: the middle of what the question was about, not its neighbours' places.
KEPT_MM = 6.0


@dataclass(frozen=True)
class Answer:
    """One answer of a reader.

    Attributes:
        clicks: Places in LPS mm; a stroke is many. All lie on `side`.
        side: On which side of the surface they lie.
    """

    clicks: Clicks
    side: Side


@dataclass(frozen=True)
class Said:
    """What a reader has said of a case so far.

    Attributes:
        answers: In order.
        kept: Places that were found right, LPS mm.
    """

    answers: tuple[Answer, ...] = ()
    kept: tuple[Point, ...] = ()


@dataclass(frozen=True)
class ShownQuestion:
    """A question as a window shows it.

    Attributes:
        name: What its place is called: "right inferior vein".
        place: LPS mm.
        click, side: The opposite answer.
        change_ml: How the volume would change, mL; less than 0 where something would be taken away.
        chance: Likelihood that the opposite is right.
        voxels: Flat indices of the scan's voxels (z, y, x) that would change side.
    """

    name: Annotated[str, Longest(200)]
    place: Triple
    click: Triple
    side: Side
    change_ml: float
    chance: Share
    voxels: NDArray[np.int64]

    @property
    def words(self) -> str:
        """The question in words: "right inferior vein: does it go on? (+ 1.8 mL)"."""
        asked = "does it go on?" if self.side == "inside" else "does it end here?"
        sign = "+" if self.change_ml >= 0 else "-"
        return f"{self.name}: {asked} ({sign} {abs(self.change_ml):.1f} mL)"

    @property
    def answer(self) -> Answer:
        """The opposite answer."""
        return Answer((self.click,), self.side)


def with_changed(mask: Mask, voxels: NDArray[np.int64]) -> Mask:
    """Return a mask (z, y, x) whose voxels at flat indices have changed side.

    Raises:
        ValueError: An index lies outside the mask.
    """
    if len(voxels) and not 0 <= int(voxels.min()) <= int(voxels.max()) < mask.size:
        raise ValueError("a voxel lies outside the scan")
    result = np.array(mask, bool)
    result.reshape(-1)[voxels] ^= True
    return result
