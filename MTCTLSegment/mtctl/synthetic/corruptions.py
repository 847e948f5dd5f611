"""Worse versions of a labelled scan: what scanners, patients and protocols do to images, at three severities.

They widen the range of Dice over which a case score is fitted and judged: a dozen good scans hold no failure. Levels
were set on cases 17-30 so that a model trained on 16 scans goes from good results to failed ones. Lengths are in true
millimetres; `voxel_mm` is the size of the scan's voxels, (z, y, x).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mtctl.geometry import Geometry, Map, Triple, Volume
from mtctl.io.labelled import LabelledVolume

Rng = np.random.Generator
#: Voxels (z, y, x) that the benchmark's scans were acquired in, mm; their files hold them interpolated to half of it.
ACQUIRED_MM: Triple = (2.5, 1.25, 1.25)

SEVERITIES = (1, 2, 3)


def noise(image: Map, level: float, voxel_mm: Triple, rng: Rng) -> Map:
    """Add Rician noise of `level` standard deviations of the scan, as smooth as acquired voxels."""
    sigma = [0.5 * acquired / step for acquired, step in zip(ACQUIRED_MM, voxel_mm, strict=True)]
    real, imaginary = (ndimage.gaussian_filter(rng.standard_normal(image.shape, np.float32), sigma) for _ in range(2))
    scale = np.float32(level * image.std() / real.std())
    return np.asarray(np.sqrt((image + scale * real) ** 2 + (scale * imaginary) ** 2), np.float32)


def blur(image: Map, level: float, voxel_mm: Triple, rng: Rng) -> Map:
    """Return a Gaussian of `level` mm."""
    return np.asarray(ndimage.gaussian_filter(image, [level / step for step in voxel_mm]), np.float32)


def bias_field(image: Map, level: float, voxel_mm: Triple, rng: Rng) -> Map:
    """Multiply by a smooth gain of standard deviation exp(`level`), as of uneven coils.

    It is made of the three lowest cosines of each axis.
    """
    field = rng.standard_normal((3, 3, 3)).astype(np.float32)
    for count in image.shape:
        waves = np.cos(np.pi * np.arange(3)[:, None] * (np.arange(count) + 0.5) / count).astype(np.float32)
        field = np.tensordot(field, waves, axes=(0, 0))
    return np.asarray(image * np.exp(np.float32(level) * (field - field.mean()) / field.std()), np.float32)


def motion(image: Map, level: float, voxel_mm: Triple, rng: Rng) -> Map:
    """Breathing of `level` mm from front to back while k-space is filled line by line (rows, y): ghosts and blur.

    A shifted object multiplies its Fourier transform by a phase ramp, so each line has the phase of its moment.
    """
    frequency = np.fft.fftfreq(image.shape[1])
    line = np.argsort(np.argsort(frequency))  # lines are filled from the most negative frequency to the most positive
    breaths = rng.uniform(4, 9) / image.shape[1]
    moved = np.sin(2 * np.pi * (line * breaths + rng.random())) + 0.3 * rng.standard_normal(image.shape[1])
    moved -= moved[np.abs(frequency) * image.shape[1] < 4].mean()  # the slow waves say where the organs are: keep it
    phase = np.exp(-2j * np.pi * frequency * moved * (level / voxel_mm[1])).astype(np.complex64)
    spectrum = np.fft.fft(image, axis=1) * phase[:, None]
    return np.abs(np.fft.ifft(spectrum, axis=1)).astype(np.float32)


def low_resolution(image: Map, level: float, voxel_mm: Triple, rng: Rng) -> Map:
    """Return the scan as voxels `level` times as long along each axis show it (2: half resolution), on its own grid."""
    coarse = [max(2, round(count / level)) for count in image.shape]
    smooth = ndimage.gaussian_filter(image, np.sqrt(level**2 - 1) / np.sqrt(8 * np.log(2)))
    small = ndimage.zoom(smooth, np.array(coarse) / image.shape, order=1, mode="nearest", grid_mode=True)
    back = np.array(image.shape) / np.array(coarse)
    return np.asarray(ndimage.zoom(small, back, order=1, mode="nearest", grid_mode=True), np.float32)


@dataclass(frozen=True)
class Corruption:
    """One way to spoil a scan's grey levels.

    Attributes:
        change: From image (z, y, x), level, voxel size (mm; z, y, x) and generator to the spoilt image.
        levels: The level at each of `SEVERITIES`.
    """

    change: Callable[[Map, float, Triple, Rng], Map]
    levels: tuple[float, float, float]


#: By name; "cropped" is not among them, because it changes the grid.
GREY_LEVELS = {
    "noise": Corruption(noise, (0.5, 1.0, 1.5)),
    "blur": Corruption(blur, (2.0, 3.5, 5.0)),
    "bias-field": Corruption(bias_field, (0.35, 0.7, 1.2)),
    "motion": Corruption(motion, (3.0, 6.0, 12.0)),
    "low-resolution": Corruption(low_resolution, (2.0, 6.0, 10.0)),
}
#: Share of the atrium's length that "cropped" cuts off from one side.
CROPPED_SHARES = (0.2, 0.4, 0.6)

KINDS = (*GREY_LEVELS, "cropped")


def corrupted(case: LabelledVolume, kind: str, severity: int, seed: int = 0) -> LabelledVolume:
    """Return a worse version of a case; the same arguments give the same voxels.

    Args:
        case: Scan and truth.
        kind: One of `KINDS`.
        severity: One of `SEVERITIES`.
        seed: Another one draws another field, noise or side.

    Returns:
        The scan, its truth (cut like the scan), and the name "<name>+<kind>-<severity>".
    """
    # Not of the severity: a higher one is the same field, noise or side, only more of it.
    rng = np.random.default_rng((seed, zlib.crc32(f"{case.name} {kind}".encode())))
    name = f"{case.name}+{kind}-{severity}"
    if kind == "cropped":
        return replace(_cut(case, CROPPED_SHARES[severity - 1], rng), name=name)
    corruption = GREY_LEVELS[kind]
    image = case.volume.array.astype(np.float32)
    dx, dy, dz = case.volume.geometry.spacing
    spoilt = corruption.change(image, corruption.levels[severity - 1], (dz, dy, dx), rng)
    return LabelledVolume(name, Volume(spoilt, case.volume.geometry), case.mask)


def all_corrupted(cases: Sequence[LabelledVolume], seed: int = 0) -> Iterator[LabelledVolume]:
    """Yield every case in every kind and severity, made one by one."""
    for case in cases:
        for kind in KINDS:
            for severity in SEVERITIES:
                yield corrupted(case, kind, severity, seed)


def _cut(case: LabelledVolume, share: float, rng: Rng) -> LabelledVolume:
    """Return the scan without what lies beyond a plane that cuts `share` of the atrium's length off."""
    axis, from_end = int(rng.integers(3)), bool(rng.integers(2))
    used = np.flatnonzero(case.mask.any(axis=tuple(other for other in range(3) if other != axis)))
    first, count = int(used[0]), int(used[-1]) + 1 - int(used[0])
    length = case.mask.shape[axis]
    low, high = (0, first + round((1 - share) * count)) if from_end else (first + round(share * count), length)
    # 16 voxels are the least that the network takes.
    low, high = (0, max(high, 16)) if from_end else (min(low, length - 16), length)
    keep = tuple(slice(low, high) if other == axis else slice(None) for other in range(3))
    start, geometry = [0, 0, 0], case.volume.geometry
    start[2 - axis] = low
    array = np.ascontiguousarray(case.volume.array[keep])
    z, y, x = array.shape
    window: Geometry = geometry.window((start[0], start[1], start[2]), (x, y, z))
    return LabelledVolume(case.name, Volume(array, window), np.ascontiguousarray(case.mask[keep]))
