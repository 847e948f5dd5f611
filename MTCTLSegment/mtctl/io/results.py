"""The result files of a case in their folder: which they are, and how they get there all together or not at all.

A set of results is written into a hidden folder first. Then a note of what is to be moved is put beside it, and from
that moment on the exchange is finished: by this process or, had it been killed, by the next one that calls
`finish_interrupted`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtctl.io.reports import read_report
from mtctl.system.documents import DocumentError
from mtctl.system.fields import read_texts
from mtctl.system.files import TEMPORARY_PREFIX, WriteError, sync_folder, with_retries, write_reason
from mtctl.uncertainty.kinds import BY_OPTION

#: Every ending that a result of `mtctl segment` can have; the report's is the one that makes the others valid.
REPORT = ".json"
PICTURE = ".png"
MAPS = ("uncertainty", "distance", "probability", *BY_OPTION)
SEGMENTATION = ".seg.nrrd"
DICOM_SEGMENTATION = ".seg.dcm"
DICOM_MAP = ".uncertainty.dcm"
_ALL = (SEGMENTATION, *(f".{name}.nrrd" for name in MAPS), DICOM_SEGMENTATION, DICOM_MAP, PICTURE, REPORT)

_HIDDEN = f"{TEMPORARY_PREFIX}case-"
_FRESH, _REPLACED, _NOTE = "new", "old", "ready.json"


@dataclass(frozen=True)
class ResultFiles:
    """The results of one case.

    Attributes:
        out: Their folder.
        stem: What their names begin with.
    """

    out: Path
    stem: str

    def path(self, ending: str) -> Path:
        return self.out / f"{self.stem}{ending}"

    @property
    def names(self) -> list[str]:
        """The names of all results that there may be."""
        return [self.path(ending).name for ending in _ALL]

    def present(self) -> list[str]:
        """Return the names of the results that are there.

        They are asked for one by one, since a folder may hold those of 30,000 cases.
        """
        return [self.path(ending).name for ending in _ALL if os.path.lexists(self.path(ending))]

    def complete(self, endings: Iterable[str]) -> bool:
        return all(self.path(ending).is_file() for ending in endings)

    def report(self) -> dict[str, Any] | None:
        """Return the content of the report; None where there is none that can be read."""
        try:
            report = read_report(self.path(REPORT))
        except (OSError, DocumentError):
            return None
        return report if "fingerprint" in report else None

    @contextmanager
    def replacing(self, old: Sequence[str]) -> Iterator[Path]:
        """Yield a hidden folder; on success its files take the place of the `old` ones, on failure those stay.

        Raises:
            WriteError: The folder is not writable, the disk is full, or a file to be replaced is in use.
        """
        hidden = self.out / f"{_HIDDEN}{_tag(self.stem)}-{os.getpid()}-{secrets.token_hex(4)}"
        with _write_errors(self.out, hidden / _FRESH):
            try:
                for name in (_FRESH, _REPLACED):
                    (hidden / name).mkdir(parents=True)
                yield hidden / _FRESH
                for path in (hidden / _FRESH).iterdir():
                    with open(path, "rb+") as result:
                        os.fsync(result.fileno())
                with open(hidden / "note", "w", encoding="utf-8") as stream:
                    json.dump(list(old), stream)
                    stream.flush()
                    os.fsync(stream.fileno())
            except BaseException:
                _remove(hidden)
                raise
            try:
                with_retries(os.replace, hidden / "note", hidden / _NOTE)
                _exchange(self.out, hidden, old)
                sync_folder(self.out)
            except OSError:  # Undone. After anything else, such as Ctrl-C, the next that looks finishes it.
                _remove(hidden)
                raise
        _remove(hidden)


@contextmanager
def _write_errors(out: Path, hidden: Path) -> Iterator[None]:
    """Raise what the system refuses as a `WriteError` with a sentence, in which a hidden file has its name in `out`."""
    try:
        yield
    except WriteError as error:
        raise WriteError(str(error).replace(str(hidden), str(out))) from error
    except OSError as error:
        raise WriteError(f"{out}: cannot be written: {write_reason(error)}") from error


def _remove(hidden: Path) -> None:
    """Remove a hidden folder, its note first of all.

    A folder that has one and is half emptied, because its process was killed, would be taken for an exchange to finish,
    and the fresh results for those to be replaced.
    """
    with suppress(OSError):
        (hidden / _NOTE).unlink(missing_ok=True)
    shutil.rmtree(hidden, ignore_errors=True)


def finish_interrupted(out: Path, stems: Iterable[str]) -> None:
    """Finish or remove what processes that were killed have left of these cases in `out`."""
    left: dict[str, list[Path]] = {}
    with suppress(OSError), os.scandir(out) as entries:
        for entry in entries:
            if entry.name.startswith(_HIDDEN):
                left.setdefault(entry.name[len(_HIDDEN) :].split("-")[0], []).append(Path(entry.path))
    if not left:
        return
    for stem in stems:
        for hidden in left.pop(_tag(stem), []):
            _finish(ResultFiles(out, stem), hidden)


def has_interrupted(out: Path) -> bool:
    """Return whether a process that was killed, or one that is at work, has left something in `out`."""
    with suppress(OSError), os.scandir(out) as entries:
        return any(entry.name.startswith(_HIDDEN) for entry in entries)
    return False


def _finish(files: ResultFiles, hidden: Path) -> None:
    if not _has_no_links(hidden):
        return
    # Under a new name first: should its process be alive after all (a cluster's worker that was given up for lost), it
    # fails at its next step instead of working in a folder that is being emptied.
    claimed = hidden.with_name(f"{hidden.name.rsplit('-', 2)[0]}-{os.getpid()}-{secrets.token_hex(4)}")
    with suppress(OSError, ValueError):  # Where it does not succeed now (a file in use), the next one that looks tries.
        with_retries(os.replace, hidden, claimed)
        note = claimed / _NOTE
        if os.path.lexists(note):
            old = _noted(files, claimed)
            if old is None:
                return  # Of another program, or damaged: nothing of it is moved or removed.
            _exchange(files.out, claimed, old)
        _remove(claimed)


def _has_no_links(hidden: Path) -> bool:
    """Return whether a hidden folder, and what lies in it, is what it seems: a link would lead to other files."""
    return not any(_is_link(path) for path in (hidden, hidden / _FRESH, hidden / _REPLACED, hidden / _NOTE))


def _is_link(path: Path) -> bool:
    return path.is_symlink() or (sys.version_info >= (3, 12) and path.is_junction())


def _noted(files: ResultFiles, hidden: Path) -> list[str] | None:
    """Return the names in a note, where these and the fresh files are results of this case and nothing else."""
    try:
        names = read_texts(hidden / _NOTE)
    except (OSError, DocumentError):
        return None
    fresh = list((hidden / _FRESH).iterdir())
    known = all(name in files.names for name in (*names, *(path.name for path in fresh)))
    return names if known and not any(_is_link(path) for path in fresh) else None


def _exchange(out: Path, hidden: Path, old: Sequence[str]) -> None:
    """Move `old` files out of the way and the fresh ones in, the report last; undone where a move fails."""
    fresh, replaced = hidden / _FRESH, hidden / _REPLACED
    arriving = sorted((path.name for path in fresh.iterdir()), key=lambda name: name.endswith(REPORT))
    # What an interrupted exchange has moved already stays where it is.
    leaving = [name for name in old if not (replaced / name).exists() and (out / name).exists()]
    moves = [(out / name, replaced / name) for name in leaving] + [(fresh / name, out / name) for name in arriving]
    moved: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            with_retries(os.replace, source, target)
            moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            with_retries(os.replace, target, source)
        raise


def _tag(stem: str) -> str:
    """Return what a hidden folder is recognised by: a stem may be too long, or hold what parts the name."""
    return hashlib.sha256(stem.encode("utf-8", "surrogateescape")).hexdigest()[:16]
