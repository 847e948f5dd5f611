"""`mtctl models guidance`: train the network that takes a reader's answers in."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtctl.commands.arguments import whole_number
from mtctl.errors import MtctlError
from mtctl.io.case_names import case_names


def add_action(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the action with `mtctl models`."""
    parser = actions.add_parser(
        "guidance",
        help="train the network that takes a reader's answers in",
        description="Trains a guidance network on the errors of a model that has not learnt the cases, by a simulated "
        "reader who clicks on them, and keeps it in FOLDER. About 2.7 s a step on one core. A run that was stopped "
        "goes on when the same command is given again.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the network is kept")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the cases")
    parser.add_argument("--labelled", nargs="+", required=True, metavar="FILE|CASE", help="names, or files of them")
    parser.add_argument(
        "--held-out", nargs="+", default=[], metavar="FILE|CASE", help="cases to learn the chances of questions from"
    )
    parser.add_argument("--model", metavar="ID|FOLDER", help="whose errors: one that has not learnt any of the cases")
    parser.add_argument("--appearances", type=whole_number, default=2, help="changed looks of each case (%(default)s)")
    parser.add_argument("--iterations", type=whole_number, default=1600, metavar="N", help="steps (%(default)s)")
    parser.add_argument("--seed", type=whole_number, default=0, metavar="S", help="of the training (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train a guidance network.

    Raises:
        MtctlError: A case or the model cannot be read, or the model has learnt one of the cases.
    """
    from dataclasses import asdict
    from datetime import date

    from mtctl.guidance.network import GuidanceCard, save_guidance
    from mtctl.guidance.questions import ChanceModel, QuestionFinder
    from mtctl.guidance.refinement import Refiner
    from mtctl.inference.segmenter import Segmenter
    from mtctl.io.labelled import load_all_labelled
    from mtctl.models.card import cases_learnt
    from mtctl.models.model import find_model
    from mtctl.networks.device import choose_device, to_device
    from mtctl.networks.guidance_net import GuidanceNet
    from mtctl_train.data.cases import case_of
    from mtctl_train.guidance.chances import fit_chances, segmented
    from mtctl_train.guidance.drafts import make_drafts
    from mtctl_train.guidance.training import GuidanceRecipe, train_guidance

    model, device = find_model(args.model), choose_device(args.device)
    labelled, held_out = case_names(args.labelled), case_names(args.held_out)
    learnt = sorted(cases_learnt(model.card) & {*labelled, *held_out})
    if learnt:
        raise MtctlError(
            f"the model '{model.id}' has learnt {len(learnt)} of the cases ({learnt[0]}, ...): of those it makes too "
            "few errors to learn from; take a model that has not (--model)"
        )
    if set(labelled) & set(held_out):
        raise MtctlError("a case is both in --labelled and in --held-out; chances are learnt from cases held out")
    recipe = GuidanceRecipe(iterations=args.iterations, seed=args.seed)
    if recipe.iterations < 1 or not labelled:
        raise MtctlError("--iterations must be at least 1, and --labelled must name a case")
    args.folder.mkdir(parents=True, exist_ok=True)

    def tell(line: str) -> None:
        print(line, flush=True)

    grid_mm = model.card.grid_mm
    cases = [case_of(case, grid_mm) for case in load_all_labelled(args.data, labelled)]
    drafts = make_drafts(model, cases, args.appearances, device, args.seed, tell)
    network = GuidanceNet.from_model(model.load_network())
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
        data={"drafts_of": model.id, "labelled": labelled, "chances_from": held_out},
        recipe={**asdict(recipe), "appearances": args.appearances},
        command=f"mtctl models guidance FOLDER --model {model.id} --iterations {args.iterations} --seed {args.seed}",
    )
    save_guidance(args.folder, card, state)
    print(f"guidance network kept in {args.folder}")
    return 0
