"""All models that there are, by their cards alone: no weights are read, and no torch is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.models.card import Card, ModelError, read_card
from mtctl.models.shipped import shipped_cards
from mtctl.models.store import ModelStore
from mtctl.models.versions import ModelStoreError, Version, id_of


@dataclass(frozen=True)
class InstalledModel:
    """One model of the site, or one that came with the program.

    Attributes:
        id: Id to ask for it by.
        folder: Where card and weights lie.
        number: Number of the site's version; None: the model was shipped.
        card: Its card; None: the model cannot be used.
        version: Its entry in the site's store; None: it was shipped, or is damaged.
        fault: Why it cannot be used, in a sentence; "": it can.
    """

    id: str
    folder: Path
    number: int | None
    card: Card | None
    version: Version | None = None
    fault: str = ""


@dataclass(frozen=True)
class Catalogue:
    """The models of a site.

    Attributes:
        in_use: What is used where no model is named; None: none is installed, or nobody can tell which it is (`fault`).
        site: What the site has published, newest first, models that cannot be used included.
        shipped: What came with the program, the default first, models that cannot be used included.
        fault: Why the site's models, or the one of them in use, cannot be looked up; "": they can.
    """

    in_use: InstalledModel | None
    site: tuple[InstalledModel, ...]
    shipped: tuple[InstalledModel, ...]
    fault: str = ""

    @property
    def models(self) -> tuple[InstalledModel, ...]:
        """All of them: the one in use, then the site's, then the shipped ones."""
        first = () if self.in_use is None else (self.in_use,)
        return first + tuple(model for model in (*self.site, *self.shipped) if model != self.in_use)


def read_catalogue(store: ModelStore | None = None) -> Catalogue:
    """Read the cards of all models that there are now. A model that cannot be used is listed with the reason.

    Args:
        store: The site's models; None: those in `store.site_folder()`.
    """
    shipped = shipped_models()
    site: tuple[InstalledModel, ...] = ()
    try:
        store = store or ModelStore()
        site = tuple(_published(store, number) for number in reversed(store.numbers()))
        number = store.in_use()
    except (ModelStoreError, OSError) as error:
        return Catalogue(None, site, shipped, str(error))
    if number is None:
        return Catalogue(next((model for model in shipped if model.card and model.card.default), None), site, shipped)
    in_use = next((model for model in site if model.number == number), None)
    return Catalogue(in_use or _published(store, number), site, shipped)


def shipped_models() -> tuple[InstalledModel, ...]:
    """Return what came with the program, the default first, then by id."""
    models = []
    for path in shipped_cards():
        try:
            card = read_card(path.parent)
            models.append(InstalledModel(card.id, path.parent, None, card))
        except ModelError as error:
            models.append(InstalledModel(path.parent.name, path.parent, None, None, fault=str(error)))
    return tuple(sorted(models, key=lambda model: (model.card is None or not model.card.default, model.id)))


def _published(store: ModelStore, number: int) -> InstalledModel:
    id, folder, version = id_of(number), store.version_folder(number), None
    try:
        version = store.version(number)
        return InstalledModel(id, folder, number, read_card(folder), version)
    except MtctlError as error:
        return InstalledModel(id, folder, number, None, version, str(error))
