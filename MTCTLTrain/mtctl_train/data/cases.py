"""Cases for training: scans and masks on the network's grid, and the stream of batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Triple, same_grid
from mtctl.io.volumes import Volume, read_mask, read_volume
from mtctl.networks.distance_map import normalised_distance, signed_distance_mm
from mtctl.preprocessing.network_grid import GRID_MM, canonical_geometry
from mtctl.preprocessing.normalisation import normalise, normalise_locally
from mtctl.preprocessing.region_of_interest import Box, window_of
from mtctl.preprocessing.resampling import to_grid
from mtctl.synthetic.phantom import Phantom, make_full_field, make_phantom
from mtctl_train.data.augmentation import (
    Variation,
    as_acquired,
    random_box,
    sample_patch,
    vary_contrast,
    vary_intensity,
)


class DataError(MtctlError):
    """A training case cannot be used; the message names it."""


@dataclass(frozen=True)
class Case:
    """One labelled case on the LPS-aligned grid that a network sees.

    Attributes:
        name: Case name.
        image: (z, y, x) float32, z-scored over the whole crop.
        distance_mm: (z, y, x) float32 signed distance to the true surface, positive inside.
        voxel_mm: (z, y, x) size of the grid's voxels.
        weight: (z, y, x) float32, how much each voxel counts, 0 where nobody knows the truth; None: all of them, 1.
    """

    name: str
    image: NDArray[np.float32]
    distance_mm: NDArray[np.float32]
    voxel_mm: Triple
    weight: NDArray[np.float32] | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The true mask on this grid."""
        return self.distance_mm > 0


@dataclass(frozen=True)
class LabelledVolume:
    """A scan as it is in its file, and its true mask, (z, y, x) bool on the same grid."""

    name: str
    volume: Volume
    mask: NDArray[np.bool_]


def load_labelled(folder: Path, name: str) -> LabelledVolume:
    """Read <name>.image.nrrd and <name>.label.nrrd from `folder`.

    Raises:
        DataError: The mask lies on another grid than the scan, or is empty.
        VolumeError: A file is missing or unusable.
    """
    image, label = read_volume(folder / f"{name}.image.nrrd"), read_mask(folder / f"{name}.label.nrrd")
    if not same_grid(image.geometry, label.geometry):
        raise DataError(f"{folder / name}.label.nrrd: lies on another grid than its scan; resample the mask first")
    if not label.array.any():
        raise DataError(f"{folder / name}.label.nrrd: the mask is empty; list the case as unlabelled instead")
    return LabelledVolume(name, image, label.array > 0)


def case_of(labelled: LabelledVolume, grid_mm: Triple = GRID_MM, box: Box | None = None) -> Case:
    """The case on the grid that the network sees.

    Args:
        labelled: Scan and mask.
        grid_mm: Voxels (x, y, z) of that grid.
        box: The part to take, which holds the mask; None: the whole scan.
    """
    geometry = labelled.volume.geometry
    grid = canonical_geometry(geometry, grid_mm, box)
    array, inside = to_grid(labelled.volume, grid)
    distance = _distance_on(grid, labelled.mask, geometry, box)
    return Case(labelled.name, normalise(array, inside), distance, _voxel_mm(grid))


def _distance_on(
    grid: Geometry, mask: NDArray[np.bool_], geometry: Geometry, box: Box | None = None
) -> NDArray[np.float32]:
    """Signed distance (mm) to the surface of a mask (z, y, x) on `geometry`, sampled on `grid`."""
    if box is not None:
        # The distance to a mask that lies in the box is the same without the rest of a thorax, and there in no time.
        z, y, x = window_of(box.expanded(2 * max(geometry.spacing)), geometry)
        mask = mask[z, y, x]
        geometry = geometry.window((x.start, y.start, z.start), (mask.shape[2], mask.shape[1], mask.shape[0]))
    return to_grid(Volume(signed_distance_mm(mask, _voxel_mm(geometry)), geometry), grid)[0]


