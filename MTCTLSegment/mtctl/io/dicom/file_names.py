"""Names of a DICOM folder's files, which may name a patient: on the screen they help, reports and tables lack them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mtctl.system.folders import walk


def without_file_names(text: str, folder: Path) -> str:
    """Return a text for a file, with a code in the place of each name of a file in `folder` and below.

    Short numbers, as scanners give them to their files, stay: they name nobody, and are counts elsewhere in the text.
    """
    names = {name for _, found in walk(folder) for name in found if name in text}
    for name in sorted(names, key=len, reverse=True):
        if not re.fullmatch(r"\d{1,5}", name):
            code = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", f"file-{code}", text)
    return text
