"""`mtctl train`: from a folder of cases to a model folder."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.io.case_names import case_names
from mtctl_train.commands.options import with_options

#: The methods that come with our recipe.
_OURS = ("mtctl-cross-task", "mtctl-semi-supervised")

#: The line in `mtctl --help`.
HELP = "train a model"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    from mtctl_train.methods import FORMER_NAMES, METHODS  # Imports torch, for which `mtctl --help` need not wait.

    parser = subparsers.add_parser(
        "train",
        help=HELP,
        description="Train on <case>.image.nrrd and <case>.label.nrrd in a folder. Continues where an earlier run into "
        "the same --out stopped. Writes a model folder that `mtctl segment --model` takes, and the masks of the "
        "validation cases in its folder 'validation' for `mtctl evaluate`. Several processes: "
        "torchrun --nproc-per-node N -m mtctl train ...",
    )
    parser.add_argument(
        "--method", choices=METHODS, default="mtctl-cross-task", type=lambda name: FORMER_NAMES.get(name, name),
        help="mtctl: the paper's; mtctl-cross-task: the shipped models'; mtctl-semi-supervised: with all our additions "
        "for unlabelled scans; the others: the paper's baselines (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--list-methods", action=_ListMethods, help="print what each method is and where it differs from published code"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=NUMBER",
        help="change one of the method's or the recipe's numbers, e.g. paste_share=0; an unknown NAME lists them",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the cases")
    for role, need in (("labelled", True), ("unlabelled", False), ("validation", False)):
        parser.add_argument(
            f"--{role}", nargs="+", default=[], required=need, metavar="FILE|CASE", help="case names, or files of them"
        )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model folder to write")
    parser.add_argument("--id", help="model id in the card (default: the folder's name)")
    parser.add_argument("--base", metavar="ID|FOLDER", help="start from this model's weights (default: random ones)")
    parser.add_argument("--iterations", type=int, metavar="N", help="steps (ours 3000, published 6000)")
    parser.add_argument("--patch", default="48,64,80", metavar="Z,Y,X", help="in voxels (%(default)s)")
    parser.add_argument(
        "--grid", metavar="X,Y,Z", help="mm; size of the voxels that the network sees (default: 1.25,1.25,2.5)"
    )
    parser.add_argument(
        "--batch", type=int, metavar="N", help="labelled patches a step (2, as many unlabelled ones besides; vnet 4)"
    )
    parser.add_argument(
        "--recipe", choices=("ours", "published"),
        help="what the methods share: ours is AdamW with poly decay, strong augmentation, phantoms; published is SGD "
        "with steps (default: ours for mtctl-cross-task and mtctl-semi-supervised, published for the others)",
    )  # fmt: skip
    parser.add_argument("--learning-rate", type=float, metavar="X", help="at the start (ours 0.001, published 0.01)")
    parser.add_argument(
        "--phantoms", type=int, metavar="N", help="synthetic crops to mix in (12 with our recipe, else 0)"
    )  # fmt: skip
    parser.add_argument(
        "--full-fields", type=int, metavar="N", help="synthetic thoraxes (4 with our recipe, else 0)"
    )  # fmt: skip
    parser.add_argument(
        "--locator-iterations", type=int, default=1200, metavar="N", help="of the network for large scans (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the model is written."""
    from mtctl_train.methods import METHODS
    from mtctl_train.recipe import OURS, PUBLISHED, Stage
    from mtctl_train.training.job import TrainingJob, train_model

    ours = (args.recipe or ("ours" if args.method in _OURS else "published")) == "ours"
    # replay_share is of the fine-tuning alone: here there are no earlier scans to replay.
    method, recipe = with_options(METHODS[args.method], OURS if ours else PUBLISHED, args.option, ("replay_share",))
    iterations = (3000 if ours else 6000) if args.iterations is None else args.iterations
    rate = recipe.optimisation.usual_rate if args.learning_rate is None else args.learning_rate
    batch = METHODS[args.method].labelled_patches if args.batch is None else args.batch
    if batch < 1 or iterations < 1 or args.locator_iterations < 0:
        raise MtctlError("--batch and --iterations must be at least 1, --locator-iterations not below 0")
    stage = Stage(iterations, _patch(args.patch), rate)
    grid_mm = recipe.grid_mm if args.grid is None else _grid(args.grid)
    recipe = dataclasses.replace(recipe, stages=(stage,), grid_mm=grid_mm, batch=batch, seed=args.seed)
    train_model(
        TrainingJob(
            data=args.data,
            labelled=case_names(args.labelled),
            unlabelled=case_names(args.unlabelled),
            validation=case_names(args.validation),
            out=args.out,
            id=args.id or args.out.resolve().name,
            method_name=args.method,
            method=method,
            recipe=recipe,
            phantoms=12 * ours if args.phantoms is None else args.phantoms,
            full_fields=4 * ours if args.full_fields is None else args.full_fields,
            locator_iterations=args.locator_iterations,
            base=args.base,
            device=args.device,
            command=shlex.join(["mtctl", *sys.argv[1:]]),
        )
    )
    return 0


class _ListMethods(argparse.Action):
    """Print the methods, as `--help` prints the options."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from mtctl_train.methods.listing import listing

        print(listing())
        parser.exit()


def _patch(text: str) -> tuple[int, int, int]:
    try:
        z, y, x = map(int, text.split(","))
    except ValueError:
        raise MtctlError(f"--patch {text}: give three whole numbers, e.g. 48,64,80") from None
    return z, y, x


def _grid(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = map(float, text.split(","))
    except ValueError:
        x = y = z = 0.0
    if not all(0.3 <= step <= 6 for step in (x, y, z)):
        raise MtctlError(f"--grid {text}: give three numbers from 0.3 to 6 (mm), e.g. 1.25,1.25,2.5")
    return x, y, z
