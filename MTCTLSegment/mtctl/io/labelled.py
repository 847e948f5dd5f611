"""Scans and their true masks, as training, calibration and corruptions read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtctl.errors import NEXT_LINE, MtctlError, counted, failure_of
from mtctl.geometry import Mask, Volume, same_grid
from mtctl.io.volumes import read_mask, read_volume
from mtctl.system.interrupts import check


class DataError(MtctlError):
    """A case cannot be used; the message names it."""


@dataclass(frozen=True)
class LabelledVolume:
    """A scan as it is in its file, and its true mask, (z, y, x) bool on the same grid."""

    name: str
    volume: Volume
    mask: Mask


def load_labelled(folder: Path, name: str) -> LabelledVolume:
    """Read <name>.image.nrrd and <name>.label.nrrd from `folder`.

    Raises:
        DataError: The mask lies on another grid than the scan, or is empty.
        VolumeError: A file is missing or unusable.
    """
    image = read_volume(folder / f"{name}.image.nrrd")
    label = read_mask(folder / f"{name}.label.nrrd", image.geometry)
    if not same_grid(image.geometry, label.geometry):
        raise DataError(f"{folder / name}.label.nrrd: lies on another grid than its scan; resample the mask first")
    if not label.array.any():
        raise DataError(f"{folder / name}.label.nrrd: the mask is empty; list the case as unlabelled instead")
    return LabelledVolume(name, image, label.array > 0)


def load_all_labelled(folder: Path, names: Sequence[str]) -> list[LabelledVolume]:
    """Read the scans and masks of several cases, where none may be missing.

    Raises:
        DataError: Some cannot be used; all of them are named, each with its cause.
    """
    cases, failures = list[LabelledVolume](), list[str]()
    for name in names:
        check()
        try:
            cases.append(load_labelled(folder, name))
        except MemoryError:
            raise
        except Exception as error:
            failures.append(failure_of(error, folder / name))
    if failures:
        raise DataError(
            NEXT_LINE.join([f"{len(failures)} of {counted(len(names), 'case')} cannot be used:", *failures])
        )
    return cases
