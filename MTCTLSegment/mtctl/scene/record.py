"""What a saved scene must have and no node shows, stored as text in the record of the case: documents and masks."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtctl.geometry import Mask
from mtctl.scene.nodes import CaseNodes, is_in_scene, record_of
from mtctl.scene.types import Node

# Attributes of the record; a name follows.
_DOCUMENT = "MTCTL.Document."
_MASK = "MTCTL.Mask."


def store_document(nodes: CaseNodes, name: str, document: Mapping[str, Any]) -> None:
    """Store plain data with the case, so that a saved scene has it; `show_result` stores "report".

    For example the `review_document` of a draft under "review".

    Raises:
        SceneError: The case's record was deleted.
    """
    record_of(nodes).SetAttribute(_DOCUMENT + name, json.dumps(document))


def load_document(nodes: CaseNodes, name: str) -> dict[str, Any] | None:
    """Return what `store_document` stored under that name; None where there is nothing."""
    text = nodes.record.GetAttribute(_DOCUMENT + name) if is_in_scene(nodes.record) else None
    document = None if text is None else json.loads(text)
    return document if isinstance(document, dict) else None


def store_mask(record: Node, name: str, mask: Mask) -> None:
    """Store a mask (z, y, x) as text in the record: tens of kilobytes; a hidden node would be saved as a file.

    A hidden node would also turn up in every selector that shows hidden nodes, and in the dialog that saves.
    """
    hit = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = [(int(each[0]), int(each[-1]) + 1) if len(each) else (0, 0) for each in hit]
    bits = np.packbits(mask[tuple(slice(*side) for side in box)])
    text = base64.b64encode(zlib.compress(bits.tobytes(), 1)).decode("ascii")
    record.SetAttribute(_MASK + name, json.dumps({"shape": mask.shape, "box": box, "bits": text}))


def load_mask(record: Node | None, name: str) -> Mask | None:
    """Return a mask that `store_mask` stored; None where there is none."""
    text = record.GetAttribute(_MASK + name) if record is not None else None
    if text is None:
        return None
    document = json.loads(text)
    mask = np.zeros(document["shape"], dtype=bool)
    part = mask[tuple(slice(*side) for side in document["box"])]
    bits = np.frombuffer(zlib.decompress(base64.b64decode(document["bits"])), dtype=np.uint8)
    part[...] = np.unpackbits(bits, count=part.size).reshape(part.shape)
    return mask


def remove_mask(record: Node, name: str) -> None:
    """Remove a mask that `store_mask` stored."""
    record.RemoveAttribute(_MASK + name)
