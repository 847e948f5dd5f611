"""`mtctl finetune`: from a published model and corrected cases to a candidate and its verdict."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.io.case_names import case_names
from mtctl_train.commands.options import with_options

#: The line in `mtctl --help`.
HELP = "fine-tune a model on corrected cases"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "finetune",
        help=HELP,
        description="Continue the training of a model with the corrected and accepted cases of a case store as "
        "labelled cases and all others as unlabelled ones. Writes OUT/candidate, a model folder with the verdict of "
        "old against new model on held-out cases, which `mtctl models publish` takes. Prints its progress as lines of "
        "JSON. May be stopped at any time: the same command goes on where it was.",
    )
    parser.add_argument("--cases", type=Path, required=True, metavar="STORE", help="folder of the case store")
    parser.add_argument("--base", metavar="ID|FOLDER", help="model to start from (default: the one in use)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=10.0, metavar="M", help="how long (default: %(default)g)")
    length.add_argument("--iterations", type=int, metavar="N", help="or how many steps")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--labelled-share", type=float, metavar="S",
        help="of the patches, 0.5 to 1; 1: unlabelled cases are not used, and a step takes half the time "
        "(default: as measured to be best)",
    )  # fmt: skip
    parser.add_argument(
        "--replay", nargs="+", metavar=("DIR", "FILE|CASE"),
        help="labelled cases of the earlier training to show again, so that it is not forgotten: their folder, and "
        "names or files of them",
    )  # fmt: skip
    parser.add_argument("--learning-rate", type=float, metavar="X", help="at the start")
    parser.add_argument(
        "--corrected-weight", type=float, metavar="W",
        help="of voxels that a person painted, or looked at where the model was unsure",
    )  # fmt: skip
    parser.add_argument(
        "--confirmed-weight", type=float, metavar="W",
        help="of voxels of which a person said that they are right, or on which side they are",
    )  # fmt: skip
    parser.add_argument(
        "--unseen-power", type=float, metavar="P",
        help="voxels that nobody looked at weigh (1 - uncertainty) to this power; 0: as much as all others",
    )  # fmt: skip
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=NUMBER",
        help="change one of the method's or the recipe's numbers, e.g. guidance_weight=1; an unknown NAME lists them",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fine-tune; 0 when candidate and verdict are written, whatever the verdict says."""
    from dataclasses import replace

    from mtctl.system.process_tree import lower_priority
    from mtctl_train.finetuning.cases import Replay
    from mtctl_train.finetuning.run import fine_tune
    from mtctl_train.finetuning.settings import METHOD, RECIPE, FineTuning, Iterations, Minutes
    from mtctl_train.finetuning.weighting import Weighting

    if args.minutes <= 0 or (args.iterations is not None and args.iterations < 1):
        raise MtctlError("nothing to do: --minutes must be above 0, --iterations at least 1")
    recipe = replace(RECIPE, seed=args.seed)
    if args.labelled_share is not None:
        if not 0.5 <= args.labelled_share <= 1:
            raise MtctlError(f"--labelled-share {args.labelled_share:g}: it lies between 0.5 and 1")
        # Labelled patches are in every step, as many unlabelled ones in `unlabelled_share` of them.
        recipe = replace(recipe, unlabelled_share=1 / args.labelled_share - 1)
    method, recipe = with_options(METHOD, recipe, args.option)
    given = {"corrected": args.corrected_weight, "unseen": args.unseen_power, "confirmed": args.confirmed_weight}
    weighting = replace(Weighting(), **{name: value for name, value in given.items() if value is not None})
    lower_priority()
    job = FineTuning(
        store=args.cases,
        base=args.base,
        out=args.out,
        length=Minutes(args.minutes) if args.iterations is None else Iterations(args.iterations),
        device=args.device,
        method=method,
        recipe=recipe,
        weighting=weighting,
        replay=Replay(Path(args.replay[0]), case_names(args.replay[1:])) if args.replay else None,
        command=shlex.join(["mtctl", *sys.argv[1:]]),
    )
    fine_tune(job if args.learning_rate is None else replace(job, learning_rate=args.learning_rate))
    return 0
