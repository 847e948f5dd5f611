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
from contextlib import suppress
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.models.card import ModelError, read_card
from mtctl.models.model_files import model_sum
from mtctl.models.pointer import read_history, set_damaged_aside, write_history
from mtctl.models.publishing import copy_model, read_version, reasons_against, write_version
from mtctl.models.shipped import shipped_default
from mtctl.models.site_folder import site_folder
from mtctl.models.verdict import ModelName, read_verdict
from mtctl.models.versions import (
    HIGHEST,
    ModelChange,
    ModelStoreError,
    NotBetterError,
    UsableModel,
    Version,
    id_of,
    lineage,
)
from mtctl.models.weights import check_sums, check_tensors
from mtctl.system.files import WriteError, write_reason
from mtctl.system.locks import locked
from mtctl.system.staging import (
    commit,
    discard,
    now,
    remove_leftovers,
    staged,
)

_NUMBER = re.compile(r"[0-9]{4,18}")


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
        return read_version(folder, number)

    def current(self) -> Version | None:
        """Return the version in use; None: the shipped default is.

        Raises:
            ModelStoreError: It cannot be read. Who needs a model even so asks for `usable`.
        """
        number = self.in_use()
        try:
            return None if number is None else self.version(number)
        except ModelStoreError as error:
            raise ModelStoreError(f"{error}; or go back to the model before it: mtctl models rollback") from error

    def usable(self) -> UsableModel:
        """Return the version in use or, where it cannot be used, the last one before it that can, with the reason."""
        number = None
        try:
            number = self.in_use()
            return UsableModel(None if number is None else self._whole(number))
        except (ModelStoreError, ModelError, OSError) as error:
            earlier = None if number is None else self._earlier()
            model = id_of(number) if number is not None else "the site's model"
            used = f"{id_of(earlier.number)}, in use before it," if earlier else "the shipped model"
            fault = f"{model} cannot be used, so {used} was used: {error}; mtctl models rollback makes that the default"
            return UsableModel(earlier, fault)

    def in_use(self) -> int | None:
        """Return the number of the version in use, whether or not it can be read; None: the shipped default is.

        Raises:
            ModelStoreError: The pointer cannot be read.
        """
        steps = self.history()
        return steps[-1].version if steps else None

    def history(self) -> tuple[ModelChange, ...]:
        """Return what was in use, oldest first.

        Raises:
            ModelStoreError: It cannot be read.
        """
        return read_history(self.folder)

    def publish(self, candidate: Path, override: str = "") -> Version:
        """Make a candidate the model in use. The candidate's folder stays as it is.

        Args:
            candidate: A model folder with a `verdict.json`.
            override: Why it is to be published even so; recorded with the version.

        Raises:
            NotBetterError: It is worse by the rule of `Verdict.against`, or was compared with another model than
                the one in use, or the verdict is of another model than this, and there is no override.
            ModelError: As `card.read_card`, or its weights are not those that its card describes.
            ModelStoreError: It is not a model folder with a verdict, or its files are damaged.
            WriteError: The store is not writable or the disk is full; it is as it was before.
        """
        candidate, reason = Path(candidate), override.strip()
        try:
            verdict = read_verdict(candidate)
            card = read_card(candidate)
            check_sums(candidate, card)
        except OSError as error:
            raise ModelStoreError(f"{candidate}: not a model folder: {error.strerror or error}") from error
        try:
            self._versions.mkdir(parents=True, exist_ok=True)
            with staged(self._versions) as hidden:
                copy_model(candidate, hidden)
                judged = model_sum(hidden) == verdict.candidate if verdict.candidate else None
                check_tensors(hidden, card)
                with locked(self.folder) as held:
                    if not reason and (against := reasons_against(verdict, judged, self._model_in_use())):
                        raise NotBetterError(candidate, against)
                    number, published = self._next_number(), now()
                    write_version(hidden, number, card, verdict.base, published, reason)
                    held.check()
                    commit(hidden, self.version_folder(number))
                    try:
                        self._point(ModelChange(number, "publish", published, reason))
                    except (MtctlError, OSError):  # What failed must not look published.
                        discard(self.version_folder(number))
                        raise
                    remove_leftovers(self._versions, self._versions)
        except OSError as error:
            raise WriteError(f"{self.folder}: cannot be written: {write_reason(error)}") from error
        return self.version(number)

    def rollback(self, reason: str = "") -> Version | None:
        """Go back to what was in use before the present version; those that cannot be used are passed over.

        Where nobody can tell what was in use, as the pointer is damaged, it goes back to the shipped default; the
        damaged file stays beside, and so do all versions.

        Returns:
            The version that is in use then; None: the shipped default.

        Raises:
            ModelStoreError: The shipped default is in use: there is nothing to go back to.
            WriteError: The store is not writable.
        """
        known = True
        with suppress(ModelStoreError):
            known = self.in_use() is not None
        if not known:
            raise _nothing_to_go_back_to()
        try:
            with locked(self.folder) as held:
                if aside := set_damaged_aside(self.folder):
                    words = f"{reason.strip()}; " if reason.strip() else ""
                    self._point(ModelChange(None, "rollback", now(), f"{words}{aside} was damaged"))
                    return None
                if self.in_use() is None:
                    raise _nothing_to_go_back_to()
                target = self._earlier()
                held.check()
                self._point(ModelChange(target.number if target else None, "rollback", now(), reason.strip()))
        except OSError as error:
            raise WriteError(f"{self.folder}: cannot be written: {write_reason(error)}") from error
        return target

    def _earlier(self) -> Version | None:
        """Return what was in use before the version that is, and can be used."""
        for number in reversed(lineage(self.history())[:-1]):
            with suppress(ModelStoreError, ModelError):
                return None if number is None else self._whole(number)
        return None

    def _whole(self, number: int) -> Version:
        """Read that version and make sure that it can be used.

        Raises:
            ModelStoreError, ModelError: It cannot.
        """
        version = self.version(number)
        check_sums(version.folder, read_card(version.folder))
        return version

    def _next_number(self) -> int:
        last = max(self.numbers(), default=0)
        if last == HIGHEST:
            raise ModelStoreError(f"{self.version_folder(last)}: is not of this program; delete it")
        return last + 1

    def _model_in_use(self) -> ModelName | None:
        current = self.usable().version
        return shipped_default() if current is None else current.model

    def _point(self, step: ModelChange) -> None:
        write_history(self.folder, (*self.history(), step))

    def version_folder(self, number: int) -> Path:
        """Return where that version lies, or would lie."""
        return self._versions / f"{number:04d}"


def _nothing_to_go_back_to() -> ModelStoreError:
    return ModelStoreError("the shipped model is in use: there is nothing to go back to")
