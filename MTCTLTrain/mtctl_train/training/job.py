"""From named cases to a model folder: reading, training, locator, calibration, card, masks of the validation cases."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtctl.errors import counted
from mtctl.evaluation.calibrate import calibrate
from mtctl.inference.segmenter import Segmenter
from mtctl.io.labelled import LabelledVolume, load_labelled
from mtctl.models.card import LEARNT_BEFORE, Card, cases_learnt, write_card
from mtctl.models.model import Model, find_model, save_model
from mtctl.networks.device import choose_device
from mtctl.system.files import make_folder, remove_dead_parts
from mtctl_train.data.cases import TrainingCase, case_of, full_field_case, load_scan, phantom_case
from mtctl_train.data.checks import check_cases, check_unknown, check_unlabelled, refuse
from mtctl_train.distributed import current_team, joined
from mtctl_train.errors import TrainingError
from mtctl_train.methods import FORMER_NAMES
from mtctl_train.methods.base import Method
from mtctl_train.recipe import Recipe
from mtctl_train.training.case_selection import poor_scans
from mtctl_train.training.locator import LocatorTraining, train_locator
from mtctl_train.training.monitor import Monitor, watched
from mtctl_train.training.trainer import Cohort, train
from mtctl_train.training.validation import Predictor, write_masks

#: Training phantoms take their seeds from here on, far from those that people type for demonstrations.
FIRST_PHANTOM_SEED = 1000

#: Synthetic thoraxes that the locator sees besides those with a real atrium.
LOCATOR_PHANTOMS = 12


@dataclass(frozen=True)
class TrainingJob:
    """What to train.

    Attributes:
        data: Folder with <case>.image.nrrd and <case>.label.nrrd.
        labelled, unlabelled, validation: Case names.
        out: Model folder to write.
        id: Id of the model.
        method_name, method, recipe: How to train.
        phantoms, full_fields: Numbers of synthetic crops and thoraxes to mix in.
        locator_iterations: Training steps of the locator; 0: the model gets none.
        base: Model whose weights to start from; None: random ones.
        device: As in `choose_device`.
        command: The command line that was typed, for the card.
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


def train_model(job: TrainingJob) -> None:
    """Train and write the model; under torchrun all processes call this, and the first one writes.

    Raises:
        DataError: Cases are unusable; all of them are named.
        TrainingError: Training had to stop.
    """
    base = find_model(job.base) if job.base else None
    if base is not None:
        job = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, architecture=base.card.architecture))
    weights = _weights_of(base, job) if base is not None else None
    with joined(choose_device(job.device)) as device:
        make_folder(job.out)
        fraction, needed = job.recipe.unlabelled_share, job.method.needs_unlabelled
        lacking = check_unlabelled(job.method_name, job.unlabelled, fraction) if needed else []
        known = check_unknown(base.card, job.validation) if base is not None else []
        refuse([*lacking, *known, *check_cases(job.data, job.labelled, job.unlabelled, job.validation)])
        print(
            f"reading {len(job.labelled)} labelled, {len(job.unlabelled)} unlabelled, {len(job.validation)} validation "
            "cases",
            flush=True,
        )
        print(_supervision(job), flush=True)
        left_out = poor_scans(job.data, job.unlabelled, job.recipe.least_case_score, base, device)
        unlabelled = tuple(name for name in job.unlabelled if name not in left_out)
        validation = [load_labelled(job.data, name) for name in job.validation]
        grid_mm = job.recipe.grid_mm
        phantoms = [phantom_case(FIRST_PHANTOM_SEED + i, grid_mm) for i in range(job.phantoms)]
        phantoms += [full_field_case(FIRST_PHANTOM_SEED + i, grid_mm) for i in range(job.full_fields)]
        cohort = Cohort(
            labelled=[case_of(load_labelled(job.data, name), grid_mm) for name in job.labelled],
            unlabelled=[load_scan(job.data, name, grid_mm) for name in unlabelled],
            phantoms=phantoms,
            validation=[case_of(case, grid_mm) for case in validation],
        )
        rank = current_team().rank
        if rank == 0:
            remove_dead_parts(job.out)
        with _watched(job.out) if rank == 0 else nullcontext(Monitor(())) as monitor:
            network = train(job.recipe, job.method, cohort, job.out, device, monitor, weights)
    # The team has parted: what is left the first process does alone, and the others need not wait for it.
    if rank == 0:
        learnt = dataclasses.replace(job, unlabelled=unlabelled)
        _finish(learnt, _card(learnt, base, left_out), network, cohort.labelled, validation, device)


