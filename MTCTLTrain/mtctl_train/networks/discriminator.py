"""The discriminator D of Eq. 1: was this distance map predicted for a labelled or for an unlabelled scan?"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Discriminator(nn.Module):
    """D{x, dist; phi}: a scan and a distance map, (n, 1, z, y, x) each, to one value a patch, (n,).

    Both go through a first convolution of their own and are added, as in SASSNet; four halvings, mean over the patch.
    No batch normalisation: labelled and unlabelled patches come in batches of their own, whose statistics would tell
    them apart. The value is not squashed: Eq. 1 is a least-squares loss, tamed by Geman-McClure.
    """

    def __init__(self, filters: int = 16, dropout: float = 0.0) -> None:
        """Build it.

        Args:
            filters: Filters of the first level; 64 in SASSNet.
            dropout: Probability that a channel is dropped after each of the first three levels; 0.5 in SASSNet.
        """
        super().__init__()
        self.dropout = dropout
        self._channels = [filters * 2**level for level in range(3)]
        self.volume_stem = nn.Conv3d(1, filters, 4, stride=2, padding=1)
        self.distance_stem = nn.Conv3d(1, filters, 4, stride=2, padding=1)
        self.layers = nn.Sequential(
            *(
                layer
                for channels in self._channels
                for layer in (nn.LeakyReLU(0.2), nn.Conv3d(channels, 2 * channels, 4, stride=2, padding=1))
            ),
            nn.LeakyReLU(0.2),
        )
        self.head = nn.Linear(filters * 8, 1)

    def masks(self, batch: int, generator: torch.Generator) -> list[Tensor]:
        """Draw one dropout sample: factors of the channels of three levels, (batch, c, 1, 1, 1): 0 or 1 / (1 - p)."""
        return [
            (torch.rand((batch, channels, 1, 1, 1), generator=generator) >= self.dropout) / (1 - self.dropout)
            for channels in self._channels
        ]

    def forward(self, volume: Tensor, distance: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        # In float32: its last maps are small enough for the fault of oneDNN that `Stage` keeps the network's clear of.
        with torch.autocast(volume.device.type, enabled=False):
            features = self.volume_stem(volume.float()) + self.distance_stem(distance.float())
            for index, layer in enumerate(self.layers):
                features = layer(features)
                if masks and index % 2 == 0 and index // 2 < len(masks):
                    features = features * masks[index // 2].to(features)
            return torch.flatten(self.head(features.mean((2, 3, 4))))
