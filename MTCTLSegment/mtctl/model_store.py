"""A site's own models: versions that never change, a pointer to the one in use, and the way back.

    MODELS/current.json           which version is in use, and the whole history of that
           versions/0001/         card.json, weights.safetensors, locator.safetensors, verdict.json, version.json
           versions/0002/ ...

The models that are shipped lie elsewhere and stay as they are: without a site's version in use, theirs is the default.
Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.verdict import ModelName, Verdict

#: Environment variable that names the site's folder of models; it must exist, so that a share that is not mounted is
#: noticed. Else they lie in the user's own data folder.
VARIABLE = "MTCTL_MODELS"


class ModelStoreError(MtctlError):
    """The store of models cannot do that."""


class NotBetterError(ModelStoreError):
    """The candidate may not be published without an override; `reasons` say why."""

    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Version:
    """A published model.

    Attributes:
        folder: A model folder as `model.read_model` wants it.
        number: 1, 2, ...
        name: The id to ask for it by (`mtctl segment --model site-0002`): that of its card.
        parent: The model that it was made from.
        sha256: Of the weights.
        published: When, UTC, ISO 8601.
        override: Why it was published though it was not better; "": it was.
        verdict: Old against new.
    """

    folder: Path
    number: int
    name: str
    parent: ModelName
    sha256: str
    published: str
    override: str
    verdict: Verdict


@dataclass(frozen=True)
class Step:
    """One line of the history of what was in use.

    Attributes:
        version: The number, or None for the shipped default.
        action: "publish" or "rollback".
        at: When, UTC, ISO 8601.
        reason: Of an override or a rollback, or "".
    """

    version: int | None
    action: str
    at: str
    reason: str


def site_folder() -> Path:
    """Where the site's models lie: $MTCTL_MODELS, or `mtctl/models` in the user's data folder.

    Raises:
        ModelStoreError: $MTCTL_MODELS names a folder that is not there.
    """
    raise NotImplementedError


class ModelStore:
    """A site's models; any number of programs may use them at once.

    Attributes:
        folder: See there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """The store in `folder`; None: in `site_folder()`. It need not exist before something is published."""
        self.folder = Path(folder) if folder is not None else site_folder()

    def versions(self) -> list[Version]:
        """All versions that can be read, newest first."""
        raise NotImplementedError

    def version(self, number: int) -> Version:
        """That version.

        Raises:
            ModelStoreError: There is none, or its files are damaged.
        """
        raise NotImplementedError

    def current(self) -> Version | None:
        """The version in use; None: the shipped default is.

        Raises:
            ModelStoreError: It cannot be read. Another model is never used silently in its place.
        """
        raise NotImplementedError

    def history(self) -> tuple[Step, ...]:
        """What was in use, oldest first."""
        raise NotImplementedError

    def publish(self, candidate: Path, base: ModelName, override: str = "") -> Version:
        """Make a candidate the model in use. The candidate's folder stays as it is.

        Args:
            candidate: A model folder with a `verdict.json`.
            base: The model that is in use now (`ModelName` of `model.find_model(None).card`): the verdict must compare
                with that one.
            override: Why it is to be published even so; recorded with the version.

        Raises:
            NotBetterError: It is worse by the rule of `Verdict.against`, or was compared with another model than
                the one in use, and there is no override.
            ModelStoreError: It is not a model folder with a verdict, or its files are damaged.
            WriteError: The store is not writable or the disk is full; it is as it was before.
        """
        raise NotImplementedError

    def rollback(self, reason: str = "") -> Version | None:
        """Go back to what was in use before the version in use was.

        Returns:
            The version that is in use then; None: the shipped default.

        Raises:
            ModelStoreError: The shipped default is in use: there is nothing to go back to.
        """
        raise NotImplementedError
