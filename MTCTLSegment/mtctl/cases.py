"""The case store: a folder that anyone can understand, and that many programs may read and write at once.

    STORE/cases/<id>/scan.nrrd, case.json
                     0001-prediction/    segmentation.seg.nrrd, probability, distance and uncertainties, report.json
                     0002-draft/         an unfinished review: segmentation.seg.nrrd, review.json
                     0003-corrected/     what a person vouches for: segmentation.seg.nrrd, review.json
                     0004-accepted/      the same, found right as it was predicted
                     0005-rejected/      review.json

Folders are only ever added: each is written under a hidden name and renamed when it is whole. Only a draft goes, when
its own author saves the next one or decides. Every folder has a record.json with the checksums of its files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtctl.case_entry import Case, Draft, State
from mtctl.case_record import CaseDamagedError, CaseError
from mtctl.case_verify import Finding
from mtctl.geometry import Volume
from mtctl.metrics import Mask
from mtctl.worker_request import Result

__all__ = ["Case", "CaseDamagedError", "CaseError", "CaseStore", "Draft", "Finding", "State"]


class CaseStore:
    """The store in a folder; any number of them, in any number of processes and on any machines, may be open at once.

    Nothing is kept in memory: every call looks at the folder. Volumes take their time to read and write (tenths of
    seconds to seconds): inside Slicer leave that to a child process (`store_child`).

    Attributes:
        folder: See there.

    Raises (from all methods that write):
        WriteError: The folder is not writable or the disk is full. The store is as it was before.
        CaseError: The case is unknown (deleted in the meantime, too), or something lies on another grid.
    """

    def __init__(self, folder: Path) -> None:
        """The store in `folder`, which need not exist before something is added.

        Raises:
            CaseError: The folder holds something else.
        """
        self.folder = Path(folder)

    def ids(self) -> list[str]:
        """Names of all cases, sorted."""
        raise NotImplementedError

    def case(self, id: str) -> Case:
        """A case as it stands now.

        Raises:
            CaseError: It is unknown.
            CaseDamagedError: Its case.json cannot be read.
        """
        raise NotImplementedError

    def cases(self) -> list[Case]:
        """All cases that can be read, by id; what is damaged is left out (`verify` names it)."""
        raise NotImplementedError

    def verify(self) -> list[Finding]:
        """Read everything and compare it with its checksums.

        Returns:
            What is damaged or lost, what is not of this store, and what was left by a write that was cut off.
        """
        raise NotImplementedError

    def add(self, volume: Volume, id: str | None = None) -> Case:
        """Add a scan. The same scan added again gives the case that is there.

        Args:
            volume: The scan; any orientation.
            id: Its name: letters, digits, ".", "_" and "-", nothing that names the patient; None: made from the voxels.

        Raises:
            CaseError: The name is unusable, or that of another scan.
        """
        raise NotImplementedError

    def add_prediction(self, case: Case | str, result: Result) -> Case:
        """Store a segmentation with its maps and its report.

        Args:
            case: The case or its id.
            result: On the grid of the scan (`worker_request.Result`; `case_files.result_of` makes one from an
                `inference.Prediction`).
        """
        raise NotImplementedError

    def add_label(self, case: Case | str, mask: Mask, reviewer: str = "") -> Case:
        """Store a segmentation that a person vouches for and that was made elsewhere; the case is then corrected."""
        raise NotImplementedError

    def save_draft(self, case: Case | str, mask: Mask, review: Mapping[str, Any], reviewer: str = "") -> Case:
        """Store an unfinished review in place of this author's last one; those of others stay.

        Args:
            case: The case or its id.
            mask: The segmentation as it is now, (z, y, x).
            review: What `review_file.review_document` gives.
            reviewer: Pseudonym of the person, or "".
        """
        raise NotImplementedError

    def accept(self, case: Case | str, mask: Mask, review: Mapping[str, Any], reviewer: str = "") -> Case:
        """Store what a person vouches for as a new version: accepted where it is as predicted, else corrected."""
        raise NotImplementedError

    def reject(
        self, case: Case | str, reason: str, review: Mapping[str, Any] | None = None, reviewer: str = ""
    ) -> Case:
        """Take note that a case is unusable.

        Args:
            case: The case or its id.
            reason: In a few words, nothing that names the patient.
            review: As for `save_draft`, where there is one.
            reviewer: Pseudonym of the person, or "".

        Raises:
            CaseError: There is no reason.
        """
        raise NotImplementedError
