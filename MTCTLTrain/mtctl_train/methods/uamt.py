"""Uncertainty-aware mean teacher, UA-MT (Yu et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mtctl_train.data.sampler import Batch
from mtctl_train.errors import require
from mtctl_train.methods.base import Networks, Objective, drawn, entropy, own_statistics
from mtctl_train.methods.losses import certain_below, consistency_loss, gaussian_ramp
from mtctl_train.methods.vnet import VNetBased, supervised_terms
from mtctl_train.networks.vnet import VNet


@dataclass(frozen=True)
class UAMT(VNetBased):
    """V-Net that is trained to agree with its own moving average where the latter is certain.

    Weight and threshold of the agreement rise over the whole run, as over all 6000 iterations of its code. The teacher
    runs in train mode, as there: dropout, and the statistics of its own batch.

    Differs from the published code:
    - The teacher's samples are computed one after the other; there two at a time, normalised together.

    Attributes:
        consistency_weight: Weight of the agreement with the teacher, when ramped up.
        samples: T, Monte-Carlo dropout passes of the teacher; a student step costs four of them.
        noise: Standard deviation of what is added to the teacher's input, cut off at twice that.
    """

    consistency_weight: float = 0.1
    samples: int = 8
    noise: float = 0.1

    has_critic: ClassVar[bool] = False
    uses_unlabelled: ClassVar[bool] = True
    needs_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self, 1, 1000, "samples")
        require(self, 0, math.inf, "consistency_weight", "noise")

    def objective(
        self, networks: Networks[VNet], batch: Batch, progress: float, generator: torch.Generator
    ) -> Objective:
        """Return the supervised terms and the agreement with the teacher on the unlabelled patches."""
        labelled, unlabelled = len(batch.image), len(batch.unlabelled)
        volume = torch.cat([batch.image, batch.unlabelled])
        groups = 2 if unlabelled else 1
        logits = networks.student(volume, drawn(networks.student.masks, labelled, groups, generator)).segmentation
        if not unlabelled:  # A batch that the recipe's `unlabelled_share` leaves without.
            return Objective(supervised_terms(logits, batch.mask))
        with torch.no_grad(), own_statistics(networks.teacher):

            def teach() -> Tensor:
                noise = drawn(lambda n: [torch.randn((n, *volume.shape[1:]), generator=generator)], unlabelled, 1)[0]
                noisy = batch.unlabelled + (self.noise * noise).clamp(-2 * self.noise, 2 * self.noise).to(volume)
                masks = drawn(networks.teacher.masks, unlabelled, 1, generator)
                return torch.sigmoid(networks.teacher(noisy, masks).segmentation)

            taught = teach()
            uncertainty = entropy(torch.stack([teach() for _ in range(self.samples)]).mean(0))
        agreement = consistency_loss(torch.sigmoid(logits[labelled:]), taught, uncertainty, certain_below(progress))
        weight = self.consistency_weight * gaussian_ramp(progress)
        return Objective({**supervised_terms(logits[:labelled], batch.mask), "consistency": weight * agreement})
