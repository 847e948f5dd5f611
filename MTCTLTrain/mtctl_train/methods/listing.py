"""What `mtctl train --list-methods` prints: each method's numbers, and what its docstring says."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from mtctl_train.methods import FORMER_NAMES, IN_A_LINE, METHODS
from mtctl_train.methods.vnet import VNetBased


def listing() -> str:
    """Return every method with its numbers, then where each class of them differs from published code.

    The docstring of a class is the one place where its deviations stand.
    """
    parts = [_line(name, method) for name, method in METHODS.items()]
    parts += [f"{former}: the former name of {name}" for former, name in FORMER_NAMES.items()]
    classes: list[type] = [VNetBased]
    classes += [kind for kind in map(type, METHODS.values()) if kind not in classes]
    for kind in dict.fromkeys(classes):
        names = [name for name, method in METHODS.items() if isinstance(method, kind)]
        parts.append(f"\n{', '.join(names)}\n{inspect.cleandoc(kind.__doc__ or '')}")
    return "\n".join(parts)


def _line(name: str, method: Any) -> str:
    numbers = ", ".join(f"{field.name}={getattr(method, field.name):g}" for field in dataclasses.fields(method))
    patches = f"{method.labelled_patches} labelled patches a step"
    return f"{name}: {IN_A_LINE[name]}\n    {', '.join(filter(None, (patches, numbers)))}"
