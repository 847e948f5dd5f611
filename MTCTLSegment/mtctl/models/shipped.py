"""The models that came with the program, as far as that can be told without torch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import mtctl
from mtctl.models.card import ModelError, read_card
from mtctl.models.model_files import CARD
from mtctl.models.verdict import ModelName

_ENGINE = Path(mtctl.__file__).resolve().parent

#: Where shipped models may lie: in a wheel, in an installed Slicer extension, in a source tree.
MODEL_FOLDERS = (
    _ENGINE / "Resources" / "Models",
    _ENGINE.parent / "Resources" / "MTCTL" / "Models",
    _ENGINE.parents[1] / "Resources" / "Models",
)


def shipped_cards() -> list[Path]:
    """Return the cards of all shipped models."""
    folder = next((folder for folder in MODEL_FOLDERS if folder.is_dir()), None)
    return sorted(folder.glob(f"*/{CARD}")) if folder else []


def shipped_default() -> ModelName | None:
    """Return the shipped model that is used where none is named and none is published; None: none is installed."""
    for path in shipped_cards():
        with suppress(ModelError):
            card = read_card(path.parent)
            if card.default:
                return card.name
    return None
