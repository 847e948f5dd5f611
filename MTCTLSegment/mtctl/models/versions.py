"""What is known of the versions of a site's models, and of which was in use when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mtctl.errors import MtctlError
from mtctl.models.verdict import ModelName, Verdict
from mtctl.system.fields import Matching, Within

#: No version can follow one of that number, and none ever had it.
HIGHEST = 10**18 - 1


class ModelStoreError(MtctlError):
    """The store of models cannot do that."""


class NotBetterError(ModelStoreError):
    """The candidate may not be published without an override.

    Attributes:
        reasons: Why not, in sentences.
    """

    def __init__(self, candidate: Path, reasons: tuple[str, ...]) -> None:
        super().__init__(f"{candidate}: is not published: {'; '.join(reasons)}. To publish it even so, give a reason")
        self.reasons = reasons


@dataclass(frozen=True)
class Version:
    """A published model.

    Attributes:
        folder: A model folder as `model.read_model` takes it.
        number: 1, 2, ...
        model: Its card's id, to ask for it by (`mtctl segment --model site-0002`), version, and SHA-256 of its weights.
        parent: The model that it was made from.
        published: When, UTC, ISO 8601.
        override: Why it was published though it was not better; "": it was.
        verdict: Old against new.
    """

    folder: Path
    number: int
    model: ModelName
    parent: ModelName
    published: str
    override: str
    verdict: Verdict


@dataclass(frozen=True)
class ModelChange:
    """One change of the model in use, a line of its history.

    Attributes:
        version: The number, or None for the shipped default.
        action: "publish" or "rollback".
        at: When, UTC, ISO 8601.
        reason: Why there was an override or a rollback, or "".
    """

    version: Annotated[int, Within(1, HIGHEST)] | None
    action: Annotated[str, Matching("publish|rollback", "publish or rollback")]
    at: str
    reason: str


@dataclass(frozen=True)
class UsableModel:
    """The model that is used where none is named.

    Attributes:
        version: The site's version; None: the shipped default.
        fault: Why it is not the one that was put in use, in a sentence for everyone who gets a result; "": it is.
    """

    version: Version | None
    fault: str = ""


def id_of(number: int) -> str:
    """Return the id of that version's card, to ask for it by, though the card may be damaged."""
    return f"site-{number:04d}"


def lineage(steps: tuple[ModelChange, ...]) -> list[int | None]:
    """Return what was in use, from the shipped default to what is now, without what was rolled back.

    Raises:
        ValueError: A step goes back to what was not in use before it.
    """
    way: list[int | None] = [None]
    for step in steps:
        if step.action == "publish":
            way.append(step.version)
        else:
            del way[way.index(step.version) + 1 :]
    return way
