"""Old model against new one on held-out cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtctl.evaluation.segmentation_metrics import dice, segmentation_metrics
from mtctl.evaluation.uncertainty_metrics import ece, error_auroc
from mtctl.inference.segmenter import Segmenter
from mtctl.masks import surface_band
from mtctl.models.verdict import Compared
from mtctl_train.finetuning.cases import HeldOut

#: With fewer pairs not even five equal signs are significant (Wilcoxon, two-sided: 2 / 2^5).
_FEWEST_PAIRS = 5


@dataclass(frozen=True)
class Figures:
    """How one model does on one held-out case.

    Attributes:
        dice: Over the voxels where a person checked the mask or the old model was sure (`weighting.trusted`): elsewhere
            it is the old model's own.
        hd95_mm: HD95 of the whole masks, mm.
        ece_band, error_auroc: Of the probability and of the entropy, over those of these voxels that lie within 3 mm of
            the predicted surface.
    """

    dice: float
    hd95_mm: float
    ece_band: float
    error_auroc: float


def figures(segmenter: Segmenter, case: HeldOut) -> Figures:
    """Segment a held-out case and compare with its mask."""
    truth, volume = case.labelled.mask, case.labelled.volume
    found = segmenter.predict(volume)
    mask, where = found.segmentation, case.trusted
    x, y, z = volume.geometry.spacing
    band = surface_band(mask, (z, y, x)) & where
    return Figures(
        dice=dice(mask & where, truth & where),
        hd95_mm=segmentation_metrics(mask, truth, (z, y, x)).hd95_mm,
        ece_band=ece(found.on_source("probability").array, truth, band),
        error_auroc=error_auroc(found.on_source("entropy").array, mask != truth, band),
    )


def compared(case: str, old: Figures, new: Figures) -> Compared:
    """Return the case's line in the verdict, without figures that one of the models lacks because its band is empty."""
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in ("hd95_mm", "ece_band", "error_auroc")}
    metrics = {name: (round(a, 4), round(b, 4)) for name, (a, b) in pairs.items() if np.isfinite((a, b)).all()}
    return Compared(case, round(old.dice, 4), round(new.dice, 4), metrics)


def means(cases: Sequence[Compared], name: str) -> tuple[float, float] | None:
    """Return the means of a figure over the cases for which both models have it; None where there is none."""
    pairs = np.array([case.metrics[name] for case in cases if name in case.metrics])
    if not len(pairs):
        return None
    old, new = pairs.mean(axis=0).tolist()
    return round(old, 4), round(new, 4)


def p_value(cases: Sequence[Compared]) -> float | None:
    """Return p of Wilcoxon's two-sided signed-rank test of the Dice; None with too few pairs, or all of them equal."""
    from scipy import stats  # here: it takes half a second to load

    change = np.array([case.new - case.old for case in cases])
    if len(change) < _FEWEST_PAIRS or not change.any():
        return None
    return float(stats.wilcoxon(change).pvalue)
