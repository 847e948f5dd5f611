"""Whether the host can run here; asked before anything that would crash is imported.

VTK ends the process with a segmentation fault where there is no OpenGL library. So the libraries are tried first, and
what to install is said in words.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys

PACKAGES = {"slicer_core": "slicer-core==5.11.0.6", "PySide6": "PySide6-Essentials"}
DEBIAN_RENDERING = "libegl1 libgl1 libgl1-mesa-dri"
DEBIAN_QT = "libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 fonts-dejavu-core"

_EGL_PLATFORM_SURFACELESS = 0x31DD  # EGL_PLATFORM_SURFACELESS_MESA: a display that needs no screen


class HostUnavailableError(RuntimeError):
    """Something that the host needs is not installed; the message says what to install."""


def missing_requirement() -> str | None:
    """What must be installed first, as a sentence; None when the host can start."""
    for module, requirement in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            return f"Python package {module} is not installed: pip install '{requirement}'"
    if sys.platform != "linux":
        return None
    if not _opengl_works():
        return f"no OpenGL library to render with: sudo apt-get install {DEBIAN_RENDERING}"
    try:
        importlib.import_module("PySide6.QtWidgets")
    except ImportError as error:
        return f"Qt does not load ({error}): sudo apt-get install {DEBIAN_QT}"
    return None


def _opengl_works() -> bool:
    """Whether an off-screen OpenGL context can be made: OSMesa where asked for, otherwise EGL, otherwise X."""
    if os.environ.get("VTK_DEFAULT_OPENGL_WINDOW") == "vtkOSOpenGLRenderWindow":
        return any(_library(name) is not None for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"))
    if os.environ.get("DISPLAY"):
        return _library("libGL.so.1") is not None
    egl = _library("libEGL.so.1")
    if egl is None or _library("libGL.so.1") is None:
        return False
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    address = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not address:
        return False
    display_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(address)
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    return bool(egl.eglInitialize(display_of(_EGL_PLATFORM_SURFACELESS, None, None), None, None))


def _library(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
