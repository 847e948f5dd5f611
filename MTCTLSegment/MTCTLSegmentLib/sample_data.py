"""Sample data that needs no internet: phantoms that are computed on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from mtctl.scene.types import Node

CATEGORY = "MT-CTL"

#: Seeds that no training uses.
SEEDS = (7, 11)


def register(thumbnail: Path) -> None:
    """Register the phantoms with the Sample Data module, when the application has started."""
    import SampleData

    for number, seed in enumerate(SEEDS, 1):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=_("LGE phantom {number} (no download)").format(number=number),  # What the button says.
            thumbnailFileName=str(thumbnail),
            # Slicer wants one of each also where nothing is fetched.
            uris=f"mtctl:phantom{seed}",
            fileNames=f"phantom{seed}.nrrd",
            nodeNames=_node_name(seed),
            customDownloader=_downloader(seed),
        )


def phantom(seed: int) -> Node:
    """Return a synthetic scan as a volume node, shown in the views.

    Args:
        seed: 0 or more; the same seed gives the same scan.
    """
    from mtctl.synthetic.phantom import make_phantom

    made = make_phantom(seed)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", _node_name(seed))
    node.SetSpacing(*made.spacing_mm)
    # The phantom's axes are LPS, MRML's are RAS.
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(made.image))
    node.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def _node_name(seed: int) -> str:
    return f"LGE phantom {seed}"


def _downloader(seed: int) -> Callable[[object], Node]:
    def download(_source: object) -> Node:
        slicer.util.showStatusMessage(_("Computing the phantom ..."), 3000)
        return phantom(seed)

    return download
