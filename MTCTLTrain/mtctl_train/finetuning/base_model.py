"""Which model a fine-tuning run starts from; fixed when the run first starts, as its plan is.

Where no model is named, it is the model in use; by the time the run is resumed, another one may be in use.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.models.model import Model, find_model, list_models, read_model
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import read_as
from mtctl.system.files import write_json
from mtctl_train.finetuning.run_folder import BASE, PLAN, RunError


@dataclass(frozen=True)
class _Base:
    """Content of base.json: id, version and the SHA-256 of the weights, and the folder where the model lay."""

    id: str
    version: str
    sha256: str
    folder: str


def base_of(folder: Path, name: str | None) -> Model:
    """Return the model with which the run in `folder` began; if it begins now, note the one of that name there.

    Args:
        folder: Folder of the run.
        name: Id or folder of a model; None: the one in use, or, for a run that goes on, the one that it began with.

    Raises:
        RunError: The model that the run began with is gone, or was replaced; or `name` is another one.
        ModelError, ModelStoreError: There is no model of that name.
    """
    path = folder / BASE
    if not (path.exists() and (folder / PLAN).exists()):  # Without a plan nothing was learnt yet.
        model = find_model(name)
        write_json(path, _noted(model))
        return model
    base = _read(path)
    text = f"{folder}: this run began with the model {base.id} {base.version}"
    if name is None:
        found = _found(base)
        if found is None:
            raise RunError(f"{text}, which is gone from {base.folder} or was replaced; put it back, or begin anew")
        return found
    named = find_model(name)
    if named.card.sha256 != base.sha256:
        raise RunError(f"{text}, but {name} is {named.id} {named.version} now; use that one, or begin anew")
    return named


def _found(base: _Base) -> Model | None:
    """Return the model from where it lay, or, as an update moves shipped models, from where it is installed now."""
    models: list[Model] = []
    with suppress(MtctlError):
        models.append(read_model(Path(base.folder)))
    with suppress(MtctlError):
        models += list_models()
    return next((model for model in models if model.card.sha256 == base.sha256), None)


def _noted(model: Model) -> dict[str, str]:
    card = model.card
    return asdict(_Base(card.id, card.version, card.sha256, str(model.folder.absolute())))


def _read(path: Path) -> _Base:
    try:
        return read_as(_Base, read_object(path), str(path))
    except (OSError, DocumentError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise RunError(f"{path}: does not say which model the run began with ({reason}); use another --out") from error
