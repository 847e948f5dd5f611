"""Random patches: one resampling for position, rotation, scale and warp; then contrast, resolution and intensities.

Everything is drawn from the generator that is handed in, so that the patch of a given seed and iteration is always
the same, and a resumed run continues as if it had never stopped.

No flips: a mirrored thorax has its apex on the right. The left-atrium literature flips and turns by 90 degrees; with
upright anatomy alone the network can use where things lie, and a scan on its side shows as uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtctl.geometry import Triple

Rng = np.random.Generator


@dataclass(frozen=True)
class Variation:
    """How far patches vary. Angles in degrees, lengths in mm, intensities in standard deviations of the scan.

    Attributes:
        rotation: Largest turn about (z, y, x); the largest is about the long axis of the body.
        scale: Smallest and largest zoom.
        stretch: Largest extra zoom of a single axis.
        warp_mm: Standard deviation of the smooth displacement, knots every 25 mm or so.
        jitter_mm: How far beyond the scan's edge a patch may reach.
    """

    rotation: Triple = (20.0, 12.0, 12.0)
    scale: tuple[float, float] = (0.8, 1.2)
    stretch: float = 0.08
    warp_mm: float = 2.0
    jitter_mm: float = 12.0


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """Return the product of turns (degrees) about z, y and x, a matrix that acts on (z, y, x) vectors."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles)):
        turn = np.eye(3)
        first, second = (i for i in range(3) if i != axis)
        turn[[first, first, second, second], [first, second, first, second]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        matrix = matrix @ turn
    return matrix


def sample_patch(
    channels: Tensor,
    voxel_mm: Triple,
    patch: tuple[int, int, int],
    variation: Variation,
    rng: Rng,
    centre: np.ndarray | None = None,
) -> tuple[Tensor, float]:
    """Cut a turned, scaled and warped patch out of a volume.

    Args:
        channels: (c, z, y, x): image and, where there is one, distance map; sampled with the same grid.
        voxel_mm: (z, y, x) size of a voxel of the volume and of the patch.
        patch: (z, y, x) voxels.
        variation: How far it varies.
        rng: Draws it.
        centre: Voxel (z, y, x) that its middle shows; None: drawn, anywhere in the volume.

    Returns:
        (c, *patch) and the mean zoom: lengths in the patch are that much larger than in the volume, so distances
        have to be multiplied by it.
    """
    size, voxel = np.array(channels.shape[1:], float), np.array(voxel_mm)
    zoom = rng.uniform(*variation.scale) * (1 + rng.uniform(-variation.stretch, variation.stretch, 3))
    room = np.maximum((size - np.array(patch)) / 2, 0) + variation.jitter_mm / voxel * (size > 1)
    if centre is None:
        centre = (size - 1) / 2 + rng.uniform(-room, room)
    turn = rotation_matrix(rng.uniform(-1, 1, 3) * np.array(variation.rotation)) / zoom[None, :]
    in_voxels = turn * voxel[None, :] / voxel[:, None]  # turned in mm, not in voxels: those are no cubes

    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    grid = offsets @ torch.from_numpy(in_voxels.T).float() + torch.from_numpy(centre).float()
    knots = [max(2, round(n * step / 25) + 1) for n, step in zip(patch, voxel_mm, strict=True)]
    shifts = rng.normal(0, variation.warp_mm, (1, 3, *knots)) / voxel[None, :, None, None, None]
    warp = functional.interpolate(torch.from_numpy(shifts).float(), patch, mode="trilinear", align_corners=True)
    return _sampled(channels, grid + warp[0].permute(1, 2, 3, 0)), float(zoom.mean())


def as_acquired(image: Tensor, voxel_mm: Triple, rng: Rng) -> Tensor:
    """Return the patch (z, y, x) as a scanner with other voxels would have measured it, on the grid that it came on.

    Two in five patches are changed: voxels of 0.6 to 2 mm in plane, slices of 0.6 to 5 mm, axial, sagittal or coronal,
    half of them oblique. Those are blurred as such voxels average, sampled on their lattice and interpolated back.
    """
    if rng.random() >= 0.4:
        return image
    in_plane, slices = np.exp(rng.uniform(np.log([0.6, 0.6]), np.log([2.0, 5.0])))
    steps = np.full(3, in_plane)
    steps[rng.choice(3, p=(0.6, 0.2, 0.2))] = max(slices, in_plane)
    oblique = rng.random() < 0.5
    axes = rotation_matrix(rng.uniform(-25, 25, 3)) if oblique else np.eye(3)  # columns: the scanner's axes
    voxel = np.array(voxel_mm)
    # How large the grid's own voxels are along the scanner's axes: finer ones than those cannot be told here.
    steps = np.maximum(steps, np.abs(axes).T @ voxel) if oblique else np.maximum(steps, voxel)
    blur = np.maximum(steps**2 - (np.abs(axes).T @ voxel) ** 2, 0) / (8 * np.log(2))
    blurred = _blur(image, np.sqrt((axes**2) @ blur) / voxel)

    extent = np.array(image.shape) * voxel
    counts = np.ceil(np.abs(axes).T @ extent / steps).astype(int) + 1
    # Where the steps are the grid's own, the lattice must be the grid's own, too: half a voxel off it would blur.
    counts += (steps == voxel) & ((counts - np.array(image.shape)) % 2 == 1)
    to_mm = axes * steps[None, :]
    lattice = _lattice(tuple(counts), to_mm / voxel[:, None], np.array(image.shape))
    measured = _sampled(blurred[None], lattice)
    back = _lattice(tuple(image.shape), np.linalg.inv(to_mm) * voxel[None, :], counts)
    return _sampled(measured, back)[0]


def _lattice(shape: tuple[int, ...], matrix: np.ndarray, source: np.ndarray) -> Tensor:
    """Return indices (*shape, 3) into an array of shape `source`: offsets from the middle, times `matrix`."""
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in shape]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    return offsets @ torch.from_numpy(matrix.T).float() + torch.from_numpy((source - 1) / 2).float()


