"""What a candidate needs so that it may be published, and what is written of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.models.card import Card, read_name, write_card
from mtctl.models.model_files import CARD, LOCATOR, WEIGHTS
from mtctl.models.verdict import VERDICT, ModelName, Verdict, read_verdict
from mtctl.models.versions import ModelStoreError, Version, id_of
from mtctl.system.fields import Checksum, FileName
from mtctl.system.files import replacing
from mtctl.system.staging import checked, checksums, read_sealed_as, write_sealed

_FORMAT = 1
_VERSION = "version.json"

#: What a model folder is made of; nothing else of a candidate (checkpoints, logs) is published.
_FILES = (CARD, WEIGHTS, LOCATOR, VERDICT)


@dataclass(frozen=True)
class _VersionDocument:
    """What a version.json holds, but for its seal."""

    parent: ModelName
    published: str
    override: str
    files: Mapping[FileName, Checksum]


def read_version(folder: Path, number: int) -> Version:
    """Read what was published in `folder`.

    Raises:
        ModelStoreError: Its files are damaged.
    """
    try:
        document = read_sealed_as(_VersionDocument, folder / _VERSION, _FORMAT)
        for name in (CARD, VERDICT):
            checked(folder, name, document.files)
        return Version(
            folder,
            number,
            read_name(folder),
            document.parent,
            document.published,
            document.override,
            read_verdict(folder),
        )
    except MtctlError as error:
        raise ModelStoreError(str(error)) from error


def copy_model(candidate: Path, folder: Path) -> None:
    """Copy the files of a model, and nothing else that lies beside them."""
    for name in _FILES:
        if (candidate / name).exists():
            with replacing(folder / name) as part:
                shutil.copyfile(candidate / name, part)


def write_version(folder: Path, number: int, card: Card, parent: ModelName, published: str, override: str) -> None:
    """Make the copy of a model in `folder` a version, with a card that says which.

    Args:
        folder: See there.
        number: Of the version.
        card: Of the candidate.
        parent: The model that it was made from.
        published: When, UTC, ISO 8601.
        override: Why it is published though it is not better, or "".
    """
    write_card(folder, replace(card, id=id_of(number), default=False))
    document = {
        "format": _FORMAT,
        "parent": asdict(parent),
        "published": published,
        "override": override,
        "files": checksums(folder),
    }
    write_sealed(folder / _VERSION, document)


def reasons_against(verdict: Verdict, judged: bool | None, used: ModelName | None) -> tuple[str, ...]:
    """Return why a candidate may not be published, in sentences; empty: it may.

    Args:
        verdict: Its verdict.
        judged: Whether the verdict is of this very model; None: it does not say of which.
        used: The model in use.
    """
    reasons = verdict.against
    if judged is None:
        reasons = ("its verdict does not say of which model it is: an earlier version wrote it", *reasons)
    elif not judged:
        reasons = ("its verdict is of another model: card or weights were changed since", *reasons)
    if used and verdict.base.sha256 != used.sha256:
        old = verdict.base
        reasons = (f"it was compared with {old.id} {old.version}, but {used.id} {used.version} is in use", *reasons)
    return reasons
