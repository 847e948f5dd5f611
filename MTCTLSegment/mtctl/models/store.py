"""A site's own models: versions that never change, a pointer to the one in use, and the way back.

    MODELS/current.json           which version is in use, and the whole history of that
           versions/0001/         card.json, weights.safetensors, locator.safetensors, verdict.json, version.json
           versions/0002/ ...

The models that are shipped lie elsewhere and stay as they are: without a site's version in use, theirs is the default.
Nothing here needs torch.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.models.card import CARD, LOCATOR, WEIGHTS, Card, read_card, read_name, write_card
from mtctl.models.shipped import shipped_default
from mtctl.models.verdict import VERDICT, ModelName, Verdict, read_verdict
from mtctl.models.versions import ModelStoreError, NotBetterError, Step, Version, id_of, lineage
from mtctl.system.files import WriteError, file_sha256, replacing, write_reason
from mtctl.system.locks import locked
from mtctl.system.machine import user_data
from mtctl.system.staging import (
    DamagedError,
    checked,
    checksums,
    commit,
    discard,
    now,
    read_sealed,
    remove_leftovers,
    staged,
    write_sealed,
)

#: Environment variable that names the site's folder of models; it must exist, so that a share that is not mounted is
#: noticed. Else they lie in the user's own data folder.
VARIABLE = "MTCTL_MODELS"

FORMAT = 1
CURRENT = "current.json"
VERSION = "version.json"

#: What a model folder is made of; nothing else of a candidate (checkpoints, logs) is published.
_FILES = (CARD, WEIGHTS, LOCATOR, VERDICT)

_NUMBER = re.compile(r"\d{4,9}")


def site_folder() -> Path:
    """Return where the site's models lie: $MTCTL_MODELS, or `mtctl/models` in the user's data folder.

    Raises:
        ModelStoreError: $MTCTL_MODELS names a folder that is not there.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return user_data() / "mtctl" / "models"
    if not Path(named).is_dir():
        raise ModelStoreError(
            f"{named}: the site's folder of models (${VARIABLE}) is not there; connect the drive, or make the folder"
        )
    return Path(named)