def _sampled(channels: Tensor, index: Tensor) -> Tensor:
    """Interpolate (c, z, y, x) linearly at indices (z', y', x', 3); beyond the border the outer voxels are repeated."""
    size = torch.tensor([max(n - 1, 1) for n in channels.shape[1:]], dtype=torch.float32)
    unit = (2 * index / size - 1).flip(-1)[None]
    return functional.grid_sample(
        channels[None], unit, mode="bilinear", padding_mode="border", align_corners=True
    )[0]  # fmt: skip


def vary_contrast(image: Tensor, distance_mm: Tensor | None, rng: Rng) -> Tensor:
    """Change the brightness of tissues, as another sequence, another dose of gadolinium or an enhanced wall do.

    Args:
        image: (z, y, x), z-scored.
        distance_mm: (z, y, x) to the atrium's surface, positive inside; None: it is unknown, and the atrium and its
            wall stay as bright as they are.

    Returns:
        (z, y, x).
    """
    kind = rng.random()
    low, high = float(image.min()), float(image.max()) + 1e-6
    if kind < 0.03:  # Dark blood.
        image = low + high - image
    elif kind < 0.09:  # Any tissue may take any other's place.
        image = _curve(image, torch.from_numpy(rng.uniform(low, high, 6)).float())
    elif kind < 0.27:  # The order stays; what differs much may differ little, and the other way round.
        image = _curve(image, torch.from_numpy(np.sort(rng.uniform(low, high, 6))).float())
    if distance_mm is None:
        return image
    if rng.random() < 0.15:
        image = image + float(rng.normal(0, 0.4)) * (distance_mm / 2 + 0.5).clamp(0, 1)
    if rng.random() < 0.15:  # The wall is 2 to 3 mm thick and enhanced in patches.
        wall = torch.exp(-0.5 * ((distance_mm + 1.5) / 1.0) ** 2)
        image = image + float(rng.uniform(0.3, 2.0)) * wall * _smooth_field(image.shape, 1.0, rng).clamp(0, 1)
    return image


def vary_intensity(image: Tensor, rng: Rng) -> Tensor:
    """Change a z-scored patch (z, y, x) as other coils, movement and fields of view do."""
    if rng.random() < 0.5:
        # Coils multiply the signal, which is 0 in air, not at the scan's mean.
        low = image.min()
        image = (image - low) * torch.exp(_smooth_field(image.shape, 0.2, rng)) + low
    if rng.random() < 0.5:
        low, high = image.min(), image.max()
        unit = (image - low) / (high - low + 1e-6)
        image = unit ** float(np.exp(rng.uniform(-0.4, 0.4))) * (high - low) + low
    if rng.random() < 0.2:
        image = _blur(image, rng.uniform(0.3, 1.0, 3))
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
        image = image + float(rng.uniform(0, 0.25)) * noise
    # The z-score of another field of view: with more lung or more fat in it.
    return image * float(np.exp(rng.uniform(-0.35, 0.35))) + float(rng.uniform(-0.5, 0.5))


def _smooth_field(shape: torch.Size, deviation: float, rng: Rng) -> Tensor:
    coarse = torch.from_numpy(rng.normal(0, deviation, (1, 1, 3, 4, 4))).float()
    return functional.interpolate(coarse, tuple(shape), mode="trilinear", align_corners=True)[0, 0]


def _curve(image: Tensor, values: Tensor) -> Tensor:
    """Map grey levels by a piecewise linear curve through `values` at evenly spaced knots, lowest to highest level."""
    low, high = float(image.min()), float(image.max()) + 1e-6
    index = ((image - low) / (high - low) * (len(values) - 1)).clamp(0, len(values) - 1.001)
    below = index.long()
    return values[below] + (index - below) * (values[below + 1] - values[below])


def _blur(image: Tensor, sigmas: np.ndarray) -> Tensor:
    """Blur (z, y, x) by a Gaussian with one standard deviation an axis, in voxels; the edges are repeated."""
    blurred = image[None, None]
    for axis, sigma in enumerate(sigmas):
        if sigma < 0.2:
            continue
        reach = int(np.ceil(2.5 * sigma))
        taps = torch.arange(-reach, reach + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (taps / float(sigma)) ** 2)
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = len(taps)
        padding = [0] * 6
        padding[2 * (2 - axis) : 2 * (2 - axis) + 2] = (reach, reach)
        padded = functional.pad(blurred, padding, mode="replicate")
        blurred = functional.conv3d(padded, (kernel / kernel.sum()).reshape(shape))
    return blurred[0, 0]


def random_box(shape: tuple[int, int, int], rng: Rng) -> tuple[slice, slice, slice]:
    """Draw a box of a third to two thirds of each axis, anywhere: the region that copy-paste exchanges (as BCP's)."""
    slices = []
    for n in shape:
        length = int(rng.uniform(1 / 3, 2 / 3) * n)
        start = int(rng.integers(0, n - length + 1))
        slices.append(slice(start, start + length))
    return slices[0], slices[1], slices[2]


def fixed_box(shape: tuple[int, int, int], rng: Rng) -> tuple[slice, slice, slice]:
    """Draw the place of a box of two thirds of each axis: what labelled and unlabelled scans exchange in BCP."""
    z, y, x = (slice(start := int(rng.integers(0, n - round(2 * n / 3) + 1)), start + round(2 * n / 3)) for n in shape)
    return z, y, x
