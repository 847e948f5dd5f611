"""Masks that a saved scene must have and that no node shows, kept as text in the case's record."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np

from mtctl.evaluation.segmentation_metrics import Mask

_MASK = "MTCTL.Mask."

Node = Any


def keep_mask(record: Node, name: str, mask: Mask) -> None:
    """Keep a mask (z, y, x) as text in the record: tens of kilobytes, where a hidden node would be saved as a file.

    A hidden node would also turn up in every selector that shows hidden nodes, and in the dialog that saves.
    """
    hit = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = [(int(each[0]), int(each[-1]) + 1) if len(each) else (0, 0) for each in hit]
    bits = np.packbits(mask[tuple(slice(*side) for side in box)])
    text = base64.b64encode(zlib.compress(bits.tobytes(), 1)).decode("ascii")
    record.SetAttribute(_MASK + name, json.dumps({"shape": mask.shape, "box": box, "bits": text}))


def kept_mask(record: Node | None, name: str) -> Mask | None:
    """A mask that `keep_mask` kept; None where there is none."""
    text = record.GetAttribute(_MASK + name) if record is not None else None
    if text is None:
        return None
    document = json.loads(text)
    mask = np.zeros(document["shape"], dtype=bool)
    part = mask[tuple(slice(*side) for side in document["box"])]
    bits = np.frombuffer(zlib.decompress(base64.b64decode(document["bits"])), dtype=np.uint8)
    part[...] = np.unpackbits(bits, count=part.size).reshape(part.shape)
    return mask


def forget_mask(record: Node, name: str) -> None:
    """The opposite of `keep_mask`."""
    record.RemoveAttribute(_MASK + name)
