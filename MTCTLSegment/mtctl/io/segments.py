"""Which voxels of a mask's file are the left atrium: of a segmentation that Slicer wrote, and of a plain label map.

Slicer puts several segments into one file (.seg.nrrd), each with a name and a coded term, by label values in one or
more layers, and crops the grid to what is drawn. Before Slicer 4.11 each segment had a layer of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.errors import counted
from mtctl.geometry import SAME_GRID_MM, Geometry, Mask, Volume, VolumeError, same_grid
from mtctl.io.scan_checks import check_finite

#: SNOMED CT 82471001 as Slicer writes terms: context ~ category ~ type ~ modifier ~ region context ~ region ~ modifier.
LEFT_ATRIUM = (
    "Segmentation category and type - DICOM master list"
    "~SCT^123037004^Anatomical Structure~SCT^82471001^Left atrium~^^~Anatomic codes - DICOM master list~^^~^^"
)

# Codes of SNOMED CT and, as DICOM had them before 2019, of SNOMED RT.
_SNOMED = ("SCT", "SRT", "SNM3", "99SDM")
_LEFT_ATRIA = {"82471001", "T-32300"}
_ATRIA, _LEFT = {"59652004", "T-32100"}, {"7771000", "G-A101"}
# Terms that say nothing: tissue (Slicer's for a new segment), anatomical structure. The heart, if its name says more.
_GENERAL = {"", "85756007", "T-D0050", "123037004", "T-D000A", "91723000"}
_WHOLES = {"80891009", "T-32000"} | _ATRIA

_ATRIAL_NAME = re.compile(r"\bl(?:eft)? ?atri(?:um|al)\b|\batri(?:um|al) l(?:eft)?\b|\bla\b")
_OTHER_NAME = re.compile(
    r"\b(?:right|ra|lv|rv|ventric\w*|ventrik\w*|aort\w*|myocard\w*|epicard\w*|pericard\w*|wall|scar\w*|fibros\w*|"
    r"append\w*|laa|auricle|arter\w*|esophag\w*|oesophag\w*|valve|liver|lungs?|kidneys?|spleen|brain|bones?|"
    r"vertebra\w*|tum(?:o|ou)r|lesion|skin|body|background)\b"
)
# What people draw with the atrium or leave out: "LA with LAA", "left atrium without wall".
_ADDED = re.compile(
    r"\b(?:with|incl\w*|and|plus) (?:the |left |atrial )*(?:append\w*|laa|auricle|veins?|pvs?)\b"
    r"|\b(?:without|excl\w*|no|not)\b.*"
)
_VEINS = re.compile(r"\b(?:veins?|pv|pvs)\b")

# By how much of a voxel the lattices of a mask and its scan may lie apart.
_SAME_LATTICE = 0.01

# The values of a label map that are listed; a scan saved as mask has hundreds.
_LISTED = 5


@dataclass(frozen=True)
class _Segment:
    name: str
    label: int
    layer: int
    type: tuple[str, str, str]
    modifier: str

    @property
    def text(self) -> str:
        """Its name in plain words."""
        return _words(self.name)

    @property
    def is_left_atrium(self) -> bool:
        scheme, code, _ = self.type
        return scheme in _SNOMED and (code in _LEFT_ATRIA or (code in _ATRIA and self.modifier in _LEFT))

    @property
    def says_left_atrium(self) -> bool:
        """Whether its name does, and its term does not contradict."""
        named = _ADDED.sub("", self.text)
        return bool(_ATRIAL_NAME.search(named)) and not _OTHER_NAME.search(named) and not self._is_coded_other

    @property
    def says_another(self) -> bool:
        """Whether its term or its name is that of another structure."""
        if self.says_left_atrium:
            return False
        scheme, code, meaning = self.type
        whole = scheme in _SNOMED and code in _WHOLES
        return self._is_coded_other or whole or any(
            bool(_OTHER_NAME.search(text) or _VEINS.search(text)) for text in (self.text, _words(meaning))
        )  # fmt: skip

    @property
    def _is_coded_other(self) -> bool:
        scheme, code, _ = self.type
        return scheme in _SNOMED and code not in _GENERAL and code not in _WHOLES and not self.is_left_atrium

    def __str__(self) -> str:
        meaning = self.type[2]
        return f"'{self.name}'" + (f" ({meaning})" if meaning and _words(meaning) != self.text else "")


def left_atrium_of(array: NDArray[Any], metadata: Mapping[str, str]) -> Mask:
    """Return the voxels of the left atrium.

    Of a segmentation these are those of the one segment whose code is the left atrium's, else of the one that is named
    so, else of the only one if nothing says that it is another structure. Of a label map they are those of its one
    value that is not 0.

    Args:
        array: (z, y, x), or (z, y, x, layer).
        metadata: What the file's header says beside its grid.

    Raises:
        VolumeError: There is no such segment or more than one, or there are several labels; they are named.
    """
    if not is_segmentation(metadata):
        return _foreground(array)
    segments = _segments(metadata, array.ndim == 4)
    segment = _chosen(segments)
    if segment.label == 0:
        raise VolumeError(
            f"the segment {segment} is said to have the value 0, which is the background's; save it again"
        )
    shared = [other for other in segments if (other.label, other.layer) == (segment.label, segment.layer)]
    if len(shared) > 1:
        raise VolumeError(
            f"several segments are said to have the value {segment.label} in one layer ({_named(shared)}); save the "
            "left atrium alone"
        )
    layers = array if array.ndim == 4 else array[..., np.newaxis]
    if not 0 <= segment.layer < layers.shape[-1]:
        raise VolumeError(f"the segment {segment} is said to lie in a layer that the file does not have; save it again")
    mask = layers[..., segment.layer] == segment.label
    if not mask.any():
        known = {other.label for other in segments if other.layer == segment.layer} | {0}
        strange = [value for value in np.unique(layers[..., segment.layer]).tolist() if value not in known]
        if strange:
            raise VolumeError(f"its voxels have the value {strange[0]:g}, which no segment has; save it again")
    return mask


def is_segmentation(metadata: Mapping[str, str]) -> bool:
    """Return whether a file is a segmentation as Slicer writes it, by what its header says beside its grid."""
    return any(re.match(r"Segment\d+_|Segmentation_", key) for key in metadata)


def on_lattice_of(mask: Volume, grid: Geometry) -> Volume:
    """Return a mask on the grid of its scan, of which Slicer has kept a part; as it is where it lies on another.

    Raises:
        VolumeError: It lies on that grid's lattice, but reaches beyond the grid.
    """
    if same_grid(mask.geometry, grid) or not _same_lattice(mask.geometry, grid):
        return mask
    start = np.rint(grid.physical_to_index(mask.geometry.origin)).astype(int)[::-1]
    places = np.argwhere(mask.array)
    if len(places) and ((places.min(axis=0) + start).min() < 0 or (places.max(axis=0) + start >= grid.shape).any()):
        raise VolumeError("the segmentation reaches beyond its scan; is it the one of this scan?")
    array = np.zeros(grid.shape, mask.array.dtype)
    low, high = np.maximum(start, 0), np.minimum(start + mask.array.shape, grid.shape)
    if (high > low).all():
        taken = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = mask.array[taken]
    return Volume(array, grid)


def _same_lattice(part: Geometry, grid: Geometry) -> bool:
    if not (
        np.allclose(part.spacing, grid.spacing, rtol=0, atol=SAME_GRID_MM)
        and np.allclose(part.direction, grid.direction, rtol=0, atol=SAME_GRID_MM)
    ):
        return False
    corners = grid.physical_to_index(part.index_to_physical(np.array([(0, 0, 0), part.size]) - [(0, 0, 0), (1, 1, 1)]))
    return bool(np.abs(corners - np.rint(corners)).max() < _SAME_LATTICE)


def _foreground(array: NDArray[Any]) -> Mask:
    if array.ndim != 3:
        raise VolumeError(
            f"a colour or vector image ({array.shape[-1]} values a voxel); save the left atrium alone, as 1"
        )
    if np.issubdtype(array.dtype, np.floating):
        check_finite(array)
    inside = np.asarray(array != 0)
    values, counts = np.unique(array[inside], return_counts=True)
    if len(values) > 1 or any(not value > 0 or value != np.floor(value) for value in values.tolist()):
        pairs = zip(values[:_LISTED].tolist(), counts[:_LISTED].tolist(), strict=True)
        more = f" and {counted(len(values) - _LISTED, 'more value')}" if len(values) > _LISTED else ""
        listed = ", ".join(f"{value:g} ({counted(count, 'voxel')})" for value, count in pairs) + more
        what = "several labels" if len(values) > 1 else "a label that is no whole number above 0"
        raise VolumeError(f"the mask has {what}: {listed}; save the left atrium alone, as 1")
    return inside


def _segments(metadata: Mapping[str, str], layered: bool) -> list[_Segment]:
    numbers = sorted({int(found[1]) for key in metadata if (found := re.match(r"Segment(\d{1,6})_", key))})
    segments = []
    for position, number in enumerate(numbers):
        fields = {
            name: metadata.get(f"Segment{number}_{name}", "").strip()
            for name in ("ID", "Name", "LabelValue", "Layer", "Tags")
        }
        name = fields["Name"] or fields["ID"] or f"segment {number}"
        own_layer = layered and not fields["LabelValue"] and not fields["Layer"]
        label = _whole(fields["LabelValue"], 1, name)
        layer = _whole(fields["Layer"], position if own_layer else 0, name)
        term = re.search(r"TerminologyEntry:([^|]*)", fields["Tags"])
        parts = [tuple((part + "^^").split("^")[:3]) for part in (term[1] if term else "").split("~")]
        parts += [("", "", "")] * 7
        # The type, or where it says no more than "tissue" the region, if that is a part of the heart or another organ.
        region, told = parts[5], bool(_OTHER_NAME.search(_words(parts[5][2])))
        place = 5 if parts[2][1] in _GENERAL and (region[1] in _LEFT_ATRIA | _ATRIA or told) else 2
        type_, modifier = parts[place], parts[place + 1]
        segments.append(_Segment(name, label, layer, (type_[0], type_[1], type_[2]), modifier[1]))
    return segments


def _whole(text: str, usual: int, name: str) -> int:
    if not text:
        return usual
    try:
        return int(text)
    except ValueError:
        raise VolumeError(f"the label of the segment '{name}' is no number ({text[:40]}); save it again") from None


def _chosen(segments: Sequence[_Segment]) -> _Segment:
    """Return the left atrium.

    Raises:
        VolumeError: There is none, or more than one.
    """
    if not segments:
        raise VolumeError("the segmentation has no segment; draw the left atrium")
    coded = [segment for segment in segments if segment.is_left_atrium]
    for found in (coded, [segment for segment in segments if segment.says_left_atrium] if not coded else []):
        if len(found) == 1:
            return found[0]
        if found:
            raise VolumeError(f"more than one segment is the left atrium ({_named(found)}); save the right one alone")
    if len(segments) > 1:
        raise VolumeError(
            f"the segmentation has several segments, and none of them says that it is the left atrium "
            f"({_named(segments)}); save it alone, or choose the term Left atrium (SNOMED CT 82471001) for it"
        )
    if segments[0].says_another:
        raise VolumeError(
            f"the segmentation is of {segments[0]}, not of the left atrium; if it is, choose that name and that term "
            "(SNOMED CT 82471001) for it"
        )
    return segments[0]


def _named(segments: Sequence[_Segment]) -> str:
    more = f" and {len(segments) - _LISTED} more" if len(segments) > _LISTED else ""
    return ", ".join(map(str, segments[:_LISTED])) + more


def _words(text: str) -> str:
    """Return a name in lower case, its words parted by blanks: "LeftAtrium_2" gives "left atrium 2"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)", " ", text)
    return " ".join(re.findall(r"[^\W_]+", spaced.lower()))
