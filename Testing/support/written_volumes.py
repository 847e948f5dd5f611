"""Small volumes on grids of every kind, and what is in the files that they were written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mtctl.geometry import Geometry, Volume

SIZE = (20, 18, 16)
FORMATS = [".nrrd", ".nii", ".nii.gz", ".mha"]


def turned(*degrees: float) -> tuple[float, ...]:
    return tuple(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix().ravel().tolist())


GEOMETRIES = {
    "plain": Geometry(SIZE, (0.625, 0.625, 0.625), (0.0, 0.0, 0.0)),
    "anisotropic": Geometry(SIZE, (0.7, 1 / 3, 2.0), (-101.23456789012345, 33.1 / 3, 1e-7)),
    "flipped": Geometry(SIZE, (0.625, 0.7, 2.0), (10.0, -20.0, 1.5), (-1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0)),
    "permuted": Geometry(SIZE, (0.625, 0.7, 2.0), (10.0, -20.0, 1.5), (0, 0, 1.0, 1.0, 0, 0, 0, 1.0, 0)),
    "oblique": Geometry(SIZE, (0.6251234567891234, 0.7, 2.00000001), (-101.2, 1e3 / 7, 5.0), turned(20, 20, 0)),
}


def values(dtype: type = np.float32, size: tuple[int, int, int] = SIZE) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 200, size[::-1]).astype(dtype)


def scan(geometry: Geometry = GEOMETRIES["anisotropic"]) -> Volume:
    return Volume(values(size=geometry.size), geometry)


def image(make_image: Callable[[], sitk.Image], ending: str = ".nrrd") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        sitk.WriteImage(make_image(), str(folder / f"bad{ending}"))
        return folder / f"bad{ending}"

    return make


def content(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make
