"""Results as DICOM: a segmentation (SEG) and the uncertainty as a Parametric Map, tied to the slices of the scan.

They carry the patient module of these slices, since DICOM demands it of every object of a study: they are as
confidential as the scan itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mtctl
from mtctl.geometry import Geometry, Volume
from mtctl.io.dicom.privacy import quiet_dicom
from mtctl.io.dicom.series import Series
from mtctl.io.dicom.source import DicomOutputError, DicomSource, dicom_source
from mtctl.system.files import replacing

_MANUFACTURER = "SlicerMTCTL"
_DEVICE = "MT-CTL left-atrium segmentation"


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


def prepare_dicom(series: Series, geometry: Geometry, made: Provenance) -> DicomSource:
    """Read what results refer to, and make both objects on trial with frames of 2 x 2 voxels.

    Whatever stands in the way of DICOM results is known then, before the network runs.

    Args:
        series: The scan.
        geometry: The grid that it was read on.
        made: How the results will be made.

    Raises:
        DicomOutputError: highdicom is not installed, or cannot refer to this source.
    """
    require_highdicom()
    source = dicom_source(series, geometry)
    x, y, z = geometry.size
    small = dataclasses.replace(geometry, size=(min(x, 2), min(y, 2), z))
    empty = Volume(np.zeros(small.shape, np.float32), small)
    _set_size(source, small)
    try:
        for data in _objects(source, empty, empty, made):
            _encode(data)
    finally:
        _set_size(source, geometry)
    return source


def write_dicom(
    source: DicomSource, mask: Volume, uncertainty: Volume, made: Provenance, segmentation: Path, map_: Path
) -> None:
    """Write both objects.

    Args:
        source: What they refer to.
        mask: The segmentation on the source's grid.
        uncertainty: In [0, 1], on the same grid.
        made: How the results were made.
        segmentation: File for the SEG.
        map_: File for the Parametric Map.

    Raises:
        DicomOutputError: highdicom cannot refer to this source.
        WriteError: A file cannot be written.
    """
    encoded = [_encode(data) for data in _objects(source, mask, uncertainty, made)]
    for content, path in zip(encoded, (segmentation, map_), strict=True):
        with replacing(path) as part:
            part.write_bytes(content)


def _set_size(source: DicomSource, geometry: Geometry) -> None:
    for data in source.sets:
        data.Columns, data.Rows = geometry.size[:2]


def _encode(data: Any) -> memoryview:
    with quiet_dicom():
        stream = BytesIO()
        try:
            data.save_as(stream)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _refused(error) from None
        return stream.getbuffer()


def _refused(error: Exception) -> DicomOutputError:
    # The message of highdicom may hold what stands in the header.
    return DicomOutputError(
        f"highdicom does not take the headers of the source ({type(error).__name__}); export the series again from its "
        "source, or leave away --dicom-seg"
    )


def _objects(source: DicomSource, mask: Volume, uncertainty: Volume, made: Provenance) -> tuple[Any, Any]:
    with quiet_dicom():
        try:
            segmentation = _segmentation(source, (mask.array != 0)[source.order].astype(np.uint8), made)
            map_ = _parametric_map(source, uncertainty.array[source.order].astype(np.float32), made)
            for data in (segmentation, map_):
                _name_classes(data, source.classes)
            return segmentation, map_
        except MemoryError:
            raise
        except Exception as error:
            raise _refused(error) from None


def _name_classes(data: Any, classes: Mapping[str, str]) -> None:
    """Refer to the source's files with their own SOP classes."""
    references = [*data.SourceImageSequence]
    references += [one for series in data.ReferencedSeriesSequence for one in series.ReferencedInstanceSequence]
    for frame in data.PerFrameFunctionalGroupsSequence:
        references += [one for origin in frame.DerivationImageSequence for one in origin.SourceImageSequence]
    for one in references:
        one.ReferencedSOPClassUID = classes[one.ReferencedSOPInstanceUID]


def _segmentation(source: DicomSource, frames: NDArray[np.uint8], made: Provenance) -> Any:
    import highdicom as hd

    return hd.seg.Segmentation(
        source_images=source.sets,
        pixel_array=frames,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_left_atrium(made)],
        omit_empty_frames=False,  # Else the object would end where the atrium ends, on a grid of its own.
        content_label="LEFT_ATRIUM",
        content_description="Left atrium, segmented automatically",
        series_instance_uid=_uid(made, "series seg"),
        sop_instance_uid=_uid(made, "seg"),
        series_number=9001,
        **_shared(made),
    )


def _parametric_map(source: DicomSource, frames: NDArray[np.float32], made: Provenance) -> Any:
    import highdicom as hd

    parametric = hd.pm.ParametricMap(
        source_images=source.sets,
        # Float pixels: Slicer reads no other maps. GDCM, and so SimpleITK, reads no Parametric Map of any kind.
        pixel_array=frames,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_unit(made)],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        # Not highdicom's QUANTITY: validators (dciodvfy) do not know that term of the standard yet.
        derived_pixel_contrast=hd.pm.DerivedPixelContrastValues.NONE,
        content_label="UNCERTAINTY",
        content_description=made.uncertainty[:64],
        series_instance_uid=_uid(made, "series map"),
        sop_instance_uid=_uid(made, "map"),
        series_number=9002,
        **_shared(made),
    )
    parametric.BodyPartExamined = "HEART"  # There is one of it: without this, its Laterality would have to be said.
    return parametric


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
        # A code of SNOMED's, not one of ours: validators do not know private schemes. The explanation says which.
        quantity_definition=hd.sr.CodedConcept("64957009", "SCT", "Uncertain"),
    )


def _uid(made: Provenance, what: str) -> str:
    import pydicom

    return str(pydicom.uid.generate_uid(entropy_srcs=[made.fingerprint, what]))
