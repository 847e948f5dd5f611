"""Whether the views can be drawn here, asked before VTK is loaded: without an OpenGL library it ends the process."""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec

from mtctl.errors import MtctlError

#: One of them draws: on a screen, without one, or without a graphics card.
_LIBRARIES = ("libEGL.so.1", "libOSMesa.so.8", "libOSMesa.so.6")


def require() -> None:
    """See that trame-slicer and an OpenGL library are there.

    Raises:
        MtctlError: One is not; the message says how to install it.
    """
    missing = next((name for name in ("trame", "trame_slicer", "slicer") if find_spec(name) is None), None)
    if missing:
        raise MtctlError(
            f"the reviewer needs the Python package '{missing}': python -m pip install 'slicer-mtctl[review]'"
        )
    if sys.platform == "linux" and not _draws():
        raise MtctlError(
            "the reviewer needs an OpenGL library: sudo apt-get install libegl1 libgl1 libgl1-mesa-dri (on Debian and "
            "Ubuntu)"
        )


def _draws() -> bool:
    libraries = ("libGL.so.1",) if os.environ.get("DISPLAY") else _LIBRARIES
    return any(_loads(name) for name in libraries) and _loads("libGL.so.1")


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
