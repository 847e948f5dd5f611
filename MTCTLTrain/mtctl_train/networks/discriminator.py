"""The discriminator D of Eq. 1: was this distance map predicted for a labelled or for an unlabelled scan?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Filters of the first level. SASSNet's discriminator has 64: its step would then cost as much as the network's.
_FILTERS = 16


class Discriminator(nn.Module):
    """D{x, dist; phi}: a scan and a distance map, (n, 1, z, y, x) each, to one value a patch, (n,).

    Both go through a first convolution of their own and are added, as in SASSNet; four halvings, mean over the patch.
    SASSNet's drops half the channels after each of the first three levels; ours has no dropout.
    No batch normalisation: labelled and unlabelled patches come in batches of their own, whose statistics would tell
    them apart. The value is not squashed: Eq. 1 is a least-squares loss, tamed by Geman-McClure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.volume_stem = nn.Conv3d(1, _FILTERS, 4, stride=2, padding=1)
        self.distance_stem = nn.Conv3d(1, _FILTERS, 4, stride=2, padding=1)
        self.layers = nn.Sequential(
            *(
                layer
                for level in range(3)
                for layer in (
                    nn.LeakyReLU(0.2),
                    nn.Conv3d(_FILTERS * 2**level, _FILTERS * 2 ** (level + 1), 4, stride=2, padding=1),
                )
            ),
            nn.LeakyReLU(0.2),
        )
        self.head = nn.Linear(_FILTERS * 8, 1)

    def forward(self, volume: Tensor, distance: Tensor) -> Tensor:
        # In float32: its last maps are small enough for the fault of oneDNN that `Stage` keeps the network's clear of.
        with torch.autocast(volume.device.type, enabled=False):
            features = self.layers(self.volume_stem(volume.float()) + self.distance_stem(distance.float()))
            return torch.flatten(self.head(features.mean((2, 3, 4))))
