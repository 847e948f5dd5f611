"""The card of a model: all that is known about it beside its weights; reading one needs no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mtctl.errors import MtctlError
from mtctl.models.model_files import CARD
from mtctl.models.verdict import ModelName
from mtctl.networks.architecture import Architecture, Filters
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import Longest, Share, Within, read_as, refuse_unknown
from mtctl.system.files import write_json
from mtctl.uncertainty.case_score import CaseScore, UsualShape
from mtctl.uncertainty.voxel_calibration import VoxelCalibration

#: In a card's data: cases that the models before it were trained on.
LEARNT_BEFORE = "learnt_before"

#: In a card's data: `StoredCase.scan_sha256` of every corrected case that it or a model before it has learnt from.
LEARNT_SCANS = "learnt_scans"

#: As many as `test_time_augmentation.VIEWS`.
MOST_VIEWS = 5

_Name = Annotated[str, Longest(200)]
_Sum = Annotated[str, Longest(128)]
_Millimetres = Annotated[float, Within(0.1, 20.0)]
_Grid = tuple[_Millimetres, _Millimetres, _Millimetres]


@dataclass(frozen=True)
class _CardData:
    """What is read of a card's data."""

    labelled: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    learnt_before: tuple[str, ...] = ()
    learnt_scans: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Validation:
    """What is read of a card's figures."""

    dice: float | None = None


class ModelError(MtctlError):
    """A model cannot be found, or its files are not what its card says."""


@dataclass(frozen=True)
class LocatorCard:
    """The small network that finds the atrium in scans much larger than it.

    Attributes:
        sha256: SHA-256 of its weights file.
        filters: Number of filters at its first level.
        grid_mm: Size (x, y, z) of the voxels that it sees, mm.
    """

    sha256: _Sum
    filters: Filters
    grid_mm: _Grid


@dataclass(frozen=True)
class Card:
    """What is known about a model; everything in `card.json`.

    Attributes:
        id: Name to ask for it by.
        version: Version of the weights.
        default: Whether it is the one that is used when none is named.
        sha256: SHA-256 of the weights file.
        architecture: Settings to build the network.
        grid_mm: Size (x, y, z) of the voxels that the network sees, mm.
        locator: Finds the atrium in scans larger than its surroundings; None: a person has to draw the region.
        samples: Default number of Monte-Carlo samples.
        views: How many of `test_time_augmentation.VIEWS` the network looks at a scan in.
        mask_samples_share: Weight of the samples' mean logit in the mask's, 0 to 1; the rest is f1's.
        voxel_calibration: Maps the samples' mean probability to a calibrated one.
        threshold: Default uncertainty threshold, same unit as the maps.
        score: Calibration of the case score; None: never calibrated.
        usual_shape: The usual spread of good results; None: unknown.
        data: What it was trained on, in words and case names.
        recipe: Training settings.
        command: Command that made it.
        validation: Figures on validation cases, as printed by `mtctl evaluate`.
    """

    id: _Name
    version: _Name
    sha256: _Sum
    architecture: Architecture
    grid_mm: _Grid
    locator: LocatorCard | None = None
    default: bool = False
    samples: Annotated[int, Within(2, 1000)] = 8
    views: Annotated[int, Within(1, MOST_VIEWS)] = 1
    mask_samples_share: Share = 0.0
    voxel_calibration: VoxelCalibration = VoxelCalibration()
    threshold: Share = 0.5
    score: CaseScore | None = None
    usual_shape: UsualShape | None = None
    data: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    validation: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> ModelName:
        """The model's id, version and weights' SHA-256."""
        return ModelName(self.id, self.version, self.sha256)


def read_card(folder: Path) -> Card:
    """Read the card of the model in `folder`.

    Raises:
        ModelError: There is no readable card, it was made by a later version, or the model is of an obsolete grid
            (halved slice spacing).
    """
    values = _read_values(folder)
    if "grid_mm" not in values and "spacing_mm" in values:
        raise ModelError(
            f"{folder}: this model was trained on scans whose slices were taken to lie half as far apart as they "
            "do; it fails on correctly stored scans. Take a model that comes with this version, or train it anew"
        )
    source = str(folder / CARD)
    try:
        for name, kind in _PARTS.items():
            if isinstance(part := values if not name else values.get(name), dict):
                refuse_unknown(kind, part, source)
        card = read_as(Card, values, source)
        read_as(_CardData, card.data, source, "data")
        read_as(_Validation, card.validation, source, "validation")
        if card.usual_shape is not None:
            np.linalg.cholesky(np.array(card.usual_shape.covariance))
        return card
    except (DocumentError, np.linalg.LinAlgError) as error:
        raise _unreadable(folder, error) from error


def read_name(folder: Path) -> ModelName:
    """Read from its card which model lies in `folder`, even if this version cannot use that model any more.

    Raises:
        ModelError: There is no readable card.
    """
    try:
        return read_as(ModelName, _read_values(folder), str(folder / CARD))
    except DocumentError as error:
        raise _unreadable(folder, error) from error


def write_card(folder: Path, card: Card) -> None:
    """Write `card` into `folder`, whole or not at all.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    write_json(folder / CARD, dataclasses.asdict(card))


def cases_learnt(card: Card) -> set[str]:
    """Return the names of the cases that a model, or one before it, was trained on."""
    return {name for role in ("labelled", "unlabelled", LEARNT_BEFORE) for name in card.data.get(role, ())}


def _read_values(folder: Path) -> dict[str, Any]:
    """Read the fields of a card; its score is None where it is of the kind before `CaseScore`."""
    try:
        values = read_object(folder / CARD)
    except FileNotFoundError:
        raise ModelError(f"{folder}: not a model folder, it holds no {CARD}") from None
    except DocumentError as error:
        raise _unreadable(folder, error) from error
    score = values.get("score")
    if isinstance(score, dict) and "likely" not in score:
        values["score"] = None
    return values


def _unreadable(folder: Path, error: Exception) -> ModelError:
    path = folder / CARD
    return ModelError(f"{path}: not a readable model card: {str(error).removeprefix(f'{path}: ')}")


#: The parts of a card whose unknown fields would change what the model does; "": the card itself.
_PARTS: dict[str, type] = {
    "": Card,
    "architecture": Architecture,
    "locator": LocatorCard,
    "voxel_calibration": VoxelCalibration,
    "score": CaseScore,
    "usual_shape": UsualShape,
}
