"""Results as DICOM: a segmentation (SEG) and the uncertainty as a Parametric Map, tied to the slices of the scan.

They carry the patient module of these slices, since DICOM demands it of every object of a study: they are as
confidential as the scan itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mtctl
from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Volume
from mtctl.io.dicom.multiframe import frame_places
from mtctl.io.dicom.series import Series
from mtctl.system.files import replacing

_MANUFACTURER = "SlicerMTCTL"
_DEVICE = "MT-CTL left-atrium segmentation"

# Type 2 attributes: there must be such an element, if an empty one; exporters forget some. highdicom copies them all.
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip

_SAME_PLACE_MM = 0.01


class DicomOutputError(MtctlError):
    """Results cannot be written as DICOM."""


@dataclass(frozen=True)
class Provenance:
    """How results were made.

    Attributes:
        by: Id and version of the model.
        uncertainty: Which one, in words.
        fingerprint: Hash of input, model and settings; the UIDs are made from it, so that the same results have the
            same UIDs.
    """

    by: str
    uncertainty: str
    fingerprint: str


def require_highdicom() -> None:
    """Raise where what writes DICOM is not installed.

    Raises:
        DicomOutputError: highdicom is not installed.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise DicomOutputError("DICOM output needs the package highdicom: pip install 'slicer-mtctl[dicom]'") from None


def write_dicom(
    series: Series, mask: Volume, uncertainty: Volume, made: Provenance, segmentation: Path, map_: Path
) -> None:
    """Write both objects.

    Args:
        series: The source.
        mask: The segmentation on the source's grid.
        uncertainty: In [0, 1], on the same grid.
        made: How the results were made.
        segmentation: File for the SEG.
        map_: File for the Parametric Map.

    Raises:
        DicomOutputError: highdicom is not installed, or cannot refer to this source.
        WriteError: A file cannot be written.
    """
    require_highdicom()
    import highdicom as hd

    source, order = _source(series, mask.geometry)
    shared = _shared(made)
    try:
        seg = hd.seg.Segmentation(
            source_images=source,
            pixel_array=(mask.array != 0)[order].astype(np.uint8),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_left_atrium(made)],
            omit_empty_frames=False,  # Else the object would end where the atrium ends, on a grid of its own.
            content_label="LEFT_ATRIUM",
            content_description="Left atrium, segmented automatically",
            series_instance_uid=_uid(made, "series seg"),
            sop_instance_uid=_uid(made, "seg"),
            series_number=9001,
            **shared,
        )
        parametric = hd.pm.ParametricMap(
            source_images=source,
            # Float pixels: Slicer reads no other maps. GDCM, and so SimpleITK, reads no Parametric Map of any kind.
            pixel_array=uncertainty.array[order].astype(np.float32),
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[_unit(made)],
            voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
            content_label="UNCERTAINTY",
            content_description=made.uncertainty[:64],
            series_instance_uid=_uid(made, "series map"),
            sop_instance_uid=_uid(made, "map"),
            series_number=9002,
            **shared,
        )
    except (AttributeError, ValueError, TypeError) as error:
        raise DicomOutputError(f"the series lacks what a DICOM object has to refer to: {error}") from error
    for data, path in ((seg, segmentation), (parametric, map_)):
        with replacing(path) as part:
            data.save_as(part)


def _source(series: Series, geometry: Geometry) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the source's data sets, and for each of its frames, in their order, the slice of our volume that it is."""
    import pydicom

    # By force: what GDCM has read may lack the preamble that pydicom insists on.
    sets = [pydicom.dcmread(file, force=True) for file in series.files]
    if series.frames > 1:
        places = [list(one.position) for one in frame_places(sets[0], series.files[0])]
    else:
        places = [[float(value) for value in data.ImagePositionPatient] for data in sets]
    index = geometry.physical_to_index(places)
    order = np.rint(index[:, 2]).astype(np.int64)
    off = np.abs(geometry.index_to_physical(index * [0, 0, 0] + order[:, None] * [0, 0, 1]) - places).max()
    if sorted(order) != list(range(geometry.size[2])) or off > max(_SAME_PLACE_MM, 0.5 * min(geometry.spacing)):
        raise DicomOutputError(
            "the slices are not where the results were made for; run again with the unchanged series"
        )
    for data in sets:
        for name in _MAY_BE_EMPTY:
            if name not in data:
                setattr(data, name, "")
        if series.frames == 1:
            # Copied by highdicom, and trusted by readers; exporters often have it wrong (the thickness, or 1).
            data.SpacingBetweenSlices = geometry.spacing[2]
            data.SliceThickness = data.get("SliceThickness") or geometry.spacing[2]
        if "FrameOfReferenceUID" not in data:
            data.FrameOfReferenceUID = pydicom.uid.generate_uid(entropy_srcs=[series.uid, "frame of reference"])
    if series.frames > 1:
        return sets, order
    return [sets[int(number)] for number in np.argsort(order)], np.arange(len(sets))


def _shared(made: Provenance) -> dict[str, Any]:
    return {
        "instance_number": 1,
        "manufacturer": _MANUFACTURER,
        "manufacturer_model_name": _DEVICE,
        "software_versions": f"mtctl {mtctl.__version__}",
        "device_serial_number": made.by[:64],
    }


def _left_atrium(made: Provenance) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Left atrium",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=hd.sr.CodedConcept("82471001", "SCT", "Left atrium"),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="MT-CTL", family=codes.DCM.ArtificialIntelligence, version=made.by, source=_MANUFACTURER
        ),
        tracking_id="left atrium",
        tracking_uid=_uid(made, "tracking"),
        display_color=hd.color.CIELabColor.from_rgb(217, 64, 64),
    )


def _unit(made: Provenance) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.pm.RealWorldValueMapping(
        lut_label="UNCERTAINTY",
        lut_explanation=made.uncertainty[:64],
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=hd.sr.CodedConcept("uncertainty", f"99{_MANUFACTURER}"[:16], "Voxel-wise uncertainty"),
    )


def _uid(made: Provenance, what: str) -> str:
    import pydicom

    return str(pydicom.uid.generate_uid(entropy_srcs=[made.fingerprint, what]))
