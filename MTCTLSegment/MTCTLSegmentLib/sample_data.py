"""Sample data that needs no internet: phantoms that are computed on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
from slicer.i18n import tr as _

from mtctl import __version__

if TYPE_CHECKING:
    from mtctl.scene.types import Node

CATEGORY = "MT-CTL"

#: Seeds that no training uses.
SEEDS = (7, 11)

_SCHEME = "mtctl:phantom"


def register(thumbnail: Path) -> None:
    """Register the phantoms with the Sample Data module, when the application has started."""
    import SampleData

    # Scripts, and Slicer's own tests, call `downloadFromSource`, which looks at the URI alone: there it becomes a file.
    if not hasattr(slicer.modules, "sampleDataUrlRewriteRules"):
        slicer.modules.sampleDataUrlRewriteRules = {}
    slicer.modules.sampleDataUrlRewriteRules[CATEGORY] = _file_uri
    for number, seed in enumerate(SEEDS, 1):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=_("LGE phantom {number} (no download)").format(number=number),  # What the button says.
            thumbnailFileName=str(thumbnail),
            # Slicer wants one of each also where nothing is fetched.
            uris=f"{_SCHEME}{seed}",
            fileNames=f"mtctl-phantom{number}-{__version__}.nrrd",
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
    slicer.util.setSliceViewerLayers(background=node, foreground=None, label=None, fit=True)  # As a file is shown.
    return node


def _node_name(seed: int) -> str:
    """Return the name that the button promises; other seeds are named by themselves."""
    return _("LGE phantom {number}").format(number=SEEDS.index(seed) + 1 if seed in SEEDS else f"of seed {seed}")


def _downloader(seed: int) -> Callable[[object], Node]:
    def download(_source: object) -> Node:
        slicer.util.showStatusMessage(_("Computing the phantom ..."), 3000)
        return phantom(seed)

    return download


def _file_uri(uri: str) -> str:
    """Return the URI of a file with the phantom, computed for it; any other URI as it is."""
    if not uri.startswith(_SCHEME):
        return uri
    from mtctl.geometry import Geometry, Volume, to_image
    from mtctl.synthetic.phantom import make_phantom

    seed = int(uri.removeprefix(_SCHEME))
    made = make_phantom(seed)
    image = np.ascontiguousarray(made.image)
    x, y, z = made.spacing_mm
    path = Path(slicer.app.temporaryPath) / f"mtctl-phantom-seed{seed}.nrrd"
    import SimpleITK as sitk

    sitk.WriteImage(to_image(Volume(image, Geometry(image.shape[::-1], (x, y, z), (0.0, 0.0, 0.0)))), str(path))
    return path.as_uri()
