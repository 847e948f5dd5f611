"""What names a patient stays off the screen and out of files: pydicom's warnings, and the names of DICOM files."""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtctl.io.folders import walk

_LOGGERS = ("pydicom", "highdicom")


@contextmanager
def quiet_dicom() -> Iterator[None]:
    """Keep both libraries' warnings off the screen and out of every log: what matters in them is said in our own words.

    Their loggers stay shut afterwards: what they would say later, of the same headers, is no less confidential.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
