"""Segmentations as Slicer writes them: several segments in layers of labels, cropped to what is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nrrd
import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry

TISSUE, LEFT_ATRIUM, LEFT_VENTRICLE = "SCT^85756007^Tissue", "SCT^82471001^Left atrium", "SCT^87878005^Left ventricle"
ATRIUM, LEFT = "SCT^59652004^Atrium", "SCT^7771000^Left"


@dataclass(frozen=True)
class DrawnSegment:
    """A segment as its header names it.

    Attributes:
        name: What the person who drew it calls it.
        term: Scheme, code and meaning of its type.
        modifier: The same of the type's modifier.
        label: Its value.
        layer: Number of the layer that holds it.
        region: Scheme, code and meaning of the region that it is of.
    """

    name: str
    term: str = TISSUE
    modifier: str = "^^"
    label: int = 1
    layer: int = 0
    region: str = "^^"

    def fields(self, number: int) -> Mapping[str, str]:
        type_ = f"SCT^123037004^Anatomical Structure~{self.term}~{self.modifier}"
        term = f"Segmentation category and type~{type_}~~{self.region}~^^"
        return {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": self.name,
            f"Segment{number}_LabelValue": str(self.label),
            f"Segment{number}_Layer": str(self.layer),
            f"Segment{number}_Tags": f"Segmentation.Status:completed|TerminologyEntry:{term}|",
        }


def write_segments(
    path: Path,
    layers: Sequence[NDArray[np.uint8]],
    geometry: Geometry,
    segments: Sequence[DrawnSegment],
    without: Sequence[str] = (),
) -> None:
    """Write layers of labels, each (z, y, x), on a grid of their own; leave out header fields that end in `without`."""
    several = len(layers) > 1
    array = np.stack(layers).T if several else layers[0].T  # NRRD's first axis is the fastest.
    steps = (geometry.matrix * geometry.spacing).T
    header: dict[str, object] = {
        "space": "left-posterior-superior",
        "space directions": np.vstack([[np.nan] * 3, steps]) if several else steps,
        "space origin": np.array(geometry.origin),
        "kinds": ["list", "domain", "domain", "domain"] if several else ["domain"] * 3,
        "encoding": "gzip",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
    }
    for number, segment in enumerate(segments):
        header |= {key: text for key, text in segment.fields(number).items() if not key.endswith(tuple(without))}
    if several:
        array = np.moveaxis(np.stack(layers), 0, -1).transpose(3, 2, 1, 0)
    nrrd.write(str(path), np.ascontiguousarray(array), header)
