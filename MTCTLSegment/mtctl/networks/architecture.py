"""What has to be known of a network, besides its weights, to build it again; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

#: Voxels along each axis must be a multiple of this: four halvings.
STRIDE = 16


@dataclass(frozen=True)
class Architecture:
    """The sizes of an `mtctl_net.MTCTLNet`.

    Attributes:
        filters: Filters of the first level; doubled at each of the four levels below.
        uncertainty_filters: The same for the uncertainty decoder.
        bottleneck_dropout: Probability that a bottleneck channel is dropped in a Monte-Carlo sample.
        skip_dropout: The same for a channel of a projected skip connection.
    """

    filters: int = 16
    uncertainty_filters: int = 8
    bottleneck_dropout: float = 0.5
    skip_dropout: float = 0.2
