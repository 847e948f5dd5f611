"""The option --option NAME=NUMBER of `mtctl train` and `mtctl finetune`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from mtctl.errors import MtctlError


def with_options(method: Any, recipe: Any, options: Sequence[str], fixed: Sequence[str] = ()) -> tuple[Any, Any]:
    """Return method and recipe with the numbers that --option gives, among them those of the recipe's optimiser.

    Args:
        method, recipe: Whose numbers they are.
        options: NAME=NUMBER each.
        fixed: Names that are not allowed here; --batch and --seed are options of their own anyway.

    Raises:
        MtctlError: An option has an unknown name, or no number.
    """
    known = {
        field.name: (settings, field.type)
        for settings in (recipe.optimisation, recipe, method)
        for field in dataclasses.fields(settings)
        if field.type in ("int", "float") and field.name not in ("batch", "seed", *fixed)
    }
    changes: dict[int, dict[str, float]] = {id(settings): {} for settings in (recipe.optimisation, recipe, method)}
    for option in options:
        name, _, text = option.partition("=")
        if name not in known:
            raise MtctlError(f"--option {option}: this method has {', '.join(sorted(known))}")
        settings, kind = known[name]
        try:
            changes[id(settings)][name] = int(text) if kind == "int" else float(text)
        except ValueError:
            raise MtctlError(f"--option {option}: '{text}' is no number") from None
    optimisation = dataclasses.replace(recipe.optimisation, **changes[id(recipe.optimisation)])
    return (
        dataclasses.replace(method, **changes[id(method)]),
        dataclasses.replace(recipe, optimisation=optimisation, **changes[id(recipe)]),
    )
