"""The case store: a folder that anyone can understand, and that many programs may read and write at once.

    STORE/cases/<id>/scan.nrrd, case.json
                     0001-prediction/    segmentation.seg.nrrd, probability, distance and uncertainties, report.json
                     0002-draft/         an unfinished review: segmentation.seg.nrrd, review.json
                     0003-corrected/     what a person vouches for: segmentation.seg.nrrd, review.json, knowledge.nrrd
                     0004-accepted/      the same, found right as it was predicted
                     0005-rejected/      review.json

Folders are only ever added: each is written under a hidden name and renamed when it is whole. Only a draft goes, when
its own author saves the next one or decides. Every folder has a record.json with the checksums of its files, and a note
beside it that it was stored (`records`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.cases.appending import append_record
from mtctl.cases.case import StoredCase, read_case
from mtctl.cases.history import CaseState
from mtctl.cases.names import ID, author_of, checked_id, ids_for_scan
from mtctl.cases.notes import write_note
from mtctl.cases.records import CASE, FORMAT, REVIEW, SCAN, CaseError, Record, RecordKind
from mtctl.cases.reviewed import ReviewedSegmentation
from mtctl.cases.store_folder import cases_folder, explained_errors, list_ids, make_folder
from mtctl.cases.verify import Finding, verify_store
from mtctl.cases.volumes import check_mask, write_mask, write_prediction
from mtctl.geometry import Mask, Volume, same_grid
from mtctl.inference.result import Result
from mtctl.io.checksums import scan_sum
from mtctl.io.volumes import write_volume
from mtctl.system.files import WriteError, write_json, write_reason
from mtctl.system.staging import (
    DamagedError,
    checksums,
    commit,
    now,
    remove_leftovers,
    staged,
    write_sealed,
)

__all__ = ["CaseError", "CaseState", "CaseStore", "DamagedError", "StoredCase"]


class CaseStore:
    """The store in a folder; any number of them, in any number of processes and on any machines, may be open at once.

    Nothing is kept in memory: every call looks at the folder. Volumes take their time to read and write (tenths of
    seconds to seconds): inside Slicer leave that to a child process (`cases.store_process`).

    Where a method takes a case, it takes the case as it was read, or its id. What is stored then replaces only drafts
    that this case knows of: one that another window saved since stays.

    Attributes:
        folder: See there.

    Raises (from all methods that write):
        WriteError: The folder is not writable or the disk is full. The store is as it was before.
        LockError: Another program keeps the case locked.
        CaseError: The case is unknown (deleted in the meantime, too), or something lies on another grid.
    """

    def __init__(self, folder: Path) -> None:
        """Use the store in `folder`, which need not exist before something is added.

        Raises:
            CaseError: It is a file, or nobody can say what it is.
        """
        self.folder = Path(folder)
        self._cases = cases_folder(self.folder)
        with explained_errors(self.folder):
            if self.folder.exists() and not self.folder.is_dir():
                raise CaseError(f"{self.folder}: is a file, not a folder; choose the folder of a case store")

    def ids(self) -> list[str]:
        """Return the names of all cases, sorted; none where nothing has been added yet.

        Raises:
            CaseError: The folder cannot be read, or is on a drive or share that is not there.
        """
        return list_ids(self.folder)

    def case(self, id: str) -> StoredCase:
        """Read a case as it stands now.

        Raises:
            CaseError: It is unknown.
            DamagedError: Its case.json cannot be read.
        """
        with explained_errors(self._cases):
            # Only a folder in `cases` can be meant, whatever the name says.
            if not ID.fullmatch(id) or not (self._cases / id).is_dir():
                raise CaseError(f"{id}: there is no such case in {self.folder}; `mtctl cases list` names them")
        return read_case(self._cases / id)

    def cases(self) -> list[StoredCase]:
        """Read all cases that can be read, by id; damaged ones are left out (`verify` names them).

        Raises:
            CaseError: As `ids`.
        """
        found = []
        for id in self.ids():
            with suppress(CaseError, DamagedError):  # damaged, or deleted since
                found.append(self.case(id))
        return found

    def unreadable(self) -> dict[str, str]:
        """Return why the other cases cannot be read, by id.

        Raises:
            CaseError: As `ids`.
        """
        reasons = {}
        for id in self.ids():
            try:
                self.case(id)
            except (CaseError, DamagedError) as error:
                reasons[id] = str(error)
        return reasons

    def verify(self) -> list[Finding]:
        """Read everything and compare it with its checksums.

        Returns:
            What is damaged or lost, what is not of this store, and what was left by a write that was cut off; what
            it cannot see is said in `cases.verify`.

        Raises:
            CaseError: The folder cannot be read.
        """
        with explained_errors(self._cases):
            return verify_store(self._cases, ID)

    def add(self, volume: Volume, id: str | None = None) -> StoredCase:
        """Add a scan. The same scan added again under the same name gives the case that is there.

        The same are scans with the same voxels whose grids differ by no more than programs do (`same_grid`). One whose
        slices Slicer has turned round is another case, as its masks are turned round, but has the same `scan_sha256`.

        Args:
            volume: The scan; any orientation.
            id: Its name: letters, digits, ".", "_" and "-", nothing that names the patient; None: made from the voxels.

        Raises:
            CaseError: The name is unusable, or that of another scan.
        """
        if not np.isfinite(volume.array).all():
            raise CaseError("the scan has voxels that are NaN or infinite; replace them, for example by 0")
        total = scan_sum(volume)
        for name in ids_for_scan(total) if id is None else (checked_id(id),):
            case = self._named(name, volume, total)
            if case.id == name and _is_same_scan(case, volume, total):
                return case
        raise CaseError(f"{name}: the store holds another scan with the name {case.id}; choose another name")

    def _named(self, name: str, volume: Volume, total: str) -> StoredCase:
        """Return the case of that name, of whatever scan; where there is none, make it from `volume`."""
        while not (there := self._with_name(name)):
            make_folder(self.folder)
            try:
                with staged(self._cases) as hidden:
                    write_volume(Volume(volume.array.astype(np.float32), volume.geometry), hidden / SCAN)
                    document = {
                        "format": FORMAT,
                        "added": now(),
                        "geometry": volume.geometry.to_json(),
                        "scan_sha256": total,
                        "files": checksums(hidden),
                    }
                    write_sealed(hidden / CASE, document)
                    commit(hidden, self._cases / name)
                    write_note(self._cases / name)
                    remove_leftovers(self._cases, self._cases)
            except FileExistsError as error:  # Added by somebody just now? Then see whether it is the same scan.
                if not self._with_name(name):
                    raise CaseError(f"{self._cases / name}: something that is no case is in the way") from error
            except OSError as error:
                raise WriteError(f"{self._cases}: cannot be written: {write_reason(error)}") from error
        return self.case(there)

    def add_prediction(self, case: StoredCase | str, result: Result) -> StoredCase:
        """Store a segmentation with its maps and its report.

        Args:
            case: The case or its id.
            result: On the grid of the scan (`Result`; `importing.result_of` makes one from an
                `Prediction`, `importing.read_results` from what `mtctl segment` wrote). Its maps may be
                some of those that there are.
        """
        known = self._known(case)
        if not same_grid(result.geometry, known.geometry):
            raise CaseError(f"{known.id}: the prediction is on another grid than the scan; segment the scan itself")
        return self._append(known, RecordKind.PREDICTION, lambda folder: write_prediction(folder, result))

    def add_label(self, case: StoredCase | str, mask: Mask, reviewer: str = "") -> StoredCase:
        """Store a segmentation that a person vouches for and that was made elsewhere; the case is then corrected."""
        known = self._known(case)
        mask = check_mask(mask, known.geometry, known.id)
        prediction = known.reviewed_prediction(None)

        def write(folder: Path) -> Mapping[str, Any]:
            return write_mask(folder, mask, known.geometry) | {"prediction": prediction and prediction.number}

        return self._append(known, RecordKind.CORRECTED, write, reviewer)

    def save_draft(
        self,
        case: StoredCase | str,
        mask: Mask,
        review: Mapping[str, Any],
        reviewer: str = "",
        start: Mask | None = None,
    ) -> StoredCase:
        """Store an unfinished review in place of this author's last one; those of others stay.

        Args:
            case: The case or its id.
            mask: The segmentation as it is now, (z, y, x).
            review: What `review.document.review_document` gives.
            reviewer: Pseudonym of the person; "": who is logged in on this computer is the author.
            start: Where somebody else's segmentation is reviewed (`CaseMaps.reviewing`): that, (z, y, x).
        """
        known = self._known(case)
        written = ReviewedSegmentation(known, mask, review, start)
        return self._append(known, RecordKind.DRAFT, written.write, reviewer, _drafts(known, reviewer))

    def accept(
        self,
        case: StoredCase | str,
        mask: Mask,
        review: Mapping[str, Any],
        reviewer: str = "",
        start: Mask | None = None,
    ) -> StoredCase:
        """Store what a person vouches for as a new version: accepted where it is as predicted, else corrected.

        Args: See `save_draft`.
        """
        known = self._known(case)
        written = ReviewedSegmentation(known, mask, review, start)
        kind = RecordKind.ACCEPTED if written.as_predicted else RecordKind.CORRECTED
        return self._append(known, kind, written.write_decided, reviewer, _drafts(known, reviewer))

    def reject(
        self, case: StoredCase | str, reason: str, review: Mapping[str, Any] | None = None, reviewer: str = ""
    ) -> StoredCase:
        """Store that a case is unusable.

        Args:
            case: The case or its id.
            reason: In a few words, nothing that names the patient.
            review: As for `save_draft`, where there is one.
            reviewer: Pseudonym of the person, or "".

        Raises:
            CaseError: There is no reason.
        """
        if not reason.strip():
            raise CaseError("say in a few words why the case is rejected, without anything that names the patient")
        known = self._known(case)

        def write(folder: Path) -> Mapping[str, Any]:
            if review is not None:
                write_json(folder / REVIEW, review)
            return {"reason": reason.strip()}

        return self._append(known, RecordKind.REJECTED, write, reviewer)

    def _known(self, case: StoredCase | str) -> StoredCase:
        return self.case(case) if isinstance(case, str) else case

    def _append(
        self, case: StoredCase, kind: RecordKind, write: Any, reviewer: str = "", replaces: tuple[Record, ...] = ()
    ) -> StoredCase:
        def write_signed(folder: Path) -> Mapping[str, Any]:
            return {**write(folder), "author": author_of(reviewer)}

        append_record(case.folder, kind, write_signed, reviewer, replaces)
        return self.case(case.id)

    def _with_name(self, name: str) -> str | None:
        """Return the id that equals the name up to upper and lower case, as file names do on Windows and macOS."""
        return next((id for id in self.ids() if id.casefold() == name.casefold()), None)


def _is_same_scan(case: StoredCase, volume: Volume, total: str) -> bool:
    """Return whether a case is of this scan, which has this checksum."""
    if not same_grid(case.geometry, volume.geometry):
        return False
    # The sums of the first stores are over the digits of the grid, too.
    return case.scan_sha256 == total or np.array_equal(case.scan().array, volume.array.astype(np.float32))


def _drafts(case: StoredCase, reviewer: str) -> tuple[Record, ...]:
    """Return the drafts of this author that the case knows of."""
    author = author_of(reviewer)
    return tuple(
        record for record in case.records if record.kind is RecordKind.DRAFT and record.content.get("author") == author
    )
