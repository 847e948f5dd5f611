"""The MT-CTL network: one V-Net encoder shared by a segmentation, a distance and an uncertainty decoder.

Choices where the paper is silent, or where its figure would be needed:

* Backbone: the V-Net of the left-atrium literature (16 base filters, 1-2-3-3-3 convolutions a level, strided
  convolutions down, transposed ones up, skips added, batch normalisation), so that results compare.
* "Four different decoders" (Figure 1): segmentation f1, distance f2, uncertainty, and, as the fourth, the transform
  of the distance map into a mask, which has no weights (`distance_map.mask_probability`).
* f1 is one sigmoid channel: with one foreground class it equals a two-channel softmax at half the memory.
* The uncertainty decoder is the segmentation decoder at half the width, with dropout between the skips and its blocks.
  Everything before the first dropout (encoder, skip projections) is computed once per volume; a further
  Monte-Carlo sample costs about a sixth of a plain V-Net pass. Full width would cost four times as much a sample.
* Dropout 0.5 at the bottleneck as in the V-Net code of UA-MT; 0.2 on the projected skips, because with bottleneck
  dropout alone the samples hardly differ at the border, where the errors are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtctl.networks.architecture import Architecture


@dataclass(frozen=True)
class Outputs:
    """What one training pass yields, each (n, 1, z, y, x) in float32.

    Attributes:
        segmentation: Logits of f1.
        distance: f2 in (-1, 1), positive inside.
        uncertainty: Logits of one dropout sample of the uncertainty decoder.
    """

    segmentation: Tensor
    distance: Tensor
    uncertainty: Tensor


def _convolutions(channels_in: int, channels: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        layers += [
            nn.Conv3d(channels_in if index == 0 else channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _down(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels, 2 * channels, 2, stride=2, bias=False),
        nn.BatchNorm3d(2 * channels),
        nn.ReLU(inplace=True),
    )


def _up(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose3d(channels, channels // 2, 2, stride=2, bias=False),
        nn.BatchNorm3d(channels // 2),
        nn.ReLU(inplace=True),
    )


class Encoder(nn.Module):
    """The V-Net's contracting half: (n, channels, z, y, x) to five feature maps, finest first."""

    def __init__(self, filters: int, channels: int = 1) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([_convolutions(channels, filters, 1)])
        self.downs = nn.ModuleList()
        for level, count in enumerate((2, 3, 3, 3), start=1):
            self.downs.append(_down(filters * 2 ** (level - 1)))
            self.blocks.append(_convolutions(filters * 2**level, filters * 2**level, count))

    def forward(self, volume: Tensor) -> list[Tensor]:
        finest = self.finest(volume)
        return [finest, *self.deeper(self.downs[0](finest))]

    def finest(self, volume: Tensor) -> Tensor:
        """Return the feature map of full size, (n, filters, z, y, x)."""
        return self.blocks[0](volume)

    def deeper(self, halved: Tensor) -> list[Tensor]:
        """Return the four smaller feature maps, from the finest map once halved (`downs[0]`)."""
        features = [self.blocks[1](halved)]
        for down, block in zip(list(self.downs)[1:], list(self.blocks)[2:], strict=True):
            features.append(block(down(features[-1])))
        return features


class Decoder(nn.Module):
    """The V-Net's expanding half: five feature maps, finest first, to one channel (n, 1, z, y, x)."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.ups = nn.ModuleList(_up(filters * 2**level) for level in (4, 3, 2, 1))
        self.blocks = nn.ModuleList(
            _convolutions(filters * 2**level, filters * 2**level, count)
            for level, count in ((3, 3), (2, 3), (1, 2), (0, 1))
        )
        self.head = nn.Conv3d(filters, 1, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.finest(self.deeper(features[1:]), features[0])

    def deeper(self, features: list[Tensor]) -> Tensor:
        """From the four smaller feature maps to the last one of half size."""
        x = features[3]
        for up, block, skip in zip(list(self.ups)[:3], list(self.blocks)[:3], reversed(features[:3]), strict=True):
            x = block(up(x) + skip)
        return x

    def finest(self, deeper: Tensor, skip: Tensor) -> Tensor:
        """Return the last step, to full size, and the head."""
        return self.head(self.blocks[3](self.ups[3](deeper) + skip))


class UncertaintyDecoder(nn.Module):
    """A narrow decoder whose every call draws one Monte-Carlo dropout sample.

    `project` is deterministic and done once per volume; `forward` is done once per sample. Whole channels are
    dropped (Dropout3d): neighbouring voxels of a channel are so alike that dropping single ones changes nothing.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        wide, narrow = architecture.filters, architecture.uncertainty_filters
        self.channels = [narrow * 2**level for level in range(5)]
        self.projections = nn.ModuleList(
            nn.Conv3d(wide * 2**level, channels, 1) for level, channels in enumerate(self.channels)
        )
        self.decoder = Decoder(narrow)
        self.probabilities = [architecture.skip_dropout] * 4 + [architecture.bottleneck_dropout]

    def project(self, features: list[Tensor]) -> list[Tensor]:
        return [projection(feature) for projection, feature in zip(self.projections, features, strict=True)]

    def masks(self, batch: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Return one sample's factors for the channels of the five projected maps, (batch, c, 1, 1, 1).

        They are 0 or 1 / (1 - p).
        """
        # Drawn on the CPU whatever the device: then a seed means the same sample everywhere.
        return [
            (torch.rand((batch, channels, 1, 1, 1), generator=generator) >= p) / (1 - p)
            for channels, p in zip(self.channels, self.probabilities, strict=True)
        ]

    def sample(self, projected: list[Tensor], masks: list[Tensor]) -> Tensor:
        """Return the logits (n, 1, z, y, x) of the sample that drops the channels of `masks`."""
        return self.decoder(dropped(projected, masks))

    def forward(self, projected: list[Tensor], generator: torch.Generator | None = None) -> Tensor:
        """Return the logits (n, 1, z, y, x) of one sample; the channels to drop are drawn from `generator`."""
        return self.sample(projected, self.masks(len(projected[0]), generator))


def dropped(features: list[Tensor], masks: list[Tensor]) -> list[Tensor]:
    """Return the feature maps times the factors of their channels."""
    return [feature * mask.to(feature.device, feature.dtype) for feature, mask in zip(features, masks, strict=True)]


class LocatorNet(nn.Module):
    """A small V-Net that only finds where in a large scan the atrium is: (n, 1, z, y, x) to logits alike."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.encoder = Encoder(filters)
        self.segmentation_decoder = Decoder(filters)

    def forward(self, volume: Tensor) -> Tensor:
        return self.segmentation_decoder(self.encoder(volume))


class MTCTLNet(nn.Module):
    """Shared encoder, segmentation decoder f1, distance decoder f2, uncertainty decoder.

    Input (n, 1, z, y, x): z-scored intensities, each axis a multiple of `STRIDE` voxels.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        self.encoder = Encoder(self.architecture.filters)
        self.segmentation_decoder = Decoder(self.architecture.filters)
        self.distance_decoder = Decoder(self.architecture.filters)
        self.uncertainty_decoder = UncertaintyDecoder(self.architecture)
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, volume: Tensor, generator: torch.Generator | None = None) -> Outputs:
        """Run one pass through all three decoders, as training needs it."""
        features = self.encoder(volume)
        return Outputs(
            segmentation=self.segmentation_decoder(features).float(),
            distance=torch.tanh(self.distance_decoder(features).float()),
            uncertainty=self.uncertainty_decoder(self.uncertainty_decoder.project(features), generator).float(),
        )
