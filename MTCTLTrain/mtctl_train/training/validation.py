"""The network on validation cases: Dice as a run goes on, and its masks in files at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, cast

import torch
from scipy.special import expit

from mtctl.evaluation.segmentation_metrics import dice
from mtctl.geometry import Map, Triple, Volume
from mtctl.inference.slabs import OUTSIDE_LOGIT, planes_at_once, sample_passes
from mtctl.io.labelled import LabelledVolume
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.masks import solid
from mtctl.networks.device import autocast
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import canonical_geometry, pad_to_multiple
from mtctl.preprocessing.normalisation import normalise
from mtctl.preprocessing.resampling import from_grid, to_grid
from mtctl.system.files import make_folder
from mtctl.uncertainty.maps import average, binary_entropy
from mtctl_train.data.cases import TrainingCase
from mtctl_train.methods.base import Method, Student
from mtctl_train.training.monitor import Sample

#: Monte-Carlo samples for the picture of a run.
_SAMPLES = 4


@dataclass(frozen=True)
class Predictor(Generic[Student]):
    """A network as its method reads it.

    Attributes:
        method: Knows how a mask comes out of the network.
        network: The network in evaluation mode.
        device: Where the network is.
    """

    method: Method[Student]
    network: Student
    device: torch.device

    def logits(self, image: Map) -> Map:
        """Return the logits of the mask, (z, y, x), for a z-scored volume (z, y, x) on the network's own grid."""
        padded, inner = pad_to_multiple(image)
        with torch.no_grad(), autocast(self.device):
            volume = torch.from_numpy(padded)[None, None].to(self.device, memory_format=torch.channels_last_3d)
            logits = self.method.segmentation_logits(self.network, volume)
        return logits[0, 0].float().cpu().numpy()[inner]


def validation_dice(predictor: Predictor[Student], cases: Sequence[TrainingCase]) -> dict[str, float]:
    """Return the Dice of each case by its name, at a probability of 0.5 on the network's grid."""
    return {case.name: round(dice(predictor.logits(case.image) >= 0, case.mask), 4) for case in cases}


def picture_of(predictor: Predictor[Student], case: TrainingCase) -> Sample:
    """Return one case as the network sees it; distance map and uncertainty only where the method `is_shipped`."""
    if not predictor.method.is_shipped:
        return Sample(case.name, case.image, case.mask, expit(predictor.logits(case.image)), None, None)
    network, device = cast(MTCTLNet, predictor.network), predictor.device
    filters, shape = network.architecture.filters, case.image.shape
    planes = planes_at_once(device, filters, (shape[0], shape[1], shape[2]))
    maps = sample_passes(network, case.image, _SAMPLES, 0, device, planes)
    entropy = binary_entropy(average(maps.samples).probability)
    return Sample(case.name, case.image, case.mask, expit(maps.segmentation), maps.distance, entropy)


def write_masks(predictor: Predictor[Student], grid_mm: Triple, cases: Sequence[LabelledVolume], folder: Path) -> None:
    """Segment each case as it is in its file: <case>.seg.nrrd and <case>.probability.nrrd, one solid piece.

    The same for every method, so that `mtctl evaluate` compares the methods and not what surrounds them.

    Args:
        predictor: The network to compare, and its method.
        grid_mm: Size (x, y, z) of the voxels at which the network was trained, mm.
        cases: Scans and, not looked at, their masks.
        folder: Where the files go.
    """
    make_folder(folder)
    for case in cases:
        grid = canonical_geometry(case.volume.geometry, grid_mm)
        logits = predictor.logits(normalise(*to_grid(case.volume, grid)))
        on_source = expit(from_grid(logits, grid, case.volume.geometry, OUTSIDE_LOGIT))
        write_volume(Volume(on_source, case.volume.geometry), folder / f"{case.name}.probability.nrrd")
        mask = solid(on_source >= 0.5)
        write_segmentation(Volume(mask, case.volume.geometry), folder / f"{case.name}.seg.nrrd")