def _voxel_mm(grid: Geometry) -> Triple:
    """Voxel size (z, y, x)."""
    x, y, z = grid.spacing
    return z, y, x


def phantom_case(seed: int, grid_mm: Triple = GRID_MM) -> Case:
    """A synthetic case; the seed of `mtctl phantom`."""
    volume, mask = _scan_of(make_phantom(seed))
    return case_of(LabelledVolume(f"phantom-{seed}", volume, mask), grid_mm)


def full_field_case(seed: int, grid_mm: Triple = GRID_MM) -> Case:
    """A synthetic thorax, z-scored locally: teaches what is not the atrium."""
    volume, mask = _scan_of(make_full_field(seed))
    grid = canonical_geometry(volume.geometry, grid_mm)
    image = normalise_locally(to_grid(volume, grid)[0], _voxel_mm(grid))
    # On the coarse grid: the distance transform of all 36 million voxels takes half a minute.
    inside = to_grid(Volume(mask.astype(np.float32), volume.geometry), grid)[0] >= 0.5
    return Case(f"full-field-{seed}", image, signed_distance_mm(inside, _voxel_mm(grid)), _voxel_mm(grid))


def _scan_of(phantom: Phantom) -> tuple[Volume, NDArray[np.bool_]]:
    z, y, x = phantom.image.shape
    return Volume(phantom.image, Geometry((x, y, z), phantom.spacing_mm, (0.0, 0.0, 0.0))), phantom.mask > 0


@dataclass(frozen=True)
class Scan:
    """One unlabelled scan, as `Case` without the truth."""

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
    """The scan, or its part in `box`, on the grid that the network sees."""
    grid = canonical_geometry(volume.geometry, grid_mm, box)
    return Scan(name, normalise(*to_grid(volume, grid)), _voxel_mm(grid))


