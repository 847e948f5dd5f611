"""Whether weights are those of a card: their checksum, and the names, shapes and numbers of their tensors. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtctl.models.card import Card, ModelError
from mtctl.models.model_files import LOCATOR, WEIGHTS
from mtctl.networks.architecture import Shape, locator_shapes, network_shapes
from mtctl.system.files import file_sha256
from mtctl.system.regular_files import check_regular

#: What `model.save_model` writes, and what networks are trained in; anything else is another program's.
_TYPES = ("F16", "F32", "I64")


def check_sums(folder: Path, card: Card) -> None:
    """Make sure that a model's weights are the files that its card names.

    Raises:
        ModelError: One is missing, or another file.
    """
    for name, sha256, _ in _networks(card):
        path = folder / name
        try:
            found = file_sha256(path)
        except FileNotFoundError:
            raise ModelError(f"{path}: is missing, but this model's card names it") from None
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
        if found != sha256:
            raise ModelError(f"{path}: is not the file of this model's card")


def check_tensors(folder: Path, card: Card) -> None:
    """Make sure that a model's weights fit the networks that its card describes.

    Raises:
        ModelError: They have other tensors, or some that are no finite numbers.
    """
    from safetensors import SafetensorError  # Slicer's window lists models before this is installed.

    for name, _, shapes in _networks(card):
        try:
            _check(folder / name, shapes)
        except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(f"{folder / name}: not the weights of an MT-CTL network: {reason}") from error


def _networks(card: Card) -> list[tuple[str, str, Mapping[str, Shape]]]:
    """Return file name, checksum and tensors of a model's networks."""
    found: list[tuple[str, str, Mapping[str, Shape]]] = [(WEIGHTS, card.sha256, network_shapes(card.architecture))]
    if card.locator:
        found.append((LOCATOR, card.locator.sha256, locator_shapes(card.locator.filters)))
    return found


def _check(path: Path, shapes: Mapping[str, Shape]) -> None:
    from safetensors import safe_open

    check_regular(path)
    with safe_open(path, "numpy") as stream:
        names = set(stream.keys())
        for name in sorted(names ^ shapes.keys()):
            raise ValueError(f"the tensor {name[:80]} is {'too many' if name in names else 'missing'}")
        for name, shape in shapes.items():
            part = stream.get_slice(name)
            if tuple(part.get_shape()) != shape:
                raise ValueError(f"{name} has the shape {part.get_shape()}, the card's network {list(shape)}")
            if part.get_dtype() not in _TYPES:
                raise ValueError(f"{name} is of the type {part.get_dtype()}")
        for name in shapes:
            if not np.isfinite(stream.get_tensor(name)).all():
                raise ValueError(f"{name} holds what is no finite number")
