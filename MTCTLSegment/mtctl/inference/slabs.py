"""The network over a volume in little memory: encoder and f1 once per view, N samples over all views together.

Where a volume is too large, only the finest level is cut, into slabs: it holds two thirds of all feature values, yet
has one convolution on the way in and one on the way out, so that two further planes on each side of a slab make its
result exact. All deeper levels see the whole volume. Tiles of the whole network, blended by Gaussian weights, were
tried first: the V-Net sees 130 voxels far, and tiles of 64 voxels, overlapping by half, change the probability by
0.003 in the mean, 27 times what bfloat16 rounding does. Slabs change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from mtctl.geometry import Map, Triple
from mtctl.inference.test_time_augmentation import VIEWS, View
from mtctl.networks.architecture import STRIDE
from mtctl.networks.device import autocast, has_bfloat16
from mtctl.networks.mtctl_net import Decoder, Encoder, LocatorNet, MTCTLNet, dropped
from mtctl.preprocessing.network_grid import pad_to_multiple

#: Memory that the finest level may take on the CPU; with torch (0.4 GB) and the results a crop stays under 2.5 GB.
_CPU_BYTES = 0.8e9

#: Feature maps of full size alive at once in a decoder's last step: upsampled, skip, sum, convolved.
_MAPS_ALIVE = 5

#: Planes beyond a slab that its result depends on: one for each of the two convolutions; even, to fit the level below.
_HALO = 2

#: Logit of what no network looked at: a probability of 3e-7.
OUTSIDE_LOGIT = -15.0


@dataclass(frozen=True)
class Maps:
    """The network's answers on its own grid.

    Attributes:
        segmentation: Logits of f1, (z, y, x) float32.
        distance: f2, (z, y, x) float32, in [-1, 1], positive inside.
        samples: Logits of the Monte-Carlo samples, (n, z, y, x) float32.
    """

    segmentation: Map
    distance: Map
    samples: Map


def planes_at_once(device: torch.device, filters: int, shape: tuple[int, int, int]) -> int:
    """Return how many planes (z) the finest level may be computed in at once, a multiple of `STRIDE`."""
    # Of all memory, not of what is free just now: the same scan is then cut alike every time.
    cuda = device.type == "cuda"
    free = 0.3 * torch.cuda.get_device_properties(device).total_memory if cuda else _CPU_BYTES
    bytes_per_plane = shape[1] * shape[2] * _MAPS_ALIVE * filters * (2 if has_bfloat16(device) else 4)
    return max(STRIDE, int(free / bytes_per_plane) // STRIDE * STRIDE)


def locator_pass(network: LocatorNet, array: Map, device: torch.device, planes: int) -> Map:
    """Return the logits of a locator, (z, y, x).

    Args:
        array: (z, y, x) z-scored.
        planes: See `planes_at_once`.
    """
    with _prepared(array, network.encoder, device, planes) as volume:
        return volume.answer(network.segmentation_decoder)


def sample_passes(
    network: MTCTLNet,
    array: Map,
    samples: int,
    seed: int,
    device: torch.device,
    planes: int,
    progress: Callable[[float], None] = lambda share: None,
    views: Sequence[View] = VIEWS[:1],
    voxel_mm: Triple = (1.0, 1.0, 1.0),
) -> Maps:
    """Return all of the network's answers: in each view a pass through encoder and f1, and its part of the samples.

    f2 comes from the first view alone: a distance averaged over views is no better a surface than f1, and its decoder
    costs as much as all samples together.

    Args:
        array: (z, y, x) z-scored.
        samples: N, over all views together; the views take turns.
        seed: Sample i drops the channels drawn from (seed, i).
        planes: See `planes_at_once`.
        progress: Called with the share done, 0..1.
        views: At least one.
        voxel_mm: (z, y, x) size of the array's voxels, which the views need.
    """
    uncertain = network.uncertainty_decoder
    finest, *projections = uncertain.projections
    segmentation: list[Map] = []
    distance: list[Map] = []
    drawn: dict[int, Map] = {}
    for index, view in enumerate(views):
        with _prepared(view.of(array, voxel_mm), network.encoder, device, planes) as volume:
            segmentation.append(view.back(volume.answer(network.segmentation_decoder), voxel_mm))
            if not distance:
                distance.append(view.back(volume.answer(network.distance_decoder), voxel_mm))
            projected = [projection(feature) for projection, feature in zip(projections, volume.deeper, strict=True)]
            for sample in range(index, samples, len(views)):
                first, *masks = uncertain.masks(1, torch.Generator().manual_seed(seed * 4096 + sample))
                deeper = uncertain.decoder.deeper(dropped(projected, masks))
                seen = volume.finish(uncertain.decoder, deeper, partial(_project_and_drop, finest, first))
                drawn[sample] = view.back(seen, voxel_mm)
                progress(len(drawn) / samples)
    return Maps(np.mean(segmentation, axis=0), np.tanh(distance[0]), np.stack([drawn[i] for i in range(samples)]))


def _project_and_drop(projection: nn.Module, mask: Tensor, skip: Tensor) -> Tensor:
    return dropped([projection(skip)], [mask])[0]


@dataclass(frozen=True)
class _Prepared:
    """A volume on the device, after the encoder.

    Attributes:
        input: Padded volume (1, 1, z, y, x).
        inner: Where the volume lies in it.
        deeper: The encoder's feature maps below the finest.
        slabs: First and last plane of each slab of the finest level.
        skip: The finest map where one slab holds it all; else None, and it is computed again slab by slab: the one
            convolution costs a fiftieth of a V-Net pass.
    """

    encoder: Encoder
    input: Tensor
    inner: tuple[slice, ...]
    deeper: list[Tensor]
    slabs: list[tuple[int, int]]
    skip: Tensor | None

    def answer(self, decoder: Decoder) -> Map:
        """Return what a decoder makes of the feature maps, (z, y, x)."""
        return self.finish(decoder, decoder.deeper(self.deeper))

    def finish(self, decoder: Decoder, deeper: Tensor, change: Callable[[Tensor], Tensor] = lambda skip: skip) -> Map:
        """Return a decoder's last step over all slabs, (z, y, x) without the padding.

        `change` is applied to the skip.
        """
        parts = []
        for start, stop in self.slabs:
            low, high = max(0, start - _HALO), min(self.input.shape[2], stop + _HALO)
            skip = self.skip if self.skip is not None else _finest(self.encoder, self.input, low, high)
            answer = decoder.finest(deeper[:, :, low // 2 : high // 2], change(skip))
            parts.append(answer[0, 0, start - low : stop - low].float().cpu())
        return torch.cat(parts).numpy()[self.inner]


@contextmanager
def _prepared(array: Map, encoder: Encoder, device: torch.device, planes: int) -> Iterator[_Prepared]:
    padded, inner = pad_to_multiple(array, STRIDE)
    depth = padded.shape[0]
    slabs = [(start, min(start + planes, depth)) for start in range(0, depth, planes)]
    with torch.inference_mode(), autocast(device):
        volume = torch.from_numpy(np.ascontiguousarray(padded))[None, None]
        volume = volume.to(device, memory_format=torch.channels_last_3d)
        skip = encoder.finest(volume) if len(slabs) == 1 else None
        halves = [
            encoder.downs[0](skip if skip is not None else _finest(encoder, volume, start, stop))
            for start, stop in slabs
        ]
        yield _Prepared(encoder, volume, inner, encoder.deeper(torch.cat(halves, dim=2)), slabs, skip)


def _finest(encoder: Encoder, volume: Tensor, low: int, high: int) -> Tensor:
    """Return planes `low` to `high` of the finest feature map, as computed over the whole volume."""
    first, last = max(0, low - _HALO), min(volume.shape[2], high + _HALO)
    return encoder.finest(volume[:, :, first:last])[:, :, low - first : high - first]