class ModelStore:
    """A site's models; any number of programs may use them at once.

    Attributes:
        folder: The folder of the store.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Take the store in `folder`; None: in `site_folder()`. It need not exist before something is published."""
        self.folder = Path(folder) if folder is not None else site_folder()
        self._versions = self.folder / "versions"

    def versions(self) -> list[Version]:
        """Return all versions that can be read, newest first."""
        found = []
        for number in reversed(self.numbers()):
            with suppress(ModelStoreError):
                found.append(self.version(number))
        return found

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, damaged ones too, in order."""
        names = os.listdir(self._versions) if self._versions.is_dir() else []
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

    def version(self, number: int) -> Version:
        """Read that version. Its weights are checked when they are loaded (`model.Model.load_network`).

        Raises:
            ModelStoreError: There is none, or its files are damaged.
        """
        folder = self.version_folder(number)
        if not folder.is_dir():
            raise ModelStoreError(f"{self.folder}: there is no version {number} (`mtctl models list`)")
        try:
            document = read_sealed(folder / VERSION, FORMAT)
            for name in (CARD, VERDICT):
                checked(folder, name, document["files"])
            return Version(
                folder,
                number,
                read_name(folder),
                ModelName(**document["parent"]),
                document["published"],
                document["override"],
                read_verdict(folder),
            )
        except MtctlError as error:
            raise ModelStoreError(str(error)) from error

    def current(self) -> Version | None:
        """Return the version in use; None: the shipped default is.

        Raises:
            ModelStoreError: It cannot be read. Another model is never used silently in its place.
        """
        number = self.in_use()
        try:
            return None if number is None else self.version(number)
        except ModelStoreError as error:
            raise ModelStoreError(f"{error}; or go back to the model before it: mtctl models rollback") from error

    def in_use(self) -> int | None:
        """Return the number of the version in use, whether or not it can be read; None: the shipped default is.

        Raises:
            ModelStoreError: The pointer cannot be read.
        """
        steps = self.history()
        return steps[-1].version if steps else None

    def history(self) -> tuple[Step, ...]:
        """Return what was in use, oldest first.

        Raises:
            ModelStoreError: It cannot be read.
        """
        path = self.folder / CURRENT
        if not path.exists():
            return ()
        try:
            return tuple(Step(**step) for step in read_sealed(path, FORMAT)["history"])
        except DamagedError as error:
            raise ModelStoreError(str(error)) from error

    def publish(self, candidate: Path, override: str = "") -> Version:
        """Make a candidate the model in use. The candidate's folder stays as it is.

        Args:
            candidate: A model folder with a `verdict.json`.
            override: Why it is to be published even so; recorded with the version.

        Raises:
            NotBetterError: It is worse by the rule of `Verdict.against`, or was compared with another model than
                the one in use, and there is no override.
            ModelError: As `card.read_card`.
            ModelStoreError: It is not a model folder with a verdict, or its files are damaged.
            WriteError: The store is not writable or the disk is full; it is as it was before.
        """
        candidate = Path(candidate)
        try:
            verdict = read_verdict(candidate)
            card = read_card(candidate)
            _check_networks(candidate, card)
        except OSError as error:
            raise ModelStoreError(f"{candidate}: not a model folder: {error.strerror or error}") from error
        try:
            self._versions.mkdir(parents=True, exist_ok=True)
            with staged(self._versions) as hidden:
                for name in _FILES:
                    if (candidate / name).exists():
                        with replacing(hidden / name) as part:
                            shutil.copyfile(candidate / name, part)
                with locked(self.folder) as held:
                    self._check(candidate, verdict, override)
                    number = max(self.numbers(), default=0) + 1
                    write_card(hidden, replace(card, id=id_of(number), default=False))
                    published = now()
                    document = {
                        "format": FORMAT,
                        "parent": asdict(verdict.base),
                        "published": published,
                        "override": override.strip(),
                        "files": checksums(hidden),
                    }
                    write_sealed(hidden / VERSION, document)
                    held.check()
                    commit(hidden, self.version_folder(number))
                    try:
                        self._point(Step(number, "publish", published, override.strip()))
                    except (MtctlError, OSError):  # What failed must not look published.
                        discard(self.version_folder(number))
                        raise
                    remove_leftovers(self._versions, self._versions)
        except OSError as error:
            raise WriteError(f"{self.folder}: cannot be written: {write_reason(error)}") from error
        return self.version(number)

    def rollback(self, reason: str = "") -> Version | None:
        """Go back to what was in use before the present version; damaged versions are passed over.

        Returns:
            The version that is in use then; None: the shipped default.

        Raises:
            ModelStoreError: The shipped default is in use: there is nothing to go back to.
            WriteError: The store is not writable.
        """
        self._check_in_use()
        try:
            with locked(self.folder) as held:
                self._check_in_use()
                target = self._earlier()
                held.check()
                self._point(Step(target.number if target else None, "rollback", now(), reason.strip()))
        except OSError as error:
            raise WriteError(f"{self.folder}: cannot be written: {write_reason(error)}") from error
        return target

    def _check_in_use(self) -> None:
        if self.in_use() is None:
            raise ModelStoreError("the shipped model is in use: there is nothing to go back to")

    def _earlier(self) -> Version | None:
        """Return what was in use before the version that is, and can be read."""
        for number in reversed(lineage(self.history())[:-1]):
            with suppress(ModelStoreError):
                return None if number is None else self.version(number)
        return None

    def _check(self, candidate: Path, verdict: Verdict, override: str) -> None:
        """Raise unless the candidate may be published now."""
        if override.strip():
            return
        current, reasons = self.current(), verdict.against
        used = shipped_default() if current is None else current.model
        if used and verdict.base.sha256 != used.sha256:
            old = verdict.base
            reasons = (f"it was compared with {old.id} {old.version}, but {used.id} {used.version} is in use", *reasons)
        if reasons:
            raise NotBetterError(candidate, reasons)

    def _point(self, step: Step) -> None:
        steps = [asdict(one) for one in (*self.history(), step)]
        write_sealed(self.folder / CURRENT, {"format": FORMAT, "version": step.version, "history": steps})

    def version_folder(self, number: int) -> Path:
        """Return where that version lies, or would lie."""
        return self._versions / f"{number:04d}"


def _check_networks(candidate: Path, card: Card) -> None:
    """Raise unless the networks of a candidate are those of its card; without the locator's no large scan can be used.

    Raises:
        ModelStoreError: One is another file, or the locator is missing.
        OSError: The weights cannot be read.
    """
    locator = card.locator
    if locator and not (candidate / LOCATOR).is_file():
        raise ModelStoreError(f"{candidate / LOCATOR}: is missing, but this model's card names it; train it again")
    sums = {WEIGHTS: card.sha256} | ({LOCATOR: locator.sha256} if locator else {})
    for name, total in sums.items():
        if file_sha256(candidate / name) != total:
            raise ModelStoreError(f"{candidate / name}: is not the file of this model's card; train it again")
