"""A model: a folder with weights (safetensors) and a card (JSON); to find, check, load and save one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mtctl.geometry import Triple
from mtctl.models import shipped
from mtctl.models.card import Card, LocatorCard, ModelError, read_card, write_card
from mtctl.models.catalogue import Catalogue, read_catalogue, shipped_models
from mtctl.models.model_files import CARD, LOCATOR, WEIGHTS
from mtctl.models.store import ModelStore
from mtctl.models.versions import ModelStoreError
from mtctl.models.weight_files import load_weights, save_weights
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet


@dataclass(frozen=True)
class Model:
    """A card and the folder it was read from.

    Attributes:
        folder: The folder.
        card: Its card.
        remark: What everyone who gets a result of it has to know of how it was chosen, in a sentence; "": nothing.
    """

    folder: Path
    card: Card
    remark: str = ""

    @property
    def id(self) -> str:
        return self.card.id

    @property
    def version(self) -> str:
        return self.card.version

    @property
    def _what(self) -> str:
        return f"the model '{self.id}'"

    def load_network(self) -> MTCTLNet:
        """Return the network with its weights, in evaluation mode, float32.

        Raises:
            ModelError: The weights are missing, damaged, or not those of the card.
        """
        return load_weights(MTCTLNet(self.card.architecture), self.folder / WEIGHTS, self.card.sha256, self._what)

    def load_locator(self, locator: LocatorCard) -> LocatorNet:
        """Return the locator's network in the same way.

        Raises:
            ModelError: As `load_network`.
        """
        return load_weights(LocatorNet(locator.filters), self.folder / LOCATOR, locator.sha256, self._what)


def read_model(folder: Path) -> Model:
    """Read the card of the model in `folder`; its weights are not read yet.

    Raises:
        ModelError: As `card.read_card`.
    """
    return Model(folder, read_card(folder))


def list_models(store: ModelStore | None = None) -> list[Model]:
    """Return all models that can be used: the one in use, then the site's, newest first, then the shipped ones.

    Args:
        store: The site's models; None: those in `store.site_folder()`.

    Raises:
        ModelStoreError: The site's folder is not there, or nobody can tell which model is in use.
    """
    return [Model(model.folder, model.card) for model in _catalogue(store).models if model.card]


def find_model(name: str | None, store: ModelStore | None = None) -> Model:
    """Return the model with that id, in that folder, or, for None, the one in use: the site's, or the shipped default.

    It is looked up anew every time, so that a program that runs for days takes what was published since.

    Args:
        name: Id or folder of a model; None: the one in use.
        store: See `list_models`.

    Raises:
        ModelError: There is none, and the message lists those that exist; or `card.read_card` refuses it.
        ModelStoreError: The site's folder is not there.
    """
    if name is None:
        return _default_model(store or ModelStore())
    if Path(name, CARD).is_file():
        return read_model(Path(name))
    for model in shipped_models():
        if name == model.id:
            return read_model(model.folder)
    if Path(name).is_dir():
        return read_model(Path(name))
    catalogue = _catalogue(store)
    for model in catalogue.site:
        if name == model.id:
            if model.fault:
                raise ModelError(model.fault)
            return read_model(model.folder)
    known = ", ".join(model.id for model in catalogue.models if model.card) or "none"
    raise ModelError(f"unknown model '{name}': neither a model folder nor one of the installed models ({known})")


def _default_model(store: ModelStore) -> Model:
    """Return the site's model, or the one that stands in for it, which its remark says, or the shipped default."""
    usable = store.usable()
    if usable.version is not None:
        return replace(read_model(usable.version.folder), remark=usable.fault)
    for model in shipped_models():
        if model.card and model.card.default:
            return replace(read_model(model.folder), remark=usable.fault)
    looked = f"no default model is installed; looked in {', '.join(map(str, shipped.MODEL_FOLDERS))}"
    raise ModelError(f"{usable.fault}; {looked}" if usable.fault else looked)


def _catalogue(store: ModelStore | None) -> Catalogue:
    catalogue = read_catalogue(store)
    if catalogue.fault:
        raise ModelStoreError(catalogue.fault)
    return catalogue


def save_model(folder: Path, card: Card, state: dict[str, torch.Tensor]) -> Model:
    """Write weights (float16) and card into `folder`; the card gets the hash of the weights and is written last.

    Raises:
        WriteError: Nothing is left half-written then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card = dataclasses.replace(card, sha256=save_weights(folder / WEIGHTS, state))
    write_card(folder, card)
    return Model(folder, card)


def save_locator(model: Model, filters: int, grid_mm: Triple, state: dict[str, torch.Tensor]) -> Model:
    """Add the weights of a `LocatorNet` (float16) to a model and its card.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    sha256 = save_weights(model.folder / LOCATOR, state)
    card = dataclasses.replace(model.card, locator=LocatorCard(sha256, filters, grid_mm))
    write_card(model.folder, card)
    return Model(model.folder, card)
