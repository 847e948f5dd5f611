"""Cases for training: scans and masks on the network's grid, and the stream of batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtctl.distance_map import normalised_distance, signed_distance_mm
from mtctl.errors import MtctlError
from mtctl.locate import normalise_locally
from mtctl.phantom import make_full_field, make_phantom
from mtctl.preprocess import NETWORK_SPACING, Box, canonical_geometry, halve, normalise
from mtctl.resample import to_grid
from mtctl.volume import Geometry, Volume, read_mask, read_volume
from mtctl_train.augment import Variation, random_box, sample_patch, vary_intensity


class DataError(MtctlError):
    """A training case cannot be used; the message names it."""


@dataclass(frozen=True)
class Case:
    """One labelled case on an LPS-aligned grid of `spacing` mm.

    Attributes:
        name: Case name.
        image: (z, y, x) float32, z-scored over the whole crop.
        distance_mm: (z, y, x) float32 signed distance to the true surface, positive inside.
        spacing: mm per voxel: `NETWORK_SPACING` or twice that.
        weight: (z, y, x) float32, how much each voxel counts, 0 where nobody knows the truth; None: all of them, 1.
    """

    name: str
    image: NDArray[np.float32]
    distance_mm: NDArray[np.float32]
    spacing: float
    weight: NDArray[np.float32] | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The true mask on this grid."""
        return self.distance_mm > 0

    def coarse(self) -> Case:
        """The same case at twice the spacing."""
        weight = None if self.weight is None else halve(self.weight)
        return Case(self.name, halve(self.image), halve(self.distance_mm), 2 * self.spacing, weight)


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
    if image.geometry.shape != label.geometry.shape or not np.allclose(
        image.geometry.spacing + image.geometry.origin + image.geometry.direction,
        label.geometry.spacing + label.geometry.origin + label.geometry.direction,
        atol=1e-3,
    ):
        raise DataError(f"{folder / name}.label.nrrd: lies on another grid than its scan; resample the mask first")
    if not label.array.any():
        raise DataError(f"{folder / name}.label.nrrd: the mask is empty; list the case as unlabelled instead")
    return LabelledVolume(name, image, label.array > 0)


def case_of(labelled: LabelledVolume, box: Box | None = None) -> Case:
    """The case on the 0.625 mm grid that the network sees.

    Args:
        labelled: Scan and mask.
        box: The part to take, which holds the mask; None: the whole scan.
    """
    geometry, mask = labelled.volume.geometry, labelled.mask
    grid = canonical_geometry(geometry, box=box)
    array, inside = to_grid(labelled.volume, grid)
    if box is not None:
        # The distance to a mask that lies in the box is the same without the rest of a thorax, and there in no time.
        voxels = _voxels_of(box, geometry)
        mask = mask[voxels]
        z, y, x = (part.start for part in voxels)
        geometry = geometry.window((x, y, z), (mask.shape[2], mask.shape[1], mask.shape[0]))
    dx, dy, dz = geometry.spacing
    on_grid, _ = to_grid(Volume(signed_distance_mm(mask, (dz, dy, dx)), geometry), grid)
    return Case(labelled.name, normalise(array, inside), on_grid, NETWORK_SPACING)


def _voxels_of(box: Box, geometry: Geometry) -> tuple[slice, slice, slice]:
    """The voxels (z, y, x) of a grid that lie in a box, and two more on every side."""
    corners = [(x, y, z) for x in (box.x0, box.x1) for y in (box.y0, box.y1) for z in (box.z0, box.z1)]
    index = geometry.physical_to_index(corners)
    bounds = zip(index.min(axis=0).tolist(), index.max(axis=0).tolist(), geometry.size, strict=True)
    x, y, z = (slice(max(int(low) - 2, 0), min(int(high) + 4, count)) for low, high, count in bounds)
    return z, y, x


def phantom_case(seed: int) -> Case:
    """A synthetic case; the seed of `mtctl phantom`."""
    phantom = make_phantom(seed)
    distance = signed_distance_mm(phantom.mask > 0, (NETWORK_SPACING,) * 3)
    return Case(f"phantom-{seed}", normalise(phantom.image.astype(np.float32)), distance, NETWORK_SPACING)


