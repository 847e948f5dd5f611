"""The kinds of uncertainty: a new one needs a line here, a function in `maps`, an option in MTCTLSegmentCLI.xml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UncertaintyKind:
    """A kind of voxel-wise uncertainty, in [0, 1].

    Attributes:
        name: Key of its map in a prediction and in a case store, and value of its node's attribute in a scene.
        option: Its name on the command line and in the names of result files.
        title: What is measured, as figures and DICOM objects state it.
        legend: Text above the colours in Slicer's views.
        choice: Text in the list from which a person chooses the heatmap.
        outside: Value of the map outside the region that the network saw.
    """

    name: str
    option: str
    title: str
    legend: str
    choice: str
    outside: float = 0.0


#: All of them; the first is the one that is reviewed, and shown at first.
KINDS = (
    UncertaintyKind("entropy", "entropy", "predictive entropy / ln 2", "Uncertainty", "Predictive uncertainty"),
    UncertaintyKind(
        "mutual_information",
        "mutual-information",
        "mutual information / ln 2",
        "Uncertainty (mutual information)",
        "Model uncertainty (samples differ)",
    ),
    UncertaintyKind(
        "disagreement",
        "disagreement",
        "cross-task disagreement",
        "Uncertainty (disagreement)",
        "Mask and distance map differ",
    ),
)

#: Their names, in the same order.
NAMES = tuple(kind.name for kind in KINDS)

#: Each by its name.
BY_NAME = {kind.name: kind for kind in KINDS}

#: Each by its option.
BY_OPTION = {kind.option: kind for kind in KINDS}
