"""`mtctl train`: from a folder of cases to a model folder."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import IO, Any

from mtctl.errors import MtctlError

#: Training phantoms take their seeds from here on, far from those that people type for demonstrations.
FIRST_PHANTOM_SEED = 1000

#: Synthetic thoraxes that the locator sees besides those with a real atrium.
LOCATOR_PHANTOMS = 12


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "train",
        help="train a model",
        description="Train MT-CTL on <case>.image.nrrd and <case>.label.nrrd in a folder. Continues where an earlier "
        "run into the same --out stopped. Writes a model folder that `mtctl segment --model` takes.",
    )
    parser.add_argument("--method", choices=("mtctl",), default="mtctl", help="training method (default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the cases")
    for role, need in (("labelled", True), ("unlabelled", False), ("validation", False)):
        parser.add_argument(
            f"--{role}", nargs="+", default=[], required=need, metavar="FILE|CASE", help="case names, or files of them"
        )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model folder to write")
    parser.add_argument("--id", help="model id in the card (default: the folder's name)")
    parser.add_argument("--coarse-iterations", type=int, default=3000, metavar="N", help="at 1.25 mm (%(default)s)")
    parser.add_argument("--fine-iterations", type=int, default=600, metavar="N", help="at 0.625 mm (%(default)s)")
    parser.add_argument("--batch", type=int, default=2, metavar="N", help="patches a step (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="X", help="of AdamW (%(default)s)")
    parser.add_argument("--phantoms", type=int, default=12, metavar="N", help="synthetic crops to mix in (%(default)s)")
    parser.add_argument("--full-fields", type=int, default=4, metavar="N", help="synthetic thoraxes (%(default)s)")
    parser.add_argument(
        "--locator-iterations", type=int, default=1200, metavar="N", help="of the network for large scans (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; 0 when the model is written."""
    import dataclasses

    from mtctl.device import choose_device
    from mtctl.files import make_folder
    from mtctl.inference import Segmenter
    from mtctl.model import Card, save_model, write_card
    from mtctl_train.calibrate import calibrate
    from mtctl_train.dataset import case_of, full_field_case, load_labelled, load_scan, phantom_case
    from mtctl_train.locator import train_locator
    from mtctl_train.methods import SupervisedMTCTL
    from mtctl_train.trainer import Recipe, Stage, train

    stages = (
        Stage(1.25, args.coarse_iterations, (48, 64, 80), args.learning_rate),
        Stage(0.625, args.fine_iterations, (80, 112, 112), args.learning_rate / 2),
    )
    recipe = Recipe(tuple(stage for stage in stages if stage.iterations), batch=args.batch, seed=args.seed)
    if args.batch < 1 or min(args.coarse_iterations, args.fine_iterations, args.locator_iterations) < 0:
        raise MtctlError("--batch must be at least 1, and no number of iterations below 0")
    if not recipe.stages:
        raise MtctlError("nothing to do: both --coarse-iterations and --fine-iterations are 0")
    device = choose_device(args.device)
    names = {role: case_names(getattr(args, role)) for role in ("labelled", "unlabelled", "validation")}
    for first, second in combinations(names, 2):
        both = sorted(set(names[first]) & set(names[second]))
        if both:
            raise MtctlError(f"{first} and {second} share {len(both)} cases, {both[0]} among them; list each once")
    if not names["labelled"]:
        raise MtctlError("no labelled case is named; MT-CTL cannot learn from unlabelled scans alone")
    make_folder(args.out)
    print(f"reading {', '.join(f'{len(cases)} {role}' for role, cases in names.items())} cases", flush=True)
    labelled = [case_of(load_labelled(args.data, name)) for name in names["labelled"]]
    unlabelled = [load_scan(args.data, name) for name in names["unlabelled"]]
    watched = [load_labelled(args.data, name) for name in names["validation"]]
    validation = [case_of(case) for case in watched]
    print(f"making {args.phantoms} phantoms, {args.full_fields} full-field ones", flush=True)
    phantoms = [phantom_case(FIRST_PHANTOM_SEED + i) for i in range(args.phantoms)]
    phantoms += [full_field_case(FIRST_PHANTOM_SEED + i) for i in range(args.full_fields)]

    method = SupervisedMTCTL()
    with open(args.out / "progress.jsonl", "a", encoding="utf-8") as log:
        weights = train(recipe, method, labelled, unlabelled, phantoms, validation, args.out, device, Reporter(log))
    card = Card(
        id=args.id or args.out.resolve().name,
        version=time.strftime("%Y.%m.%d", time.gmtime()),
        sha256="",
        architecture=recipe.architecture,
        spacing_mm=recipe.stages[-1].spacing,
        data={**names, "phantom_seeds": [FIRST_PHANTOM_SEED, args.phantoms], "full_field_phantoms": args.full_fields},
        recipe={"method": args.method, **dataclasses.asdict(method), **dataclasses.asdict(recipe)},
        command=shlex.join(["mtctl", *sys.argv[1:]]),
    )
    model = save_model(args.out, card, weights)
    if args.locator_iterations:
        print("training the locator for scans larger than the atrium's surroundings", flush=True)
        with open(args.out / "locator.jsonl", "a", encoding="utf-8") as log:
            model = train_locator(
                model, labelled, LOCATOR_PHANTOMS, args.locator_iterations, args.seed, device, Reporter(log)
            )
    if watched:
        print("setting threshold and case score on the validation cases", flush=True)
        found = calibrate(Segmenter(model, device), watched)
        card = dataclasses.replace(
            model.card,
            threshold=found.threshold,
            score=found.score,
            validation={"cases": len(watched), **found.figures},
        )
        write_card(args.out, card)
        print(f"validation Dice {found.figures['dice']:.4f}, worst {found.figures['dice_worst']:.4f}")
    print(f"model {model.id} written to {args.out}")
    return 0


def case_names(arguments: Sequence[str]) -> list[str]:
    """Case names from names and from files with one name a line, each once, in order."""
    names: list[str] = []
    for argument in arguments:
        path = Path(argument)
        names += path.read_text(encoding="utf-8").split() if path.is_file() else [argument]
    return list(dict.fromkeys(names))


class Reporter:
    """Progress events: all of them as JSON lines into a log, one line every ten seconds for the person watching."""

    def __init__(self, log: IO[str]) -> None:
        self._log = log
        self._printed = float("-inf")

    def __call__(self, event: dict[str, Any]) -> None:
        self._log.write(json.dumps(event) + "\n")
        self._log.flush()
        if event["event"] == "start":
            print(f"iteration {event['iteration']} of {event['of']} on {event['device']}", flush=True)
        elif event["event"] == "validation":
            print(f"  iteration {event['iteration']}: validation Dice {event['dice']:.4f}", flush=True)
        elif time.monotonic() - self._printed > 10:
            self._printed = time.monotonic()
            minutes, seconds = divmod(event["seconds_left"], 60)
            losses = "  ".join(f"{name} {value:.3f}" for name, value in event["losses"].items())
            print(f"{event['iteration']}/{event['of']}  {minutes} min {seconds:02d} s left  {losses}", flush=True)
