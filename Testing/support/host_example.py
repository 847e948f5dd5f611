"""The example of a module that the stand-in is tested with, and a segment that is edited in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from support.paths import TESTING

EXAMPLE = TESTING / "host" / "example" / "HostExample.py"


def voxels(slicer: Any, editor: Any) -> np.ndarray:
    segmentation = editor.segmentationNode()
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "LA", slicer.util.getNode("scan")).astype(bool)


CORNER = (12.0, 12.0, 20.0)  # of the bright box: a ball around it is partly outside
