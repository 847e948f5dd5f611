"""The measures of a case as they are written, and read back: <stem>.measures.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from mtctl import __version__
from mtctl.measures.body_size import BodySize
from mtctl.measures.uncertain_mask import MeasureError
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import Longest, Within, read_as
from mtctl.system.files import write_json

#: Ends the name of the file.
MEASURES = ".measures.json"

FORMAT = 1

#: Decimals of every number that is written.
DIGITS = 4

#: What every document says of itself.
NOTE = (
    "For research only, not for a diagnosis. Intervals are 90 % intervals by the segmentation's uncertainty alone: not "
    "by the scan's quality, the observer's habits or the choice of a threshold."
)

_Number = Annotated[float, Within(-1e9, 1e9)]
_Percent = Annotated[float, Within(0.0, 100.001)]


@dataclass(frozen=True)
class IntervalEstimate:
    """A number and its 90 % interval; None where it has none."""

    value: _Number
    low: _Number | None = None
    high: _Number | None = None

    def divided_by(self, number: float) -> IntervalEstimate:
        """Return value and interval divided by a number above 0."""
        return IntervalEstimate(
            round(self.value / number, DIGITS),
            None if self.low is None else round(self.low / number, DIGITS),
            None if self.high is None else round(self.high / number, DIGITS),
        )


@dataclass(frozen=True)
class EnhancedShare:
    """How much of the wall is enhanced by one threshold.

    Attributes:
        threshold: Its name (`enhancement.THRESHOLDS`).
        source: Who uses it.
        ratio: What it is as a ratio to the mean of this scan's blood.
        percent: Of the body's surface.
    """

    threshold: Annotated[str, Longest(100)]
    source: Annotated[str, Longest(300)]
    ratio: _Number
    percent: IntervalEstimate


@dataclass(frozen=True)
class WallMeasures:
    """The late enhancement of the wall.

    Attributes:
        outward_mm, inward_mm: Where the wall was looked for.
        blood_mean, blood_sd, blood_voxels: Grey values of the blood that it is compared with.
        body_cm2: The surface that counts.
        veins: How many veins' ends were left out of it.
        mitral_valve: Whether the mitral plane was.
        shares: One a threshold.
        histogram_edges: Of the classes of the ratio, one more than classes.
        histogram_percent: Of the body's surface in each class.
    """

    outward_mm: _Number
    inward_mm: _Number
    blood_mean: _Number
    blood_sd: _Number
    blood_voxels: int
    body_cm2: _Number
    veins: Annotated[int, Within(0, 100)]
    mitral_valve: bool
    shares: Annotated[tuple[EnhancedShare, ...], Longest(100)]
    histogram_edges: Annotated[tuple[_Number, ...], Longest(1001)]
    histogram_percent: Annotated[tuple[_Percent, ...], Longest(1000)]


@dataclass(frozen=True)
class CaseMeasures:
    """All that was measured of a case.

    Attributes:
        case: Its name, as in its results.
        volume_ml, area_cm2, sphericity: See `shape.Shape`.
        extent_mm: Along the patient's axes: right to left, front to back, foot to head.
        volume_ml_per_m2: Volume by body surface area; None where the person's size is unknown.
        body: The person's size.
        body_surface_m2: By the formula that `body` names.
        wall: None where there was no scan.
        settled_percent: How much of the uncertain volume a person has settled: the intervals narrow with it.
        warnings: What the reader should know, in sentences.
        note: What the measures are not.
        format, version: Of the document and of the program.
    """

    case: Annotated[str, Longest(300)]
    volume_ml: IntervalEstimate
    area_cm2: IntervalEstimate
    extent_mm: tuple[IntervalEstimate, IntervalEstimate, IntervalEstimate]
    sphericity: IntervalEstimate
    volume_ml_per_m2: IntervalEstimate | None = None
    body: BodySize | None = None
    body_surface_m2: _Number | None = None
    wall: WallMeasures | None = None
    settled_percent: _Percent = 0.0
    warnings: Annotated[tuple[str, ...], Longest(100)] = ()
    note: str = NOTE
    format: int = FORMAT
    version: str = __version__


def write_measures(path: Path, measures: CaseMeasures) -> None:
    """Write the measures of a case, whole or not at all.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    write_json(path, asdict(measures))


def read_measures(path: Path) -> CaseMeasures:
    """Read what `write_measures` wrote.

    Raises:
        FileNotFoundError: There is none.
        MeasureError: It is damaged, or was written by a later version.
    """
    try:
        measures = read_as(CaseMeasures, read_object(path), str(path))
    except DocumentError as error:
        raise MeasureError(f"{error}; measure the case again") from error
    if measures.format != FORMAT:
        raise MeasureError(f"{path}: written by version {measures.version}, which this one cannot read: update")
    return measures
