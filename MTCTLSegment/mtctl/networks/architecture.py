"""What has to be known of a network, besides its weights, to build it again, and which tensors it has. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mtctl.system.fields import Within

#: Voxels along each axis must be a multiple of this: four halvings.
STRIDE = 16

#: Four times the literature's 16; more would fill the memory before anything is segmented.
Filters = Annotated[int, Within(1, 64)]

#: Not 1: what is left is divided by what was not dropped.
_Dropout = Annotated[float, Within(0.0, 0.99)]

Shape = tuple[int, ...]

#: Convolutions at each level of the encoder, finest first.
_CONVOLUTIONS = (1, 2, 3, 3, 3)


@dataclass(frozen=True)
class Architecture:
    """The sizes of an `mtctl_net.MTCTLNet`.

    Attributes:
        filters: Filters of the first level; doubled at each of the four levels below.
        uncertainty_filters: The same for the uncertainty decoder.
        bottleneck_dropout: Probability that a bottleneck channel is dropped in a Monte-Carlo sample.
        skip_dropout: The same for a channel of a projected skip connection.
    """

    filters: Filters = 16
    uncertainty_filters: Filters = 8
    bottleneck_dropout: _Dropout = 0.5
    skip_dropout: _Dropout = 0.2


def network_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Return the shapes of all tensors of an `MTCTLNet`, by the names that its `state_dict` gives them."""
    wide, narrow = architecture.filters, architecture.uncertainty_filters
    shapes = _encoder("encoder", wide)
    shapes |= _decoder("segmentation_decoder", wide) | _decoder("distance_decoder", wide)
    for level in range(5):
        name = f"uncertainty_decoder.projections.{level}"
        shapes[f"{name}.weight"] = (narrow * 2**level, wide * 2**level, 1, 1, 1)
        shapes[f"{name}.bias"] = (narrow * 2**level,)
    return shapes | _decoder("uncertainty_decoder.decoder", narrow)


def locator_shapes(filters: int) -> dict[str, Shape]:
    """Return the same for a `LocatorNet`."""
    return _encoder("encoder", filters) | _decoder("segmentation_decoder", filters)


def _encoder(name: str, filters: int) -> dict[str, Shape]:
    shapes = _block(f"{name}.blocks.0", 1, filters, 1)
    for level in range(1, 5):
        wide = filters * 2**level
        shapes |= _layer(f"{name}.downs.{level - 1}", 0, (wide, wide // 2, 2, 2, 2), wide)
        shapes |= _block(f"{name}.blocks.{level}", wide, wide, _CONVOLUTIONS[level])
    return shapes


def _decoder(name: str, filters: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for place, level in enumerate((3, 2, 1, 0)):
        channels = filters * 2**level
        shapes |= _layer(f"{name}.ups.{place}", 0, (2 * channels, channels, 2, 2, 2), channels)
        shapes |= _block(f"{name}.blocks.{place}", channels, channels, _CONVOLUTIONS[level])
    return shapes | {f"{name}.head.weight": (1, filters, 1, 1, 1), f"{name}.head.bias": (1,)}


def _block(name: str, channels_in: int, channels: int, count: int) -> dict[str, Shape]:
    """Return the tensors of `count` convolutions, each with its normalisation; an activation follows each pair."""
    shapes: dict[str, Shape] = {}
    for index in range(count):
        kernel = (channels, channels_in if index == 0 else channels, 3, 3, 3)
        shapes |= _layer(name, 3 * index, kernel, channels)
    return shapes


def _layer(name: str, index: int, kernel: Shape, channels: int) -> dict[str, Shape]:
    """Return the tensors of one convolution, the layer of that index, and of the normalisation after it."""
    normalised = f"{name}.{index + 1}"
    each = {f"{normalised}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.{index}.weight": kernel, **each, f"{normalised}.num_batches_tracked": ()}
