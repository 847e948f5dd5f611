"""Names of cases: what they may be on every system, and those that are made from a scan."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from mtctl.cases.records import CaseError

ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")

#: Windows makes no folders of these names, whatever follows a dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(1, 10))}


def usable(id: str) -> str:
    """The name, unchanged.

    Raises:
        CaseError: No case can have it.
    """
    if not ID.fullmatch(id) or id.split(".")[0].casefold() in _DEVICES:
        raise CaseError(
            f"'{id}' cannot be the name of a case: 1 to 64 letters, digits, '.', '_' and '-', beginning with a letter "
            "or digit and not ending with '.'"
        )
    return id


def made_ids(total: str) -> Iterator[str]:
    """Names for a scan with this sum; more than one, as scans of the same voxels on another grid share it."""
    yield f"case-{total[:12]}"
    yield from (f"case-{total[:12]}-{number}" for number in count(2))
