"""The models to choose from, by their cards alone: torch must never be loaded into the application's process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import mtctl

_ENGINE = Path(mtctl.__file__).resolve().parent
# Where `mtctl.model.MODEL_FOLDERS` looks as well; that file cannot be imported here, for it needs torch.
_FOLDERS = (
    _ENGINE / "Resources" / "Models",
    _ENGINE.parent / "Resources" / "MTCTL" / "Models",
    _ENGINE.parents[1] / "Resources" / "Models",
)


@dataclass(frozen=True)
class ModelChoice:
    """A line of the list.

    Attributes:
        name: Id or folder, as the worker takes it.
        title: For the list.
        details: For the tooltip.
        samples: What the model is usually asked for.
    """

    name: str
    title: str
    details: str
    samples: int


def installed_models() -> list[ModelChoice]:
    """All shipped models, the default one first; a card that cannot be read is left out."""
    folder = next((each for each in _FOLDERS if each.is_dir()), None)
    found = []
    for card in sorted(folder.glob("*/card.json")) if folder else []:
        try:
            found.append((not _values(card).get("default", False), _choice(card, card.parent.name)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [choice for _, choice in sorted(found, key=lambda each: (each[0], each[1].name))]


def model_in(folder: Path) -> ModelChoice:
    """The model in a folder that the user chose.

    Raises:
        ValueError: There is no readable card; the message is for the user.
    """
    try:
        return _choice(folder / "card.json", str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}: not a model folder, it holds no readable card.json") from error


def _values(card: Path) -> dict[str, object]:
    values = json.loads(card.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{card}: not a model card")
    return values


def _choice(card: Path, name: str) -> ModelChoice:
    values = _values(card)
    data = values.get("data")
    labelled = data.get("labelled", []) if isinstance(data, dict) else []
    scans = f", {len(labelled)} labelled scans" if isinstance(labelled, list) and labelled else ""
    title = f"{values['id']} ({values['version']}{scans})"
    details = f"Model {values['id']}, version {values['version']}{scans}. Folder: {card.parent}"
    return ModelChoice(name, title, details, int(str(values.get("samples", 8))))
