"""`mtctl models`: what models are installed, and their calibration."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from mtctl.model import MODEL_FOLDERS, Model, ModelError, find_model, list_models, write_card

HEADINGS = ("id", "version", "default", "sha256", "Dice", "folder")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl models`."""
    parser = subparsers.add_parser(
        "models",
        help="list or calibrate models",
        description="The models that `mtctl segment --model` takes by id.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list",
        help="list the installed models",
        description="One line a model: id, version, whether it is the default, start of the weights' SHA-256, mean "
        "Dice (%%) on the validation cases, from its card, folder.",
    )
    listing.set_defaults(run=run_list)
    calibration = actions.add_parser(
        "calibrate",
        help="set a model's probabilities, threshold, case score and flag on validation cases",
        description="Predicts validation cases as they are and in 18 corrupted versions and writes into the model's "
        "card what makes its probabilities and its case score mean what they say. About 25 seconds a case on a CPU. "
        "Or takes all that over from another model of the same recipe (--like), where no case is left to validate on.",
    )
    calibration.add_argument("model", metavar="ID|FOLDER", help="the model whose card is written")
    source = calibration.add_mutually_exclusive_group(required=True)
    source.add_argument("--like", metavar="ID|FOLDER", help="take the calibration of this model")
    source.add_argument("--validation", nargs="+", metavar="FILE|CASE", help="case names, or files of them")
    calibration.add_argument("--data", type=Path, metavar="DIR", help="folder with the cases (for --validation)")
    calibration.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    calibration.set_defaults(run=run_calibrate)


def run_list(args: argparse.Namespace) -> int:
    """Print the table of models.

    Raises:
        ModelError: None is installed, or a card cannot be read.
    """
    models = list_models()
    if not models:
        raise ModelError(f"no model is installed; looked in {', '.join(map(str, MODEL_FOLDERS))}")
    rows = [HEADINGS, *map(_row, models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def run_calibrate(args: argparse.Namespace) -> int:
    """Write a model's calibration into its card.

    Raises:
        MtctlError: A model or a case cannot be used, or a case was among the model's training cases.
    """
    model = find_model(args.model)
    if args.like:
        _calibrate_like(model, find_model(args.like))
    else:
        _calibrate(model, args)
    return 0


def _calibrate_like(model: Model, other: Model) -> None:
    card = other.card
    if card.score is None:
        raise ModelError(f"the model '{other.id}' was never calibrated itself; calibrate it first")
    origin = f"that of {card.id} {card.version} (SHA-256 {card.sha256[:12]}...)"
    changed = dataclasses.replace(
        model.card,
        voxel_calibration=card.voxel_calibration,
        threshold=card.threshold,
        score=card.score,
        usual_shape=card.usual_shape,
        data=model.card.data | {"calibration": origin},
    )
    write_card(model.folder, changed)
    print(f"model {model.id} has the calibration of {other.id}")


def _calibrate(model: Model, args: argparse.Namespace) -> None:
    from mtctl.commandline.train import case_names
    from mtctl.device import choose_device
    from mtctl.inference import Segmenter
    from mtctl_train.calibrate import calibrate
    from mtctl_train.dataset import load_labelled

    if args.data is None:
        raise ModelError("--validation needs --data, the folder that holds the cases")
    names = case_names(args.validation)
    learnt = {name for role in ("labelled", "unlabelled") for name in model.card.data.get(role, ())}
    seen = sorted(set(names) & learnt)
    if seen:
        raise ModelError(f"the model '{model.id}' was trained on {seen[0]}; calibrate on cases that it never saw")
    if not names:
        raise ModelError("no validation case is named; nothing can be calibrated")
    found = calibrate(
        Segmenter(model, choose_device(args.device)),
        [load_labelled(args.data, name) for name in names],
        _print_progress,
    )
    card = dataclasses.replace(model.card, data=model.card.data | {"validation": list(names)})
    write_card(model.folder, found.applied_to(card, len(names)))
    print(f"model {model.id} calibrated on {len(names)} cases: flagged below {found.score.flag_below:.3f}")


def _print_progress(done: int, of: int) -> None:
    if done % 10 == 0:
        print(f"{done} of {of} predictions", flush=True)


def _row(model: Model) -> tuple[str, ...]:
    card = model.card
    dice = card.validation.get("dice")
    return (
        card.id,
        card.version,
        "default" if card.default else "-",
        card.sha256[:12],
        "-" if dice is None else f"{100 * dice:.2f}",
        str(model.folder),
    )
