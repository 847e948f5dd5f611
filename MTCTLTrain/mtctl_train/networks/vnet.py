"""The V-Net of the left-atrium literature, backbone of the three baselines."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtctl.networks.mtctl_net import Decoder, Encoder

#: Dropout3d after encoder block 5 and decoder block 9 in UA-MT's and SASSNet's code.
DROPOUT = 0.5


@dataclass(frozen=True)
class VNetOutputs:
    """Logits of the mask and, from SASSNet's second head, the signed distance in (-1, 1); (n, 1, z, y, x) each."""

    segmentation: Tensor
    distance: Tensor


class VNet(nn.Module):
    """Encoder and decoder of MT-CTL's own segmentation branch, with dropout and a second head for a distance map."""

    def __init__(self, filters: int = 16) -> None:
        super().__init__()
        self.encoder = Encoder(filters)
        self.segmentation_decoder = Decoder(filters)
        self.distance_head = nn.Conv3d(filters, 1, 1)
        self._channels = (16 * filters, filters)
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def masks(self, batch: int, generator: torch.Generator) -> list[Tensor]:
        """Draw one dropout sample: factors of the channels at the two places, (batch, c, 1, 1, 1): 0 or 1 / (1 - p)."""
        return [
            (torch.rand((batch, channels, 1, 1, 1), generator=generator) >= DROPOUT) / (1 - DROPOUT)
            for channels in self._channels
        ]

    def forward(self, volume: Tensor, masks: list[Tensor]) -> VNetOutputs:
        bottleneck, last = (mask.to(volume.device) for mask in masks)
        *shallow, deepest = self.encoder(volume)
        decoder = self.segmentation_decoder
        deeper = decoder.deeper([*shallow[1:], deepest * bottleneck.to(deepest.dtype)])
        features = decoder.blocks[3](decoder.ups[3](deeper) + shallow[0])
        features = features * last.to(features.dtype)
        return VNetOutputs(decoder.head(features).float(), torch.tanh(self.distance_head(features).float()))