def full_field_case(seed: int) -> Case:
    """A synthetic thorax at 1.25 mm, z-scored locally as for the coarse pass: teaches what is not the atrium."""
    phantom = make_full_field(seed)
    distance = signed_distance_mm(halve(phantom.mask.astype(np.float32)) >= 0.5, (2 * NETWORK_SPACING,) * 3)
    image = normalise_locally(halve(phantom.image.astype(np.float32)), 2 * NETWORK_SPACING)
    return Case(f"full-field-{seed}", image, distance, 2 * NETWORK_SPACING)


@dataclass(frozen=True)
class Scan:
    """One unlabelled scan, as `Case` without the truth."""

    name: str
    image: NDArray[np.float32]
    spacing: float

    def coarse(self) -> Scan:
        """The same scan at twice the spacing."""
        return Scan(self.name, halve(self.image), 2 * self.spacing)


def load_scan(folder: Path, name: str) -> Scan:
    """Read <name>.image.nrrd from `folder` onto the 0.625 mm grid; a label beside it is not looked at.

    Raises:
        VolumeError: The file is missing or unusable.
    """
    image = read_volume(folder / f"{name}.image.nrrd")
    return Scan(name, normalise(*to_grid(image, canonical_geometry(image.geometry))), NETWORK_SPACING)


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
        spacing: mm per voxel.
    """

    image: Tensor
    mask: Tensor
    distance: Tensor
    weight: Tensor
    unlabelled: Tensor
    unlabelled_varied: Tensor
    spacing: float

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
        intensity_share: Probability that a patch's intensities are varied (`vary_intensity`).
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
        spacing = self.labelled[0].spacing
        image, distance, weight = torch.stack(mixed)[:, :, None].unbind(1)
        unlabelled = [self._unlabelled_patch(iteration, item) for item in items if self._has_unlabelled(iteration)]
        none = image.new_zeros(0, 1, *self.patch)
        return Batch(
            image=image,
            mask=(distance / spacing + 0.5).clamp(0, 1),
            distance=normalised_distance(distance),
            weight=weight,
            unlabelled=torch.stack([plain for plain, _ in unlabelled])[:, None] if unlabelled else none,
            unlabelled_varied=torch.stack([varied for _, varied in unlabelled])[:, None] if unlabelled else none,
            spacing=spacing,
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
        sampled, zoom = sample_patch(channels, case.spacing, self.patch, self.variation, rng)
        sampled[1] *= zoom
        return sampled

    def _unlabelled_patch(self, iteration: int, item: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, iteration, item, 1))
        scan = self.unlabelled[int(rng.integers(len(self.unlabelled)))]
        channels = torch.from_numpy(scan.image[None])
        sampled, _ = sample_patch(channels, scan.spacing, self.patch, self.variation, rng)
        return sampled[0], self._varied(sampled[0], iteration, item, rng)

    def _mixed(self, iteration: int, item: int) -> Tensor:
        """Patch `item` of a batch; each has a generator of its own, so that a process need not draw the others'."""
        rng = np.random.default_rng((self.seed, iteration, item))
        patch = self._patch(rng)
        if rng.random() < self.paste_share:
            partner = np.random.default_rng((self.seed, iteration, (item + 1) % self.batch))
            patch = self._pasted(patch, self._patch(partner), random_box(self.patch, rng))
        patch[0] = self._varied(patch[0], iteration, item, rng)
        return patch

    def _varied(self, image: Tensor, iteration: int, item: int, rng: np.random.Generator) -> Tensor:
        # A generator of its own: whatever the share, everything else of a patch stays what it was.
        varied = np.random.default_rng((self.seed, iteration, item, 2)).random() < self.intensity_share
        return vary_intensity(image, rng) if varied else image

    def _pasted(self, patch: Tensor, other: Tensor, box: tuple[slice, ...]) -> Tensor:
        patch[:, *box] = other[:, *box]
        # A patched distance map is wrong along the seam: measure it anew.
        spacing = self.labelled[0].spacing
        patch[1] = torch.from_numpy(signed_distance_mm((patch[1] > 0).numpy(), (spacing,) * 3).clip(-99, 99))
        return patch
