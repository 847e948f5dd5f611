"""`mtctl models`: what models there are, publishing a new one and going back, their calibration and locators."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from mtctl.io.case_names import case_names

if TYPE_CHECKING:
    from mtctl.models.card import Card
    from mtctl.models.model import Model
    from mtctl.models.verdict import Verdict
    from mtctl.models.versions import Version

#: Entry points of this group are further actions (`pyproject.toml`), as functions that take the parser's actions.
ACTIONS = "mtctl.commands.models"

HEADINGS = ("id", "version", "default", "sha256", "Dice", "folder")

#: The line in `mtctl --help`.
HELP = "the installed models: list, publish, roll back, calibrate"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl models`."""
    parser = subparsers.add_parser(
        "models",
        help=HELP,
        description="The models that `mtctl segment --model` takes by id: shipped ones and those of the site.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list",
        help="list the models",
        description="One line a model: id, version, whether it is the default or refused, start of the weights' "
        "SHA-256, mean Dice (%%) on the validation cases, from its card, folder.",
    )
    _add_site(listing)
    listing.set_defaults(run=run_list)
    publishing = actions.add_parser(
        "publish",
        help="make a fine-tuned model the default",
        description="Publishes a candidate of `mtctl finetune` as a new version and makes it the default. Refused "
        "where its verdict says that it is worse: mean Dice lower, a case worse by more than 2 points, or calibration "
        "worse. Nothing is overwritten; `mtctl models rollback` goes back.",
    )
    publishing.add_argument("candidate", type=Path, metavar="FOLDER", help="model folder with a verdict.json")
    publishing.add_argument("--override", default="", metavar="REASON", help="publish it even so; the reason is kept")
    _add_site(publishing)
    publishing.set_defaults(run=run_publish)
    back = actions.add_parser(
        "rollback",
        help="go back to the model before",
        description="Makes the model the default that was it before the present one was published; from the first "
        "version on, the shipped one. The version stays in the store.",
    )
    back.add_argument("--reason", default="", metavar="REASON", help="kept in the history")
    _add_site(back)
    back.set_defaults(run=run_rollback)
    calibration = actions.add_parser(
        "calibrate",
        help="set a model's probabilities, threshold, case score and flag on validation cases",
        description="Predicts validation cases as they are and in six corrupted versions and writes into the model's "
        "card what makes its probabilities and its case score mean what they say. About a minute a case on a CPU. "
        "Or takes all that over from another model of the same recipe (--like), where no case is left to validate on.",
    )
    calibration.add_argument("model", metavar="ID|FOLDER", help="the model whose card is written")
    source = calibration.add_mutually_exclusive_group(required=True)
    source.add_argument("--like", metavar="ID|FOLDER", help="take the calibration of this model")
    source.add_argument("--validation", nargs="+", metavar="FILE|CASE", help="case names, or files of them")
    calibration.add_argument("--data", type=Path, metavar="DIR", help="folder with the cases (for --validation)")
    calibration.add_argument(
        "--views", type=int, metavar="N", help="in how many views the model looks from now on (1: the straight one)"
    )
    calibration.add_argument(
        "--mask-samples-share", type=float, metavar="X",
        help="weight of the samples' mean in the mask from now on, 0 (f1 alone) to 1",
    )  # fmt: skip
    calibration.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    calibration.set_defaults(run=run_calibrate)
    for point in entry_points(group=ACTIONS):
        point.load()(actions)


def run_list(args: argparse.Namespace) -> int:
    """Print the table of models; 1 if a version of the site is damaged.

    Raises:
        MtctlError: None is installed, or a card cannot be read.
    """
    from mtctl.models import shipped
    from mtctl.models.card import ModelError
    from mtctl.models.catalogue import read_catalogue
    from mtctl.models.store import ModelStore
    from mtctl.models.versions import ModelStoreError

    catalogue = read_catalogue(ModelStore(args.site))
    if catalogue.fault:
        raise ModelStoreError(catalogue.fault)
    for model in catalogue.shipped:
        if model.fault:
            raise ModelError(model.fault)
    # The one in use first, then the shipped ones: those of the site may be many.
    usable = [(model, model.card) for model in catalogue.models if model.card]
    usable.sort(key=lambda pair: (pair[0] != catalogue.in_use, pair[0].number is not None))
    if not usable:
        raise ModelError(f"no model is installed; looked in {', '.join(map(str, shipped.MODEL_FOLDERS))}")
    refused = [(model.version, model.fault) for model in catalogue.site if model.version and not model.card]
    damaged = [model.fault for model in reversed(catalogue.site) if not model.version]
    rows = [HEADINGS, *(_row(card, model == catalogue.in_use, model.folder) for model, card in usable)]
    rows += [_refused_row(version) for version, _ in refused]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for _, reason in refused:
        print(f"mtctl: {reason}", file=sys.stderr)
    for reason in damaged:
        print(f"mtctl: error: {reason}", file=sys.stderr)
    return 1 if damaged else 0


