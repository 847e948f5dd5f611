"""What to fine-tune and how: the method and the recipe that were measured to be best, and the length of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from mtctl_train.finetuning.cases import Replay
from mtctl_train.finetuning.weighting import Weighting
from mtctl_train.methods.mtctl import MTCTL
from mtctl_train.recipe import AdamWPoly, Recipe, Stage

#: Fraction of the time that training gets; the rest is for reading, validation and the verdict.
_TRAINING_FRACTION = 0.9

#: MT-CTL's terms for a network that is trained already: they need no long ramp. Without copy-paste: on
#: cases 55-66, 60 steps with it in each took Dice from 90.55 to 90.39, 60 steps on labelled patches alone to 90.92.
METHOD = MTCTL(
    distance_weight=1.0,
    cross_task_weight=0.5,
    guidance_weight=0.5,
    adversarial_weight=0.0,
    ramp_share=0.05,
    cross_entropy_weight=1.0,
    copy_paste_weight=0.0,
)

#: Everything else; the average forgets the model within a hundred steps or so, if the steps lead elsewhere.
RECIPE = Recipe(
    stages=(),
    optimisation=AdamWPoly(warm_up=0.05),
    average_decay=0.99,
    average_warm_up=1.0,
    phantom_share=0.1,
    paste_share=0.3,
    unlabelled_share=0.5,
    replay_share=0.4,
    anchor=1.0,
    checkpoint_seconds=60.0,
    validate_every=60,
)


@dataclass(frozen=True)
class Minutes:
    """A length: as many iterations as fit into that many minutes, all folds together."""

    minutes: float

    def recipe(self, recipe: Recipe, stage: Stage, folds: int) -> Recipe:
        """Return the recipe of one fold."""
        seconds = 60 * self.minutes * _TRAINING_FRACTION / folds
        return dataclasses.replace(recipe, stages=(stage,), seconds=seconds)


@dataclass(frozen=True)
class Iterations:
    """A length: that many iterations, all folds together."""

    iterations: int

    def recipe(self, recipe: Recipe, stage: Stage, folds: int) -> Recipe:
        """Return the recipe of one fold."""
        count = max(round(self.iterations / folds), 1)
        return dataclasses.replace(recipe, stages=(dataclasses.replace(stage, iterations=count),))


@dataclass(frozen=True)
class FineTuning:
    """What to fine-tune, on which cases, and how.

    Attributes:
        store: Folder of the case store.
        base: The model to start from: id or folder; None: the one in use when the run first starts.
        out: Folder of the run.
        length: How long: `Minutes` or `Iterations`.
        device: As in `choose_device`.
        learning_rate: Learning rate at the start.
        method, recipe: As for any training; the recipe without stages.
        weighting: Weights of the corrected cases' voxels.
        replay: Cases of the earlier training to show again.
        command: The command line that was typed, for the card.
    """

    store: Path
    base: str | None
    out: Path
    length: Minutes | Iterations
    device: str = "auto"
    learning_rate: float = 5e-4
    method: MTCTL = METHOD
    recipe: Recipe = RECIPE
    weighting: Weighting = Weighting()
    replay: Replay | None = None
    command: str = ""
