"""The models to choose from, as the window shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _

from mtctl.errors import counted
from mtctl.models.card import Card, read_card
from mtctl.models.catalogue import Catalogue, InstalledModel, read_catalogue


@dataclass(frozen=True)
class ModelChoice:
    """A line of the list.

    Attributes:
        name: Id or folder, as the worker takes it; "" for the model in use, which the worker looks up for every case.
        title: Text for the list.
        details: Text for the tooltip.
        samples: What the model is usually asked for.
    """

    name: str
    title: str
    details: str
    samples: int = Card.samples


@dataclass(frozen=True)
class ModelChoices:
    """All that there is now.

    Attributes:
        choices: The model in use first, then what the site has published, newest first, then the shipped models.
        default: Id of the shipped default, or "".
        trouble: What cannot be used, in a sentence each.
    """

    choices: tuple[ModelChoice, ...]
    default: str
    trouble: tuple[str, ...]


def model_choices() -> ModelChoices:
    """Look up what is shipped, and the site's models. What cannot be used is left out and told."""
    catalogue = read_catalogue()
    listed = (_choice(model, model.card) for model in (*catalogue.site, *catalogue.shipped) if model.card)
    default = next((model.id for model in catalogue.shipped if model.card and model.card.default), "")
    cannot_be_used = _("{model} cannot be used: {reason}")
    trouble = [cannot_be_used.format(model=model.id, reason=model.fault) for model in catalogue.site if model.fault]
    if catalogue.fault:
        trouble.append(_("The site's models cannot be used: {reason}").format(reason=catalogue.fault))
    return ModelChoices((_in_use(catalogue), *listed), default, tuple(trouble))


def model_in(folder: Path) -> ModelChoice:
    """Return the model in a folder that the user chose.

    Raises:
        ModelError: There is no readable card, or the model is of an obsolete grid.
    """
    return _of_card(str(folder), read_card(folder), folder)


def _in_use(catalogue: Catalogue) -> ModelChoice:
    model = catalogue.in_use
    details = _("The model that is in use when Apply is pressed: one that is published later is used from then on.")
    if model is None:
        name = _("unknown") if catalogue.fault else _("none is installed")
    elif model.card is None and model.version is None:
        name = _("{model} (damaged)").format(model=model.id)
    else:
        name = model.id
    title = _("In use: {model}").format(model=name)
    if model is None or model.card is None:
        return ModelChoice("", title, details)
    choice = _choice(model, model.card)
    return replace(choice, name="", title=title, details=f"{details} {choice.details}")


def _choice(model: InstalledModel, card: Card) -> ModelChoice:
    choice = _of_card(model.id, card, model.folder)
    if model.version is None:
        return choice
    date, parent = model.version.published[:10], model.version.parent.id
    title = _("{model} (published {date})").format(model=model.id, date=date)
    details = _("Published at this site on {date}, made from {parent}.").format(date=date, parent=parent)
    return replace(choice, title=title, details=details)


def _of_card(name: str, card: Card, folder: Path) -> ModelChoice:
    labelled = card.data.get("labelled")
    scans = f", {counted(len(labelled), 'labelled scan')}" if isinstance(labelled, list) and labelled else ""
    title = f"{card.id} ({card.version}{scans})"
    details = f"Model {card.id}, version {card.version}{scans}. Folder: {folder}"
    return ModelChoice(name, title, details, card.samples)
