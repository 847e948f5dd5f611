"""pydicom and highdicom without their warnings, which print what stands in a header: names and numbers of patients."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
