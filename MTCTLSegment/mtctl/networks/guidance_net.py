"""The network that takes a reader's answers in: f1 of MT-CTL, which sees clicks and the answer so far beside the scan.

It is a network of its own, not further channels of the model: a mask that nobody has answered anything about never
passes it, so it stays the model's to the last bit, and one such network serves every model on its grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtctl.networks.mtctl_net import Decoder, Encoder, MTCTLNet

#: What it sees: the scan, clicks inside, clicks outside, and the answer so far.
_CHANNELS = 4


class GuidanceNet(nn.Module):
    """Encoder and segmentation decoder f1; (n, 4 channels, z, y, x) to logits (n, 1, z, y, x)."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.encoder = Encoder(filters, _CHANNELS)
        self.segmentation_decoder = Decoder(filters)

    @classmethod
    def from_model(cls, network: MTCTLNet) -> GuidanceNet:
        """Return a network that answers like `network`'s f1 whatever it is told: all weights of guidance are zero."""
        guided = cls(network.architecture.filters)
        state = guided.state_dict()
        first = "encoder.blocks.0.0.weight"
        for name, tensor in network.state_dict().items():
            if name == first:
                state[name] = torch.zeros_like(state[name])
                state[name][:, :1] = tensor
            elif name in state:
                state[name] = tensor.clone()
        guided.load_state_dict(state)
        return guided

    def forward(self, channels: Tensor) -> Tensor:
        """Return logits of the mask."""
        return self.segmentation_decoder(self.encoder(channels)).float()
