"""`mtctl models`: what models are installed."""

from __future__ import annotations

import argparse

from mtctl.model import MODEL_FOLDERS, Model, ModelError, list_models

HEADINGS = ("id", "version", "default", "sha256", "Dice", "folder")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl models`."""
    parser = subparsers.add_parser(
        "models", help="list the installed models", description="The models that `mtctl segment --model` takes by id."
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list",
        help="list the installed models",
        description="One line a model: id, version, whether it is the default, start of the weights' SHA-256, mean "
        "Dice (%%) on the validation cases, from its card, folder.",
    )
    listing.set_defaults(run=run_list)


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
