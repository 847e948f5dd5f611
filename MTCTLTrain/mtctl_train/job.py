"""From named cases to a model folder: reading, training, locator, calibration, card, masks of the validation cases."""

from __future__ import annotations

import dataclasses
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mtctl.device import choose_device
from mtctl.files import make_folder
from mtctl.inference import Segmenter
from mtctl.model import Card, Model, find_model, save_model, write_card
from mtctl.network import MTCTLNet
from mtctl_train.calibrate import calibrate
from mtctl_train.checks import check_cases, check_unlabelled, refuse
from mtctl_train.dataset import LabelledVolume, case_of, full_field_case, load_labelled, load_scan, phantom_case
from mtctl_train.distributed import joined, team
from mtctl_train.locator import train_locator
from mtctl_train.methods import Method
from mtctl_train.monitor import Monitor, watched
from mtctl_train.recipe import Recipe
from mtctl_train.trainer import Cohort, train
from mtctl_train.validation import write_masks

#: Training phantoms take their seeds from here on, far from those that people type for demonstrations.
FIRST_PHANTOM_SEED = 1000

#: Synthetic thoraxes that the locator sees besides those with a real atrium.
LOCATOR_PHANTOMS = 12


@dataclass(frozen=True)
class Job:
    """What to train.

    Attributes:
        data: Folder of <case>.image.nrrd and <case>.label.nrrd.
        labelled, unlabelled, validation: Case names.
        out: Model folder to write.
        id: Of the model.
        method_name, method, recipe: How.
        phantoms, full_fields: Numbers of synthetic crops and thoraxes to mix in.
        locator_iterations: Of the network for large scans; 0: none.
        base: Model whose weights to start from; None: random ones.
        device: As in `choose_device`.
        command: That was typed, for the card.
    """

    data: Path
    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    validation: tuple[str, ...]
    out: Path
    id: str
    method_name: str
    method: Method[Any]
    recipe: Recipe
    phantoms: int
    full_fields: int
    locator_iterations: int
    base: str | None
    device: str
    command: str


def carry_out(job: Job) -> None:
    """Train and write the model; under torchrun all processes call this, and the first one writes.

    Raises:
        DataError: Cases are unusable; all of them are named.
        TrainingError: Training had to stop.
    """
    with joined(choose_device(job.device)) as device:
        make_folder(job.out)
        lacking = check_unlabelled(job.method_name, job.unlabelled) if job.method.needs_unlabelled else []
        refuse([*lacking, *check_cases(job.data, job.labelled, job.unlabelled, job.validation)])
        print(
            f"reading {len(job.labelled)} labelled, {len(job.unlabelled)} unlabelled, {len(job.validation)} validation "
            "cases",
            flush=True,
        )
        validation = [load_labelled(job.data, name) for name in job.validation]
        phantoms = [phantom_case(FIRST_PHANTOM_SEED + i) for i in range(job.phantoms)]
        phantoms += [full_field_case(FIRST_PHANTOM_SEED + i) for i in range(job.full_fields)]
        cohort = Cohort(
            labelled=[case_of(load_labelled(job.data, name)) for name in job.labelled],
            unlabelled=[load_scan(job.data, name) for name in job.unlabelled],
            phantoms=phantoms,
            validation=[case_of(case) for case in validation],
        )
        base = find_model(job.base).load_network().state_dict() if job.base else None
        with _watched(job.out) if team().rank == 0 else nullcontext(Monitor(())) as monitor:
            network = train(job.recipe, job.method, cohort, job.out, device, monitor, base)
        if team().rank:
            return
        spacing = job.recipe.stages[-1].spacing
        model = save_model(job.out, _card(job, spacing), network.state_dict())
        write_masks(network, spacing, validation, job.out / "validation", device)
        if isinstance(network, MTCTLNet):
            if job.locator_iterations:
                print("training the locator for scans larger than the atrium's surroundings", flush=True)
                with _watched(model.folder / "locator-training") as monitor:
                    iterations, seed = job.locator_iterations, job.recipe.seed
                    model = train_locator(model, cohort.labelled, LOCATOR_PHANTOMS, iterations, seed, device, monitor)
            if validation:
                _calibrate(model, device, validation)
        print(f"model {model.id} written to {job.out}")


def _watched(folder: Path) -> AbstractContextManager[Monitor]:
    make_folder(folder)
    return watched(folder / "progress.jsonl", folder / "tensorboard")


def _card(job: Job, spacing: float) -> Card:
    return Card(
        id=job.id,
        version=time.strftime("%Y.%m.%d", time.gmtime()),
        sha256="",
        architecture=job.recipe.architecture,
        spacing_mm=spacing,
        data={
            "labelled": job.labelled,
            "unlabelled": job.unlabelled,
            "validation": job.validation,
            "phantom_seeds": [FIRST_PHANTOM_SEED, job.phantoms],
            "full_field_phantoms": job.full_fields,
        },
        recipe={
            "method": job.method_name,
            "base": job.base,
            **dataclasses.asdict(job.method),  # type: ignore[call-overload]
            **dataclasses.asdict(job.recipe),
        },
        command=job.command,
    )


def _calibrate(model: Model, device: torch.device, validation: list[LabelledVolume]) -> None:
    print("setting threshold and case score on the validation cases", flush=True)
    found = calibrate(Segmenter(model, device), validation)
    figures = {"cases": len(validation), **found.figures}
    write_card(
        model.folder,
        dataclasses.replace(model.card, threshold=found.threshold, score=found.score, validation=figures),
    )
    print(f"validation Dice {found.figures['dice']:.4f}, worst {found.figures['dice_worst']:.4f}")