def _finish(
    job: TrainingJob,
    card: Card,
    network: nn.Module,
    labelled: Sequence[TrainingCase],
    validation: Sequence[LabelledVolume],
    device: torch.device,
) -> None:
    """Write the model, its locator, its calibration and the masks of the validation cases."""
    model = save_model(job.out, card, network.state_dict())
    write_masks(Predictor(job.method, network, device), job.recipe.grid_mm, validation, job.out / "validation")
    if job.method.is_shipped:
        if job.locator_iterations:
            print("training the locator for scans larger than the atrium's surroundings", flush=True)
            with _watched(model.folder / "locator-training") as monitor:
                training = LocatorTraining(labelled, LOCATOR_PHANTOMS, job.locator_iterations, job.recipe.seed)
                model = train_locator(model, training, device, monitor)
        if validation:
            print("setting calibration, threshold and case score on the validation cases", flush=True)
            found = calibrate(Segmenter(model, device), validation)
            write_card(model.folder, found.applied_to(model.card, len(validation)))
    print(f"model {model.id} written to {job.out}")


def _weights_of(base: Model, job: TrainingJob) -> dict[str, Tensor]:
    weights = base.load_network().state_dict()
    try:
        job.method.build(base.card.architecture).load_state_dict(weights)
    except RuntimeError:
        raise TrainingError(
            f"--base {job.base}: a model of method '{_method_of(base.card)}', whose weights do not "
            f"fit the network of --method {job.method_name}; start from one of the same network, or leave --base out"
        ) from None
    return weights


def _method_of(card: Card) -> str:
    name = str(card.recipe.get("method", "unknown"))
    return FORMER_NAMES.get(name, name)


def _watched(folder: Path) -> AbstractContextManager[Monitor]:
    make_folder(folder)
    return watched(folder / "progress.jsonl", folder / "tensorboard")


def _supervision(job: TrainingJob) -> str:
    """Return in a sentence whether the run learns from unlabelled scans."""
    if not job.unlabelled:
        why = "no unlabelled scan is listed (--unlabelled)"
    elif not job.recipe.unlabelled_share:
        why = "unlabelled_share is 0"
    elif not job.method.uses_unlabelled:
        why = f"{job.method_name} does not look at unlabelled scans"
    else:
        return (
            f"training semi-supervised, by {job.method_name}, on {counted(len(job.unlabelled), 'unlabelled scan')} too"
        )
    return f"training supervised, on the labelled cases alone: {why}"


def _card(job: TrainingJob, base: Model | None, left_out: Mapping[str, float]) -> Card:
    return Card(
        id=job.id,
        version=time.strftime("%Y.%m.%d", time.gmtime()),
        sha256="",
        architecture=job.recipe.architecture,
        grid_mm=job.recipe.grid_mm,
        data={
            "labelled": job.labelled,
            "unlabelled": job.unlabelled,
            **({"unlabelled_left_out": dict(left_out)} if left_out else {}),
            "validation": job.validation,
            "phantom_seeds": [FIRST_PHANTOM_SEED, job.phantoms],
            "full_field_phantoms": job.full_fields,
            **({LEARNT_BEFORE: sorted(cases_learnt(base.card))} if base is not None else {}),
        },
        recipe={
            "method": job.method_name,
            "members": 1,
            "folds": 1,
            "base": job.base,
            **dataclasses.asdict(job.method),  # type: ignore[call-overload]
            **dataclasses.asdict(job.recipe),
        },
        command=job.command,
    )
