"""`mtctl models guidance`: train the network that takes a reader's answers in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtctl.commands.arguments import whole_number
from mtctl.errors import MtctlError
from mtctl.io.case_names import case_names

if TYPE_CHECKING:
    from mtctl.guidance.network import Guidance
    from mtctl.models.model import Model


def add_action(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the action with `mtctl models`."""
    parser = actions.add_parser(
        "guidance",
        help="train the network that takes a reader's answers in",
        description="Trains a guidance network on the errors of models that have not learnt the cases, by a simulated "
        "reader who clicks on them, and keeps it in FOLDER. About 2.7 s a step on one core. A run that was stopped "
        "goes on when the same command is given again.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the network is kept")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the cases")
    parser.add_argument("--labelled", nargs="+", required=True, metavar="FILE|CASE", help="names, or files of them")
    parser.add_argument(
        "--held-out", nargs="+", default=[], metavar="FILE|CASE", help="cases to learn the chances of questions from"
    )
    parser.add_argument(
        "--model", nargs="+", default=[None], metavar="ID|FOLDER", help="whose errors: those of models that have not "
        "learnt any of the cases; the network begins as the first, and its chances are those of the first's questions",
    )  # fmt: skip
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="guidance network to go on from")
    parser.add_argument("--appearances", type=whole_number, default=2, help="changed looks of each case (%(default)s)")
    parser.add_argument("--iterations", type=whole_number, default=1600, metavar="N", help="steps (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=6e-4, metavar="R", help="at first (%(default)s)")
    parser.add_argument("--seed", type=whole_number, default=0, metavar="S", help="of the training (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train a guidance network.

    Raises:
        MtctlError: A case or a model cannot be read, or they do not fit together.
    """
    from dataclasses import asdict
    from datetime import date

    from mtctl.guidance.network import GuidanceCard, find_guidance, save_guidance
    from mtctl.guidance.questions import ChanceModel, QuestionFinder
    from mtctl.guidance.refinement import Refiner
    from mtctl.inference.segmenter import Segmenter
    from mtctl.io.labelled import load_all_labelled
    from mtctl.models.model import find_model
    from mtctl.networks.device import choose_device, to_device
    from mtctl.networks.guidance_net import GuidanceNet
    from mtctl_train.data.cases import case_of
    from mtctl_train.guidance.chances import fit_chances, segmented
    from mtctl_train.guidance.drafts import make_drafts
    from mtctl_train.guidance.training import GuidanceRecipe, train_guidance

    models, device = [find_model(name) for name in args.model], choose_device(args.device)
    base = find_guidance(args.base) if args.base else None
    labelled, held_out = case_names(args.labelled), case_names(args.held_out)
    _refuse_unfit(models, base, labelled, held_out)
    recipe = GuidanceRecipe(iterations=args.iterations, learning_rate=args.learning_rate, seed=args.seed)
    if recipe.iterations < 1 or not labelled:
        raise MtctlError("--iterations must be at least 1, and --labelled must name a case")
    model, grid_mm = models[0], models[0].card.grid_mm
    known = sorted({*labelled, *(base.card.data.get("labelled", ()) if base else ())})
    (args.folder / "training").mkdir(parents=True, exist_ok=True)

    def tell(line: str) -> None:
        print(line, flush=True)

    cases = [case_of(case, grid_mm) for case in load_all_labelled(args.data, labelled)]
    drafts = [
        draft
        for number, one in enumerate(models)
        for draft in make_drafts(one, cases, args.appearances, device, args.seed + number, tell)
    ]
    network = base.network() if base else GuidanceNet.from_model(model.load_network())
    state = train_guidance(network, drafts, recipe, args.folder / "training", device, tell)
    network.load_state_dict(state)
    finder = QuestionFinder(Refiner(to_device(network.eval(), device), device), ChanceModel())
    segmenter = Segmenter(model, device)
    unseen = [segmented(segmenter, case) for case in load_all_labelled(args.data, held_out)]
    card = GuidanceCard(
        version=date.today().strftime("%Y.%m.%d"),
        sha256="",
        filters=model.card.architecture.filters,
        grid_mm=grid_mm,
        chances=fit_chances(finder, unseen),
        data={"drafts_of": [one.id for one in models], "labelled": known, "chances_from": held_out},
        recipe={**asdict(recipe), "appearances": args.appearances, "base": asdict(base.card) if base else None},
        command=f"mtctl models guidance FOLDER --model {' '.join(one.id for one in models)} "
        f"--iterations {args.iterations} --learning-rate {args.learning_rate} --seed {args.seed}",
    )
    save_guidance(args.folder, card, state)
    print(f"guidance network kept in {args.folder}")
    return 0


def _refuse_unfit(models: list[Model], base: Guidance | None, labelled: Sequence[str], held_out: Sequence[str]) -> None:
    """Refuse what would teach nothing, or chances that are too good.

    Raises:
        MtctlError: A model has learnt one of the cases, cases held out were learnt, or grids or filters differ.
    """
    from mtctl.models.card import cases_learnt

    for model in models:
        if learnt := sorted(cases_learnt(model.card) & {*labelled, *held_out}):
            raise MtctlError(
                f"the model '{model.id}' has learnt {len(learnt)} of the cases ({learnt[0]}, ...): of those it makes "
                "too few errors to learn from; take a model that has not (--model)"
            )
    known = {*labelled, *(base.card.data.get("labelled", ()) if base else ())}
    if both := sorted(known & {*held_out}):
        raise MtctlError(
            f"'{both[0]}' is both learnt (--labelled, or by the network of --base) and held out (--held-out); "
            "chances are learnt from cases that nobody has learnt"
        )
    shapes = {(one.card.grid_mm, one.card.architecture.filters) for one in models}
    if len(shapes | ({(base.card.grid_mm, base.card.filters)} if base else set())) > 1:
        raise MtctlError("the models, and the network to go on from, must have one grid and one number of filters")