@dataclass(frozen=True)
class Batch:
    """Patches (n, 1, z, y, x) float32.

    Attributes:
        image: z-scored intensities.
        mask: Soft target in [0, 1]: the fraction of the voxel inside the surface, estimated from the distance.
        distance: pi(y), normalised signed distance.
        weight: How much each voxel of the three counts.
        unlabelled: z-scored intensities of scans without truth, as many patches or none.
        unlabelled_varied: The same patches with their intensities varied like those of `image`.
        voxel_mm: (z, y, x) size of a voxel.
    """

    image: Tensor
    mask: Tensor
    distance: Tensor
    weight: Tensor
    unlabelled: Tensor
    unlabelled_varied: Tensor
    voxel_mm: Triple

    def labelled_only(self) -> Batch:
        """The batch without its unlabelled patches."""
        return replace(self, unlabelled=self.unlabelled[:0], unlabelled_varied=self.unlabelled[:0])

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`, in the memory layout that is quick there."""
        moved = {
            name: getattr(self, name).to(device, memory_format=torch.channels_last_3d)
            for name in ("image", "mask", "distance", "weight", "unlabelled", "unlabelled_varied")
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Sampler:
    """Draws batches from cases; batch `iteration` is the same whenever it is drawn.

    Attributes:
        labelled: Real cases.
        unlabelled: Scans without truth; none: batches hold no unlabelled patches.
        phantoms: Synthetic cases, drawn with probability `phantom_share` instead of a real one.
        patch: (z, y, x) voxels.
        paste_share: Probability that a random box of a patch comes from the batch's next patch (copy-paste).
        intensity_share: Probability that a patch's contrast, resolution and intensities are varied (`augment`).
        unlabelled_share: Of the batches that hold unlabelled patches, where there are such scans.
        replay: Real cases of an earlier training, drawn with probability `replay_share` instead of a labelled one.
    """

    labelled: Sequence[Case]
    unlabelled: Sequence[Scan]
    phantoms: Sequence[Case]
    patch: tuple[int, int, int]
    batch: int
    phantom_share: float
    paste_share: float
    seed: int
    unlabelled_share: float = 1.0
    replay: Sequence[Case] = ()
    replay_share: float = 0.0
    intensity_share: float = 1.0
    variation: Variation = Variation()

    def draw(self, iteration: int, items: range | None = None) -> Batch:
        """Batch `iteration`, or, for a process that shares the work, only its `items` of it."""
        items = range(self.batch) if items is None else items
        mixed = [self._mixed(iteration, item) for item in items]
        voxel_mm = self.labelled[0].voxel_mm
        image, distance, weight = torch.stack(mixed)[:, :, None].unbind(1)
        unlabelled = [self._unlabelled_patch(iteration, item) for item in items if self._has_unlabelled(iteration)]
        none = image.new_zeros(0, 1, *self.patch)
        return Batch(
            image=image,
            mask=(distance / min(voxel_mm) + 0.5).clamp(0, 1),
            distance=normalised_distance(distance),
            weight=weight,
            unlabelled=torch.stack([plain for plain, _ in unlabelled])[:, None] if unlabelled else none,
            unlabelled_varied=torch.stack([varied for _, varied in unlabelled])[:, None] if unlabelled else none,
            voxel_mm=voxel_mm,
        )

    def _has_unlabelled(self, iteration: int) -> bool:
        """Evenly spread: a share of 0.5 is every second batch."""
        before, after = (int((iteration + one) * self.unlabelled_share) for one in (0, 1))
        return bool(self.unlabelled) and after > before

    def _patch(self, rng: np.random.Generator) -> Tensor:
        """Image, distance in mm and weight, (3, z, y, x)."""
        cases = self.labelled
        if self.phantoms and rng.random() < self.phantom_share:
            cases = self.phantoms
        elif self.replay and rng.random() < self.replay_share:
            cases = self.replay
        case = cases[int(rng.integers(len(cases)))]
        weight = np.ones_like(case.image) if case.weight is None else case.weight
        channels = torch.from_numpy(np.stack([case.image, case.distance_mm, weight]))
        sampled, zoom = sample_patch(channels, case.voxel_mm, self.patch, self.variation, rng)
        sampled[1] *= zoom
        return sampled

    def _unlabelled_patch(self, iteration: int, item: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, iteration, item, 1))
        scan = self.unlabelled[int(rng.integers(len(self.unlabelled)))]
        channels = torch.from_numpy(scan.image[None])
        sampled, _ = sample_patch(channels, scan.voxel_mm, self.patch, self.variation, rng)
        return sampled[0], self._varied(sampled[0], None, scan.voxel_mm, iteration, item, rng)

    def _mixed(self, iteration: int, item: int) -> Tensor:
        """Patch `item` of a batch; each has a generator of its own, so that a process need not draw the others'."""
        rng = np.random.default_rng((self.seed, iteration, item))
        patch = self._patch(rng)
        if rng.random() < self.paste_share:
            partner = np.random.default_rng((self.seed, iteration, (item + 1) % self.batch))
            patch = self._pasted(patch, self._patch(partner), random_box(self.patch, rng))
        patch[0] = self._varied(patch[0], patch[1], self.labelled[0].voxel_mm, iteration, item, rng)
        return patch

    def _varied(
        self, image: Tensor, distance_mm: Tensor | None, voxel_mm: Triple, iteration: int, item: int,
        rng: np.random.Generator,
    ) -> Tensor:  # fmt: skip
        """Another patient, then another scanner: tissue contrast, then how it was acquired, then coils and noise."""
        # A generator of its own: whatever the share, everything else of a patch stays what it was.
        varied = np.random.default_rng((self.seed, iteration, item, 2)).random() < self.intensity_share
        if not varied:
            return image
        return vary_intensity(as_acquired(vary_contrast(image, distance_mm, rng), voxel_mm, rng), rng)

    def _pasted(self, patch: Tensor, other: Tensor, box: tuple[slice, ...]) -> Tensor:
        patch[:, *box] = other[:, *box]
        # A patched distance map is wrong along the seam: measure it anew.
        voxel_mm = self.labelled[0].voxel_mm
        patch[1] = torch.from_numpy(signed_distance_mm((patch[1] > 0).numpy(), voxel_mm).clip(-99, 99))
        return patch
