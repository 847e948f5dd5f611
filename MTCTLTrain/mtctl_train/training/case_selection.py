"""Which unlabelled scans a model can be trusted on: those whose predicted Dice is high enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mtctl.inference.segmenter import Segmenter
from mtctl.io.volumes import read_volume
from mtctl.models.model import Model
from mtctl_train.errors import TrainingError


def poor_scans(
    folder: Path, names: Sequence[str], least: float, base: Model | None, device: torch.device
) -> dict[str, float]:
    """Return the scans whose expected Dice is below `least` by name, and say which they are.

    A network that learns from its own answers keeps its errors: scans on which it fails are better left out.

    Args:
        folder: Holds <case>.image.nrrd.
        names: The scans.
        least: Least expected Dice; 0: nothing is predicted, none is poor.
        base: The model that predicts, with a calibrated case score.
        device: Where it runs.

    Raises:
        TrainingError: There is no such model, or every scan is poor.
    """
    if not least or not names:
        return {}
    if base is None or base.card.score is None:
        what = "there is no --base" if base is None else f"the case score of '{base.id}' was never calibrated"
        raise TrainingError(
            f"least_case_score is {least:g}, but {what}: train a supervised start with --validation first, "
            "which calibrates it, and name it with --base"
        )
    segmenter, poor = Segmenter(base, device), {}
    for name in names:
        prediction = segmenter.predict(read_volume(folder / f"{name}.image.nrrd"))
        expected = base.card.score.expected(prediction.self_dice)
        if expected < least:
            poor[name] = round(expected, 4)
            print(f"unlabelled scan {name}: left out, its expected Dice by {base.id} is {expected:.2f}", flush=True)
    if len(poor) == len(names):
        raise TrainingError(
            f"every unlabelled scan has an expected Dice below {least:g} (best {max(poor.values()):.2f}); "
            "lower least_case_score, or train a better start"
        )
    return poor
