"""The files of a model folder, and one sum of all of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mtctl.system.files import file_sha256

#: What a model folder holds: its card, the weights of its network and those of its locator.
CARD = "card.json"
WEIGHTS = "weights.safetensors"
LOCATOR = "locator.safetensors"


def model_sum(folder: Path) -> str:
    """Return the SHA-256 over card, weights and locator of the model in a folder; "" where there is none.

    Raises:
        OSError: A file cannot be read.
    """
    names = [name for name in (CARD, WEIGHTS, LOCATOR) if (folder / name).exists()]
    if not names:
        return ""
    return hashlib.sha256("\n".join(f"{name} {file_sha256(folder / name)}" for name in names).encode()).hexdigest()
