"""The files of a case that is compared: its result, the maps and the report beside it, and the expert mask."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Map, Mask, Triple, Volume, VolumeError, same_grid, with_spacing
from mtctl.io.formats.endings import open_volume
from mtctl.io.inputs import reading_seconds
from mtctl.io.volumes import read_map, read_mask, read_volume
from mtctl.review.case_maps import probability_of
from mtctl.system.documents import read_optional

SEGMENTATION, LABEL = ".seg.nrrd", ".label.nrrd"
UNCERTAINTY, PROBABILITY = ".uncertainty.nrrd", ".probability.nrrd"


class EvaluationError(MtctlError):
    """A result and its expert mask cannot be compared."""


@dataclass(frozen=True)
class CaseFiles:
    """Where a case is.

    Attributes:
        folder: Folder of the results.
        case: Its name.
        label: File with the expert mask.
        spacing: True spacing of all these files, mm along their axes x, y, z; None for their own.
        scan: File with the scan; None: it is not needed.
    """

    folder: Path
    case: str
    label: Path
    spacing: Triple | None = None
    scan: Path | None = None

    @property
    def path(self) -> Path:
        """The result."""
        return self.folder / (self.case + SEGMENTATION)

    @property
    def maps(self) -> tuple[Path, Path]:
        """Where its uncertainty and its probability are, if they are there."""
        return self.folder / (self.case + UNCERTAINTY), self.folder / (self.case + PROBABILITY)

    @property
    def reading_seconds(self) -> float:
        """How long it may take to read them."""
        return reading_seconds(self.path, self.label, *self.maps, *([self.scan] if self.scan else []))


@dataclass(frozen=True)
class ComparedCase:
    """What the files of a case hold, on one grid.

    Attributes:
        geometry: The grid.
        prediction: The result.
        truth: The expert mask; not empty.
        uncertainty: None where there is no map.
        probability: None where there is no map.
        likely: The probability that questions are about: that map, or what the entropy tells; None where neither is.
        scan: None where it is not needed, or cannot be used.
        scan_problem: Why it cannot be used, or "".
    """

    geometry: Geometry
    prediction: Mask
    truth: Mask
    uncertainty: Map | None
    probability: Map | None
    likely: Map | None = None
    scan: Volume | None = None
    scan_problem: str = ""


def read_case(files: CaseFiles) -> ComparedCase:
    """Read the files of a case.

    Raises:
        MtctlError: A file cannot be read, its grid is not the result's, a map does not lie between 0 and 1, or the
            expert mask is empty.
    """
    file, label = files.path, files.label
    found, expert = _on_one_grid(file, label, files.maps)
    result = corrected(found, files.spacing)
    truth = on_same_grid(corrected(expert, files.spacing), label, result, file).array.astype(bool)
    if not truth.any():
        raise EvaluationError(f"{label}: the expert mask is empty: there is no atrium to compare with")
    uncertainty, probability = (
        _from_0_to_1(on_same_grid(corrected(read_map(path), files.spacing), path, result, file), path, what)
        if path.exists()
        else None
        for path, what in zip(files.maps, ("uncertainties", "probabilities"), strict=True)
    )
    scan, problem = None, ""
    try:
        if files.scan is not None:
            scan = on_same_grid(corrected(read_volume(files.scan), files.spacing), files.scan, result, file)
    except (VolumeError, EvaluationError) as error:  # All but the answers can be compared without it.
        problem = str(error)
    mask, likely = result.array.astype(bool), probability
    if likely is None and uncertainty is not None and _is_entropy(files.folder / f"{files.case}.json"):
        likely = probability_of(uncertainty, mask)
    return ComparedCase(result.geometry, mask, truth, uncertainty, probability, likely, scan, problem)


def files_by_case(folder: Path, ending: str) -> dict[str, Path]:
    """Return the files <case><ending> of a folder by case name.

    Raises:
        EvaluationError: There is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder; give one that holds <stem>{ending} files")
    found = {path.name.removesuffix(ending): path for path in sorted(folder.glob(f"*{ending}"))}
    if not found:
        raise EvaluationError(f"{folder}: holds no <stem>{ending} file; is it the right folder?")
    return found


def on_same_grid(volume: Volume, path: Path, reference: Volume, reference_path: Path) -> Volume:
    """Return `volume` unchanged.

    Raises:
        EvaluationError: It lies on another grid than `reference`; both files are named.
    """
    ours, theirs = volume.geometry, reference.geometry
    for name, of_volume, of_reference, tolerance in (
        ("size (z, y, x)", volume.array.shape, reference.array.shape, 0),
        ("spacing", ours.spacing, theirs.spacing, 1e-3 * min(theirs.spacing)),
        ("origin", ours.origin, theirs.origin, 1e-2 * min(theirs.spacing)),
        ("direction", ours.direction, theirs.direction, 1e-3),
    ):
        if not np.allclose(np.ravel(of_volume), np.ravel(of_reference), rtol=0, atol=tolerance):
            mend = "say which is true (--spacing), or resample" if name == "spacing" else "resample"
            raise EvaluationError(
                f"{path}: its {name} {of_volume} is not the {of_reference} of {reference_path}; "
                f"{mend} one onto the other"
            )
    return volume


def _on_one_grid(file: Path, label: Path, maps: Sequence[Path]) -> tuple[Volume, Volume]:
    """Return a result and its expert mask, of which Slicer may have kept parts, on the grid of the maps or the larger.

    Where they do not lie on one lattice, each is returned as it is.
    """
    whole = None
    for path in maps:
        with suppress(VolumeError, OSError):  # It is named when it is read.
            whole = whole or open_volume(path).geometry
    result, truth = read_mask(file, whole), read_mask(label, whole)
    if same_grid(result.geometry, truth.geometry):
        return result, truth
    if result.array.size < truth.array.size:
        return read_mask(file, truth.geometry), truth
    return result, read_mask(label, result.geometry)


def corrected(volume: Volume, spacing: Triple | None) -> Volume:
    """Return the volume with a spacing given by hand, where one is."""
    return with_spacing(volume, spacing) if spacing else volume


def _from_0_to_1(volume: Volume, path: Path, what: str) -> Map:
    """Return the voxels of a map of `what`.

    Raises:
        EvaluationError: Some lie outside 0 to 1, on which the thresholds of QU-BraTS and the bins of the ECE rest.
    """
    low, high = float(volume.array.min()), float(volume.array.max())
    if low < 0 or high > 1:
        raise EvaluationError(
            f"{path}: values from {low:g} to {high:g} are no {what} (0 to 1); save the map on that scale"
        )
    return volume.array


def _is_entropy(report: Path) -> bool:
    """Return whether a report says that the uncertainty beside it is the entropy, which tells the probability."""
    uncertainty = read_optional(report).get("uncertainty")
    return isinstance(uncertainty, dict) and uncertainty.get("kind") == "entropy"
