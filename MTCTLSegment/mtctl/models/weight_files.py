"""Weights of a network to and from a safetensors file, with the checksum that a card keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mtctl.models.card import ModelError
from mtctl.networks.tensors import write_tensors
from mtctl.system.files import file_sha256

Network = TypeVar("Network", bound=torch.nn.Module)


def load_weights(network: Network, path: Path, sha256: str, what: str) -> Network:
    """Return the network with the weights of a file, in evaluation mode, float32.

    Args:
        network: A new one.
        path: The file.
        sha256: Its checksum, as the card says.
        what: What has to be installed again where the file is not that one: "the model 'ID'".

    Raises:
        ModelError: The weights are missing, damaged, or not those of the card.
    """
    if not path.is_file():
        raise ModelError(f"{path}: the weights are missing; install {what} again")
    found = file_sha256(path)
    if found != sha256:
        raise ModelError(
            f"{path}: the file is damaged or not the one of this model (SHA-256 {found[:12]}..., the card says "
            f"{sha256[:12]}...); install {what} again"
        )
    try:
        state = {
            name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()
        }
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path}: not the weights of an MT-CTL network: {str(error).splitlines()[0]}") from error
    return network.eval()


def save_weights(path: Path, state: dict[str, torch.Tensor]) -> str:
    """Write weights (float16) and return the SHA-256 of the file.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    write_tensors(path, {n: tensor.half() if tensor.is_floating_point() else tensor for n, tensor in state.items()})
    return file_sha256(path)
