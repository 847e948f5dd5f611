"""The card of a model: all that is known about it beside its weights; reading one needs no torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.geometry import Triple
from mtctl.models.verdict import ModelName
from mtctl.networks.architecture import Architecture
from mtctl.system.files import write_json
from mtctl.uncertainty.case_score import CaseScore, UsualShape
from mtctl.uncertainty.voxel_calibration import VoxelCalibration

#: What a model folder holds: its card, the weights of its network and those of its locator.
CARD = "card.json"
WEIGHTS = "weights.safetensors"
LOCATOR = "locator.safetensors"

#: In a card's data: cases that the models before it were trained on.
LEARNT_BEFORE = "learnt_before"

# What hand-made changes may have made something else of, and windows take as it is.
_KINDS: dict[str, type] = {"id": str, "version": str, "samples": int, "data": dict, "recipe": dict, "validation": dict}


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

    sha256: str
    filters: int
    grid_mm: Triple


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

    id: str
    version: str
    sha256: str
    architecture: Architecture
    grid_mm: Triple
    locator: LocatorCard | None = None
    default: bool = False
    samples: int = 8
    views: int = 1
    mask_samples_share: float = 0.0
    voxel_calibration: VoxelCalibration = VoxelCalibration()
    threshold: float = 0.5
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
        ModelError: There is no readable card, or the model is of an obsolete grid (halved slice spacing).
    """
    values = _read_values(folder)
    if "grid_mm" not in values and "spacing_mm" in values:
        raise ModelError(
            f"{folder}: this model was trained on scans whose slices were taken to lie half as far apart as they "
            "do; it fails on correctly stored scans. Take a model that comes with this version, or train it anew"
        )
    try:
        for name, kind in _KINDS.items():
            if not isinstance(values.get(name, kind()), kind):
                raise TypeError(f"{name} is {values[name]!r}")
        values["architecture"] = Architecture(**values["architecture"])
        values["grid_mm"] = _triple(values["grid_mm"])
        values |= _calibration(values)
        if values.get("locator"):
            locator = values["locator"]
            values["locator"] = LocatorCard(locator["sha256"], locator["filters"], _triple(locator["grid_mm"]))
        return Card(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder, error) from error


def read_name(folder: Path) -> ModelName:
    """Read from its card which model lies in `folder`, even if this version cannot use that model any more.

    Raises:
        ModelError: There is no readable card.
    """
    values = _read_values(folder)
    try:
        return ModelName(values["id"], values["version"], values["sha256"])
    except KeyError as error:
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
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: not a model folder, it holds no {CARD}") from None
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    if not isinstance(values, dict):
        raise _unreadable(folder, TypeError("it holds no object"))
    return values


def _unreadable(folder: Path, error: Exception) -> ModelError:
    return ModelError(f"{folder / CARD}: not a readable model card: {error}")


def _triple(values: Any) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _calibration(values: dict[str, Any]) -> dict[str, Any]:
    """Return the card's calibration; cards from before it lack these values, or hold a score of another kind."""
    score, shape = values.get("score") or {}, values.get("usual_shape")
    if shape:
        first, second, third = (tuple(row) for row in shape["covariance"])
        shape = UsualShape(tuple(shape["mean"]), (first, second, third), shape["limit"])
    return {
        "voxel_calibration": VoxelCalibration(**values.get("voxel_calibration", {})),
        "score": CaseScore(**score) if "likely" in score else None,
        "usual_shape": shape,
    }
