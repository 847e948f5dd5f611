"""The reviews of a folder as files, compared before they are replaced: what somebody else wrote meanwhile stays.

A review is two files: <stem>.review.json and, once something was edited, <stem>.review.seg.nrrd. Where they are not as
they were read or written last, another program wrote them. Then this review goes on beside them, under the name
<stem>.beside-<n>, until the person chooses which one to go on with.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mtctl.browser.sources.reading import CaseData, read_corrected
from mtctl.browser.sources.result_folder import FolderCase, FolderError
from mtctl.errors import MtctlError
from mtctl.geometry import Mask, Volume
from mtctl.io.volumes import write_segmentation
from mtctl.review.document import read_review, write_review
from mtctl.review.session import ReviewSession
from mtctl.system.files import file_sha256
from mtctl.system.holds import Holds, notes_locked

#: Reviews of one case that are kept beside each other, at most.
_MOST = 10_000


@dataclass(frozen=True)
class _Files:
    """SHA-256 of the two files of a review; None: there is none."""

    review: str | None
    corrected: str | None


class ReviewFiles:
    """The reviews of the cases that this process has open."""

    def __init__(self, holds: Holds) -> None:
        """Use the holds by which others know what is open here."""
        self._holds = holds
        self._known: dict[Path, _Files] = {}  # by the path of the review
        self._beside: dict[Path, FolderCase] = {}

    def resume(self, case: FolderCase, data: CaseData, ours: bool) -> tuple[ReviewSession, Mask, tuple[str, ...]]:
        """Read the review as it was left; where it does not fit, begin a new one.

        Args:
            case: The case.
            data: What its files hold.
            ours: Whether nobody else has it open: then a review that does not fit is renamed.

        Returns:
            The review, the segmentation, and what the person should know.
        """
        self._beside.pop(case.review, None)
        self._known[case.review] = _files_of(case)  # before they are read: what comes later is noticed
        fresh = ReviewSession(data.maps), data.maps.segmentation.copy()
        if not case.review.is_file() or case.review.is_symlink():
            return *fresh, ()
        try:
            left = read_corrected(case, data.maps.geometry)
            session = read_review(case.review, data.maps, left)
        except MtctlError as error:
            if not ours:
                return *fresh, (f"The review of the other person cannot be shown. Reason: {error}",)
            kept = set_aside(case)
            self._known[case.review] = _files_of(case)
            return *fresh, (f"A new review was begun; the one before is kept as {kept}. Reason: {error}",)
        return session, data.maps.segmentation.copy() if left is None else left, ()

    def save(self, case: FolderCase, session: ReviewSession, mask: Mask) -> str:
        """Write a review: in its place, or beside it where somebody else wrote there or has the case now.

        Returns:
            What the person should know of the other review; "": there is none.

        Raises:
            WriteError: It cannot be written.
        """
        with notes_locked(case.folder):
            if case.review not in self._beside and self._is_another_s(case):
                self._beside[case.review] = _free_name(case)
            beside = self._beside.get(case.review)
            self._write(beside or case, session, mask)
        if beside is None:
            return ""
        return (
            f"another reviewer went on with this case: theirs is {case.review.name}, and yours is kept beside it as "
            f"{beside.review.name}"
        )

    def prefer_ours(self, case: FolderCase, session: ReviewSession, mask: Mask) -> str:
        """Put this review in the place of the other, which is kept under another name; return that name or "".

        Raises:
            WriteError: It cannot be written.
        """
        with notes_locked(case.folder):
            kept = set_aside(case) if case.review.exists() or case.corrected.exists() else ""
            self._known[case.review] = _files_of(case)
            self._write(case, session, mask)
            if beside := self._beside.pop(case.review, None):
                with suppress(OSError):
                    beside.corrected.unlink(missing_ok=True)
                    beside.review.unlink(missing_ok=True)
        return kept

    def _is_another_s(self, case: FolderCase) -> bool:
        if self._holds.holder(case.folder, case.stem) is not None:
            return True
        known = self._known.get(case.review)
        return known is not None and known != _files_of(case)

    def _write(self, case: FolderCase, session: ReviewSession, mask: Mask) -> None:
        """Write both files. The mask goes first: what the review says of edits is worked out from it anew."""
        edited = bool((mask != session.maps.segmentation).any())
        try:
            if edited or case.corrected.exists():
                write_whole(case.corrected, lambda path: write_segmentation(Volume(mask, session.maps.geometry), path))
            write_whole(case.review, lambda path: write_review(path, session))
        finally:  # also where one was written and the other was not: both are ours
            self._known[case.review] = _files_of(case)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file, unless a link has its name.

    Raises:
        FolderError: It has.
        WriteError: It cannot be written.
    """
    if path.is_symlink():
        raise FolderError(f"{path.name}: is a link; nothing is written through links")
    write(path)


def set_aside(case: FolderCase) -> str:
    """Rename a review; return its new name.

    Raises:
        FolderError: There are too many.
    """
    for number in range(1, _MOST):
        ending = f".before-{number}"
        review = case.review.with_name(f"{case.stem}{ending}.review.json")
        corrected = case.corrected.with_name(f"{case.stem}{ending}.review.seg.nrrd")
        if review.exists() or corrected.exists():
            continue
        if case.review.exists():
            case.review.rename(review)
        if case.corrected.exists():
            case.corrected.rename(corrected)
        return review.name
    raise FolderError(f"{case.stem}: too many old reviews")


def _free_name(case: FolderCase) -> FolderCase:
    for number in range(1, _MOST):
        beside = replace(case, stem=f"{case.stem}.beside-{number}")
        if not beside.review.exists() and not beside.corrected.exists():
            return beside
    raise FolderError(f"{case.stem}: too many reviews beside each other")


def _files_of(case: FolderCase) -> _Files:
    return _Files(_sum(case.review), _sum(case.corrected))


def _sum(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except FileNotFoundError:
        return None
    except OSError:
        return "unreadable"
