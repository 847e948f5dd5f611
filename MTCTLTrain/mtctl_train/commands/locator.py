"""`mtctl models locator`: train the network that finds the atrium in large scans, or add one to a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtctl.commands.arguments import whole_number
from mtctl.errors import MtctlError
from mtctl.io.case_names import case_names


def add_action(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the action with `mtctl models`."""
    parser = actions.add_parser(
        "locator",
        help="train the network that finds the atrium in large scans",
        description="Trains a locator on labelled cases, each set into a synthetic thorax, and on synthetic thoraxes, "
        "and adds it to the model in FOLDER. Where FOLDER holds no model yet, the locator is kept there; --from adds "
        "it to a model later. About 0.6 s a step on one core.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the model, or a folder for the locator alone")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--labelled", nargs="+", metavar="FILE|CASE", help="case names, or files of them")
    source.add_argument("--from", type=Path, dest="source", metavar="DIR", help="add the locator that is kept there")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the cases (for --labelled)")
    parser.add_argument("--iterations", type=whole_number, default=1800, metavar="N", help="steps (%(default)s)")
    parser.add_argument("--phantoms", type=whole_number, default=24, metavar="N", help="synthetic ones (%(default)s)")
    parser.add_argument("--seed", type=whole_number, default=0, metavar="S", help="of the training (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train or add a locator.

    Raises:
        MtctlError: A case or the model cannot be read, or something is missing.
    """
    from mtctl.models.model import read_model
    from mtctl.models.model_files import CARD
    from mtctl_train.training.locator import add_locator

    if args.source:
        print(f"model {add_locator(read_model(args.folder), args.source).id} has the locator of {args.source}")
        return 0
    _train(args)
    if (args.folder / CARD).is_file():
        print(f"model {add_locator(read_model(args.folder), args.folder).id} has the locator")
    else:
        print(f"locator kept in {args.folder}; `mtctl models locator MODEL --from {args.folder}` adds it to a model")
    return 0


def _train(args: argparse.Namespace) -> None:
    from mtctl.io.labelled import load_labelled
    from mtctl.networks.device import choose_device
    from mtctl.preprocessing.network_grid import GRID_MM
    from mtctl_train.data.cases import case_of
    from mtctl_train.training.locator import LocatorTraining, train_locator_alone
    from mtctl_train.training.monitor import watched

    if args.data is None:
        raise MtctlError("--labelled needs --data, the folder that holds the cases")
    if args.iterations < 1:
        raise MtctlError("--iterations must be at least 1")
    cases = [case_of(load_labelled(args.data, name), GRID_MM) for name in case_names(args.labelled)]
    if not cases and not args.phantoms:
        raise MtctlError("no case is named and --phantoms is 0; nothing can be learnt")
    out = args.folder / "locator-training"
    out.mkdir(parents=True, exist_ok=True)
    with watched(out / "progress.jsonl", out / "tensorboard") as monitor:
        device = choose_device(args.device)
        training = LocatorTraining(cases, args.phantoms, args.iterations, args.seed)
        train_locator_alone(args.folder, training, device, monitor)
