"""Statistics of the batch normalisation, estimated anew when a run is over."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mtctl.networks.device import autocast
from mtctl_train.data.sampler import Extras, Sampler
from mtctl_train.methods.base import Method, Student


@torch.no_grad()
def estimate_statistics(
    method: Method[Student], network: Student, sampler: Sampler, batches: range, items: range, device: torch.device
) -> None:
    """Replace what the network's batch normalisation remembers by the mean over batches of real scans, unvaried.

    The moving average mixes statistics of many earlier weights; these are of the weights that are kept (Izmailov et al.
    2018), on what the network is made for: no phantoms, nothing pasted, intensities as they are.

    Args:
        method: Knows how to run the network.
        network: The network, on `device`; it is left in evaluation mode.
        sampler: Where batches come from.
        batches: Which batches to draw.
        items: Which of their patches this process draws.
        device: Where the network is.
    """
    plain = replace(sampler, phantom_share=0.0, paste_share=0.0, intensity_share=0.0, extras=Extras())
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    momenta = [layer.momentum for layer in layers]
    for count, iteration in enumerate(batches, start=1):
        batch = plain.draw(iteration, items).to(device)
        for layer in layers:
            layer.train()
            layer.momentum = 1 / count  # All batches count alike; the first one replaces what there was.
        with autocast(device):
            generator = torch.Generator().manual_seed(iteration)
            method.run_all(network, torch.cat([batch.image, batch.unlabelled]), generator)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.eval()
        layer.momentum = momentum
