"""Cases that are read when a step first needs them, and kept in the folder of the run from then on.

So the first step waits for the cases of its own batch alone. A run resumes bit for bit even if the store has changed
in the meantime, because a case that was read once is not read from there again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from mtctl.errors import MtctlError, failure_of
from mtctl.io.labelled import DataError
from mtctl.networks.tensors import write_tensors
from mtctl.system.documents import DocumentError, parse_object
from mtctl.system.fields import Within, read_as
from mtctl.system.files import make_folder, replacing
from mtctl.system.regular_files import check_regular
from mtctl_train.data.cases import Scan, TrainingCase

_Millimetres = Annotated[float, Within(1e-3, 1e3)]

AnyCase = TypeVar("AnyCase", TrainingCase, Scan)


@dataclass(frozen=True)
class _Sizes:
    """What is said of a kept case beside its arrays."""

    voxel_mm: tuple[_Millimetres, _Millimetres, _Millimetres]


class SourceGoneError(MtctlError):
    """The store cannot be reached; this is no fault of a case."""


#: Called with the name of a case that cannot be used, and the reason.
ReportUnusable = Callable[[str, str], None]


class CaseCache(Sequence[AnyCase], Generic[AnyCase]):
    """Cases by name. One that cannot be read is left out for the rest of the run; the next one takes its place.

    Attributes:
        names: Names of the cases, in order.
    """

    def __init__(
        self,
        kind: type[AnyCase],
        names: Sequence[str],
        prepare: Callable[[str], AnyCase],
        folder: Path,
        report_unusable: ReportUnusable = lambda name, reason: None,
    ) -> None:
        """Keep in `folder` the cases that `prepare` makes.

        Args:
            kind: `TrainingCase` or `Scan`.
            names: Names of the cases, in order.
            prepare: Makes a case from its name.
            folder: Where the cases are kept.
            report_unusable: Called with the name of a case that cannot be used, and the reason.
        """
        self.names = tuple(names)
        self._kind: type[AnyCase] = kind
        self._prepare: Callable[[str], AnyCase] = prepare
        self._folder, self._report_unusable = folder, report_unusable
        self._read: dict[str, AnyCase | None] = {}
        self._reasons: list[str] = []
        if names:
            make_folder(folder)

    def __len__(self) -> int:
        return len(self.names)

    def __bool__(self) -> bool:
        """Return whether any of the cases can be used; the first that can is read for it."""
        return any(self._case(name) is not None for name in self.names)

    @overload
    def __getitem__(self, index: int) -> AnyCase: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[AnyCase]: ...
    def __getitem__(self, index: int | slice) -> AnyCase | Sequence[AnyCase]:
        """Return the case at that place, or the next one that can be used.

        Raises:
            IndexError: There is no such place.
            DataError: None of all these cases can be used.
        """
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        for name in self.names[index:] + self.names[:index]:
            case = self._case(name)
            if case is not None:
                return case
        whole = "the only case cannot" if len(self) == 1 else f"none of {len(self)} cases can"
        reasons = f"; {self._reasons[0]}" if self._reasons else ""
        raise DataError(f"{whole} be used{reasons}; `mtctl cases verify` says what is wrong")

    def usable(self) -> list[AnyCase]:
        """Return all cases that can be used, each once."""
        return [case for case in map(self._case, self.names) if case is not None]

    def _case(self, name: str) -> AnyCase | None:
        if name not in self._read:
            self._read[name] = self._load(name) or self._prepare_and_store(name)
        return self._read[name]

    def _prepare_and_store(self, name: str) -> AnyCase | None:
        refusal = _refusal(self._folder, name)
        if refusal.exists():  # As the run that is resumed found it, though it may be there again.
            return None
        try:
            case = self._prepare(name)
        except (SourceGoneError, MemoryError):  # Nothing is wrong with the case.
            raise
        except Exception as error:
            reason = failure_of(error, name)
            with replacing(refusal) as part:
                part.write_text(f"{reason}\n", encoding="utf-8")
            self._reasons.append(reason)
            self._report_unusable(name, reason)
            return None
        arrays = {key: torch.from_numpy(array) for key, array in vars(case).items() if isinstance(array, np.ndarray)}
        write_tensors(self._path(name), arrays, {"voxel_mm": json.dumps(case.voxel_mm)})
        return case

    def _load(self, name: str) -> AnyCase | None:
        try:
            check_regular(self._path(name))
            with safe_open(self._path(name), "numpy") as stream:
                arrays: dict[str, NDArray[np.float32]] = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
                sizes = parse_object(f'{{"voxel_mm": {(stream.metadata() or {}).get("voxel_mm")}}}', name)
                return self._kind(name=name, voxel_mm=read_as(_Sizes, sizes, name).voxel_mm, **arrays)
        except (OSError, SafetensorError, DocumentError, TypeError):  # TypeError: other arrays than those of a case.
            return None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"


def was_refused(folder: Path, name: str) -> bool:
    """Return whether the cache in `folder` found a case unusable."""
    return _refusal(folder, name).exists()


def _refusal(folder: Path, name: str) -> Path:
    return folder / f"{name}.unusable"
