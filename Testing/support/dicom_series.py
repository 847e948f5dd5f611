"""DICOM series, written with GDCM as a scanner would."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mtctl.geometry import Geometry, VolumeError
from mtctl.io.volumes import read_volume

UID = "1.2.826.0.1.3680043.2.1125.1"
PATIENT = "Muster^Erika"


def dicom_scan(size: tuple[int, int, int] = (24, 20, 18), oblique: bool = False) -> tuple[NDArray[np.int16], Geometry]:
    array = np.random.default_rng(1).integers(0, 1000, size[::-1]).astype(np.int16)
    turn = Rotation.from_euler("xy", [20, 20], degrees=True).as_matrix() if oblique else np.eye(3)
    return array, Geometry(size, (0.7, 0.8, 1.25), (-30.0, 12.5, -101.25), tuple(turn.ravel().tolist()))


def write_series(
    folder: Path,
    array: NDArray[np.int16],
    geometry: Geometry,
    *,
    uid: str = f"{UID}.1",
    number: int = 1,
    slices: Iterable[int] | None = None,
    prefix: str = "slice",
    hide: int | None = None,
    study: str = f"{UID}.9",
) -> None:
    """One file a slice; names in reverse order, so that sorting by name would turn the scan over."""
    folder.mkdir(parents=True, exist_ok=True)
    across = geometry.matrix[:, :2].T.ravel()
    for index in range(len(array)) if slices is None else slices:
        image = sitk.GetImageFromArray(array[index], isVector=array.ndim == 4)
        image.SetSpacing(geometry.spacing[:2])
        values = {
            "0008|0060": "MR",
            "0010|0010": PATIENT,
            "0010|0020": "4711",
            "0020|000d": study,
            "0020|000e": uid,
            "0020|0011": str(number),
            "0020|0013": str(index + 1),
            "0008|0018": f"{uid}.{index + 1}",
            "0020|0037": "\\".join(f"{value:.10f}" for value in across),
            "0020|0032": "\\".join(f"{value:.8f}" for value in geometry.index_to_physical((0, 0, index))),
        }
        for key, value in values.items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        file = folder / f"{prefix}{999 - index}.dcm"
        writer.SetFileName(str(file))
        writer.Execute(image)
        if hide:  # GDCM always writes a position and an orientation: give the element the next number instead
            content = file.read_bytes()
            element, renamed = (b"\x20\x00" + bytes([number, 0]) for number in (hide, hide + 1))
            assert element in content
            file.write_bytes(content.replace(element, renamed, 1))


def assert_refused(folder: Path, cause: str) -> None:
    with pytest.raises(VolumeError, match=cause) as caught:
        read_volume(folder)
    assert str(caught.value).startswith(f"{folder}: ")
    assert "\n" not in str(caught.value)
