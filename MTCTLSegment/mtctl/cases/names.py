"""Names of cases, usable on every system, and of the authors of drafts."""

from __future__ import annotations

import getpass
import hashlib
import re
import socket
from collections.abc import Iterator
from itertools import count

from mtctl.cases.records import CaseError

ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")

#: Windows makes no folders of these names, whatever follows a dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}


def checked_id(id: str) -> str:
    """Return the name of a case unchanged, after a check.

    Raises:
        CaseError: No case can have it.
    """
    if not ID.fullmatch(id) or id.split(".")[0].casefold() in _DEVICES:
        raise CaseError(
            f"'{id}' cannot be the name of a case: 1 to 64 letters, digits, '.', '_' and '-', beginning with a letter "
            "or digit and not ending with '.'"
        )
    return id


def ids_for_scan(total: str) -> Iterator[str]:
    """Yield names for a scan with this checksum: several, as scans of the same voxels on other grids share it."""
    yield f"case-{total[:12]}"
    yield from (f"case-{total[:12]}-{number}" for number in count(2))


def author_of(reviewer: str) -> str:
    """Return whose draft it is: a pseudonym, or else a hash of who is logged in here, as that is a name."""
    if reviewer:
        return reviewer
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # KeyError until Python 3.13
        user = ""
    return hashlib.sha256(f"{user}@{socket.gethostname()}".encode()).hexdigest()[:12]
