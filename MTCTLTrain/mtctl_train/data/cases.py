"""Cases for training: scans and masks on the network's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Triple
from mtctl.io.labelled import LabelledVolume
from mtctl.io.volumes import Volume, read_volume
from mtctl.networks.distance_map import signed_distance_mm
from mtctl.preprocessing.network_grid import GRID_MM, canonical_geometry
from mtctl.preprocessing.normalisation import normalise, normalise_locally
from mtctl.preprocessing.region_of_interest import Box, window_of
from mtctl.preprocessing.resampling import to_grid
from mtctl.synthetic.phantom import Phantom, make_full_field, make_phantom


@dataclass(frozen=True)
class TrainingCase:
    """One labelled case on the LPS-aligned grid that a network sees.

    Attributes:
        name: Case name.
        image: (z, y, x) float32, z-scored over the whole crop.
        distance_mm: (z, y, x) float32 signed distance to the true surface, positive inside.
        voxel_mm: (z, y, x) size of the grid's voxels.
        weight: (z, y, x) float32, how much each voxel counts, 0 where the truth is unknown; None: all count 1.
    """

    name: str
    image: NDArray[np.float32]
    distance_mm: NDArray[np.float32]
    voxel_mm: Triple
    weight: NDArray[np.float32] | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The true mask (z, y, x) on this grid."""
        return self.distance_mm > 0


def case_of(labelled: LabelledVolume, grid_mm: Triple = GRID_MM, box: Box | None = None) -> TrainingCase:
    """Return the case on the grid that the network sees.

    Args:
        labelled: Scan and mask.
        grid_mm: Size (x, y, z) of that grid's voxels, mm.
        box: The part to take, which holds the mask; None: the whole scan.
    """
    geometry = labelled.volume.geometry
    grid = canonical_geometry(geometry, grid_mm, box)
    array, inside = to_grid(labelled.volume, grid)
    distance = _distance_on(grid, labelled.mask, geometry, box)
    return TrainingCase(labelled.name, normalise(array, inside), distance, _voxel_mm(grid))


def _distance_on(
    grid: Geometry, mask: NDArray[np.bool_], geometry: Geometry, box: Box | None = None
) -> NDArray[np.float32]:
    """Return the signed distance (mm) to the surface of a mask (z, y, x) on `geometry`, sampled on `grid`."""
    if box is not None:
        # A mask in the box has the same distance without the rest of a thorax, at a fraction of the time.
        z, y, x = window_of(box.expanded(2 * max(geometry.spacing)), geometry)
        mask = mask[z, y, x]
        geometry = geometry.window((x.start, y.start, z.start), (mask.shape[2], mask.shape[1], mask.shape[0]))
    return to_grid(Volume(signed_distance_mm(mask, _voxel_mm(geometry)), geometry), grid)[0]


def _voxel_mm(grid: Geometry) -> Triple:
    """Return the voxel size (z, y, x) in mm."""
    x, y, z = grid.spacing
    return z, y, x


def phantom_case(seed: int, grid_mm: Triple = GRID_MM) -> TrainingCase:
    """Make a synthetic case; the seed is that of `mtctl phantom`."""
    volume, mask = _scan_of(make_phantom(seed))
    return case_of(LabelledVolume(f"phantom-{seed}", volume, mask), grid_mm)


def full_field_case(seed: int, grid_mm: Triple = GRID_MM) -> TrainingCase:
    """Make a synthetic thorax, z-scored locally, from which a network learns what is not the atrium."""
    volume, mask = _scan_of(make_full_field(seed))
    grid = canonical_geometry(volume.geometry, grid_mm)
    image = normalise_locally(to_grid(volume, grid)[0], _voxel_mm(grid))
    # On the coarse grid: the distance transform of all 36 million voxels takes half a minute.
    inside = to_grid(Volume(mask.astype(np.float32), volume.geometry), grid)[0] >= 0.5
    return TrainingCase(f"full-field-{seed}", image, signed_distance_mm(inside, _voxel_mm(grid)), _voxel_mm(grid))


def _scan_of(phantom: Phantom) -> tuple[Volume, NDArray[np.bool_]]:
    z, y, x = phantom.image.shape
    return Volume(phantom.image, Geometry((x, y, z), phantom.spacing_mm, (0.0, 0.0, 0.0))), phantom.mask > 0


@dataclass(frozen=True)
class Scan:
    """One unlabelled scan on the network's grid: a `TrainingCase` without the truth."""

    name: str
    image: NDArray[np.float32]
    voxel_mm: Triple


def load_scan(folder: Path, name: str, grid_mm: Triple = GRID_MM) -> Scan:
    """Read <name>.image.nrrd from `folder` onto the network's grid; a label beside it is not looked at.

    Raises:
        VolumeError: The file is missing or unusable.
    """
    image = read_volume(folder / f"{name}.image.nrrd")
    return scan_of(name, image, grid_mm)


def scan_of(name: str, volume: Volume, grid_mm: Triple = GRID_MM, box: Box | None = None) -> Scan:
    """Return the scan, or its part in `box`, on the grid that the network sees."""
    grid = canonical_geometry(volume.geometry, grid_mm, box)
    return Scan(name, normalise(*to_grid(volume, grid)), _voxel_mm(grid))
