"""The one list of uncertainties: a new one is a line here, a function in `maps`, its option in MTCTLSegmentCLI.xml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UncertaintyKind:
    """An uncertainty of every voxel, in [0, 1].

    Attributes:
        name: Of its map in a prediction and in a case store, and in the attribute of its node in a scene.
        option: On the command line and in the names of result files.
        title: What is measured, in figures and in DICOM.
        legend: Above the colours in Slicer's views.
        choice: In the list from which a person chooses the heatmap.
        outside: Its value outside the region that was looked at.
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
