"""What a saved scene must have and no node shows, stored as text in the record of the case: documents and masks."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from mtctl.geometry import Mask
from mtctl.scene.nodes import CaseNodes, is_in_scene, record_of
from mtctl.scene.types import Node
from mtctl.system.documents import MOST_BYTES, DocumentError, parse_object
from mtctl.system.fields import Longest, Within, read_as

# Attributes of the record; a name follows.
_DOCUMENT = "MTCTL.Document."
_MASK = "MTCTL.Mask."

#: More voxels than any scan has that a window shows.
_MOST_VOXELS = 1 << 33

_Index = Annotated[int, Within(0, 1 << 20)]


@dataclass(frozen=True)
class _StoredMask:
    """A mask as text: the shape (z, y, x), the box outside of which it is empty, and the bits within."""

    shape: tuple[_Index, _Index, _Index]
    box: tuple[tuple[_Index, _Index], tuple[_Index, _Index], tuple[_Index, _Index]]
    bits: Annotated[str, Longest(MOST_BYTES)]


def store_document(nodes: CaseNodes, name: str, document: Mapping[str, Any]) -> None:
    """Store plain data with the case, so that a saved scene has it; `show_result` stores "report".

    For example the `review_document` of a draft under "review".

    Raises:
        SceneError: The case's record was deleted.
    """
    record_of(nodes).SetAttribute(_DOCUMENT + name, json.dumps(document))


def load_document(nodes: CaseNodes, name: str) -> dict[str, Any] | None:
    """Return what `store_document` stored under that name; None where there is nothing that can be used."""
    text = nodes.record.GetAttribute(_DOCUMENT + name) if is_in_scene(nodes.record) else None
    try:
        return None if text is None else parse_object(text, name)
    except DocumentError:
        return None


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
    """Return a mask that `store_mask` stored; None where there is none that can be used."""
    text = record.GetAttribute(_MASK + name) if record is not None else None
    if text is None:
        return None
    try:
        stored = read_as(_StoredMask, parse_object(text, name), name)
        size = math.prod(max(0, end - start) for start, end in stored.box)
        if math.prod(stored.shape) > _MOST_VOXELS or size > math.prod(stored.shape):
            return None
        mask = np.zeros(stored.shape, dtype=bool)
        part = mask[tuple(slice(*side) for side in stored.box)]
        packed = zlib.decompressobj().decompress(base64.b64decode(stored.bits), -(-size // 8) + 1)
        part[...] = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=part.size).reshape(part.shape)
    except (DocumentError, ValueError, zlib.error):
        return None
    return mask


def remove_mask(record: Node, name: str) -> None:
    """Remove a mask that `store_mask` stored."""
    record.RemoveAttribute(_MASK + name)
