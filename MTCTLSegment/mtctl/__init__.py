"""MT-CTL: left-atrium segmentation with voxel-wise uncertainty on gadolinium-enhanced MRI.

The interface for programs is what stands in `__all__`; it is loaded when it is first used, as it takes torch along.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtctl.inference.segmenter import Segmenter
    from mtctl.io.volumes import read_volume
    from mtctl.models.model import find_model

__all__ = ["Segmenter", "__version__", "find_model", "read_volume"]

__version__ = "0.1.0"

_MODULES = {
    "Segmenter": "mtctl.inference.segmenter",
    "find_model": "mtctl.models.model",
    "read_volume": "mtctl.io.volumes",
}


def __getattr__(name: str) -> Any:
    """Load a name of the interface when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