def run_publish(args: argparse.Namespace) -> int:
    """Publish a candidate.

    Raises:
        MtctlError: It is worse and there is no override, or it cannot be read or stored.
    """
    from mtctl.models.store import ModelStore
    from mtctl.models.verdict import read_verdict

    store = ModelStore(args.site)
    _print_verdict(read_verdict(args.candidate))
    version = store.publish(args.candidate, args.override)
    print(f"published as {version.model.id}, the default from now on ({version.folder})")
    return 0


def run_rollback(args: argparse.Namespace) -> int:
    """Go back to the model before.

    Raises:
        MtctlError: There is none, or the store cannot be written.
    """
    from mtctl.models.store import ModelStore

    version = ModelStore(args.site).rollback(args.reason)
    print(f"{version.model.id if version else 'the shipped model'} is the default again")
    return 0


def run_calibrate(args: argparse.Namespace) -> int:
    """Write a model's calibration into its card.

    Raises:
        MtctlError: A model or a case cannot be used, or a case was among the model's training cases.
    """
    from mtctl.models.card import ModelError
    from mtctl.models.model import find_model
    from mtctl.models.store import ModelStore
    from mtctl.models.versions import ModelStoreError

    model = find_model(args.model)
    if model.folder.parent.parent == ModelStore().folder:
        raise ModelStoreError(
            f"{model.id} is published and never changes; calibrate a candidate before it is published"
        )
    if args.views is not None:
        from mtctl.inference.test_time_augmentation import VIEWS

        if not 1 <= args.views <= len(VIEWS):
            raise ModelError(f"--views {args.views}: give a number from 1 to {len(VIEWS)}")
        model = dataclasses.replace(model, card=dataclasses.replace(model.card, views=args.views))
    if args.mask_samples_share is not None:
        if not 0 <= args.mask_samples_share <= 1:
            raise ModelError(f"--mask-samples-share {args.mask_samples_share}: give a number from 0 to 1")
        card = dataclasses.replace(model.card, mask_samples_share=args.mask_samples_share)
        model = dataclasses.replace(model, card=card)
    if args.like:
        _calibrate_like(model, find_model(args.like))
    else:
        _calibrate(model, args)
    return 0


def _calibrate_like(model: Model, other: Model) -> None:
    from mtctl.models.card import ModelError, write_card

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
    from mtctl.errors import counted
    from mtctl.evaluation.calibrate import calibrate
    from mtctl.inference.segmenter import Segmenter
    from mtctl.io.labelled import load_all_labelled
    from mtctl.models.card import ModelError, cases_learnt, write_card
    from mtctl.networks.device import choose_device

    if args.data is None:
        raise ModelError("--validation needs --data, the folder that holds the cases")
    names = case_names(args.validation)
    seen = sorted(set(names) & cases_learnt(model.card))
    if seen:
        raise ModelError(f"the model '{model.id}' was trained on {seen[0]}; calibrate on cases that it never saw")
    if not names:
        raise ModelError("no validation case is named; nothing can be calibrated")
    found = calibrate(
        Segmenter(model, choose_device(args.device)),
        load_all_labelled(args.data, names),
        _print_progress,
    )
    card = dataclasses.replace(model.card, data=model.card.data | {"validation": list(names)})
    write_card(model.folder, found.applied_to(card, len(names)))
    print(f"model {model.id} calibrated on {counted(len(names), 'case')}: flagged below {found.score.flag_below:.3f}")


def _print_progress(done: int, of: int) -> None:
    if done % 10 == 0:
        print(f"{done} of {of} predictions", flush=True)


def _add_site(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--site", type=Path, metavar="DIR", help="the site's models (default: $MTCTL_MODELS, or the user's data folder)"
    )


def _print_verdict(verdict: Verdict) -> None:
    from mtctl.errors import counted

    old, new = verdict.dice
    print(
        f"compared with {verdict.base.id} {verdict.base.version} on "
        f"{counted(len(verdict.cases), 'case')}: {verdict.held_out}"
    )
    print(f"mean Dice {100 * old:.2f} before, {100 * new:.2f} now")
    if verdict.worst:
        print(
            f"worst case {verdict.worst.case}: {100 * verdict.worst.old:.2f} before, {100 * verdict.worst.new:.2f} now"
        )
    if verdict.calibration:
        print(f"calibration error {verdict.calibration[0]:.3f} before, {verdict.calibration[1]:.3f} now")


def _refused_row(version: Version) -> tuple[str, ...]:
    named = version.model
    return named.id, named.version, "refused", named.sha256[:12], "-", str(version.folder)


def _row(card: Card, default: bool, folder: Path) -> tuple[str, ...]:
    dice = card.validation.get("dice")
    return (
        card.id,
        card.version,
        "default" if default else "-",
        card.sha256[:12],
        "-" if dice is None else f"{100 * dice:.2f}",
        str(folder),
    )
