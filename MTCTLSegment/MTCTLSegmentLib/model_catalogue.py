"""The models to choose from, by their cards alone: torch must never be loaded into the application's process."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from mtctl.errors import MtctlError
from mtctl.models.card import CARD
from mtctl.models.shipped import shipped_cards
from mtctl.models.store import ModelStore, id_of

# What a file of cards and versions that was changed by hand can lead to.
_UNREADABLE = (MtctlError, OSError, ValueError, KeyError, TypeError)

_SAMPLES = 8  # Where a card names no number.


@dataclass(frozen=True)
class ModelChoice:
    """A line of the list.

    Attributes:
        name: Id or folder, as the worker takes it; "" for the model in use, which the worker looks up for every case.
        title: For the list.
        details: For the tooltip.
        samples: What the model is usually asked for.
    """

    name: str
    title: str
    details: str
    samples: int = _SAMPLES


@dataclass(frozen=True)
class Catalogue:
    """All that there is now.

    Attributes:
        choices: The model in use first, then what the site has published, newest first, then the shipped models.
        default: Id of the shipped default, or "".
        trouble: What cannot be used, in a sentence each.
    """

    choices: tuple[ModelChoice, ...]
    default: str
    trouble: tuple[str, ...]


def read_catalogue() -> Catalogue:
    """Look at what is shipped, and at the site's models. What is damaged is left out and told."""
    shipped, default = _shipped()
    versions: dict[int, ModelChoice] = {}
    trouble: list[str] = []
    used, unknown = default, ""
    try:
        store = ModelStore()
        for number in reversed(store.numbers()):
            try:
                versions[number] = _published(store, number)
            except _UNREADABLE as error:
                trouble.append(_("{model} cannot be used: {reason}").format(model=id_of(number), reason=error))
        number = store.in_use()
        if number is not None:
            used, unknown = versions.get(number), _("{model} (damaged)").format(model=id_of(number))
    except _UNREADABLE as error:
        used, unknown = None, _("unknown")
        trouble.append(_("The site's models cannot be used: {reason}").format(reason=error))
    first = _in_use(used, unknown or _("none is installed"))
    return Catalogue((first, *versions.values(), *shipped), default.name if default else "", tuple(trouble))


def model_in(folder: Path) -> ModelChoice:
    """The model in a folder that the user chose.

    Raises:
        ValueError: There is no readable card; the message is for the user.
    """
    try:
        return _choice(folder / CARD, str(folder))
    except _UNREADABLE as error:
        raise ValueError(f"{folder}: not a model folder, it holds no readable card.json") from error


def _in_use(model: ModelChoice | None, unknown: str) -> ModelChoice:
    details = _("The model that is in use when Apply is pressed: one that is published later is used from then on.")
    if model is None:
        return ModelChoice("", _("In use: {model}").format(model=unknown), details)
    title = _("In use: {model}").format(model=model.name)
    return replace(model, name="", title=title, details=f"{details} {model.details}")


def _published(store: ModelStore, number: int) -> ModelChoice:
    version = store.version(number)
    name, date = version.model.id, version.published[:10]
    title = _("{model} (published {date})").format(model=name, date=date)
    details = _("Published at this site on {date}, made from {parent}.").format(date=date, parent=version.parent.id)
    return replace(_choice(version.folder / CARD, name), title=title, details=details)


def _shipped() -> tuple[list[ModelChoice], ModelChoice | None]:
    """All shipped models, the default one first, and that; a card that cannot be read is left out."""
    default, others = None, []
    for card in shipped_cards():
        try:
            choice = _choice(card, card.parent.name)
            if default is None and _values(card).get("default", False):
                default = choice
            else:
                others.append(choice)
        except _UNREADABLE:
            continue
    return ([default] if default else []) + others, default


def _values(card: Path) -> dict[str, Any]:
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
    return ModelChoice(name, title, details, int(str(values.get("samples", _SAMPLES))))
