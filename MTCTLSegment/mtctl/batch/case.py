"""One scan from file to files: read, predict, report, and put all results in place at once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtctl import __version__
from mtctl.errors import MtctlError, cause_of, printable
from mtctl.geometry import Geometry, Triple, Volume, spacing_text
from mtctl.inference.prediction import Options, Prediction, ProgressCallback
from mtctl.inference.report import CaseReport, make_report
from mtctl.inference.segmenter import Segmenter
from mtctl.io.checksums import scan_sum
from mtctl.io.dicom.privacy import without_file_names
from mtctl.io.dicom.series import ChosenSeries
from mtctl.io.dicom.source import DicomOutputError, DicomSource
from mtctl.io.dicom.writer import Provenance, prepare_dicom, write_dicom
from mtctl.io.given_spacing import same_spacing, with_given_spacing
from mtctl.io.inputs import ScanInput
from mtctl.io.results import (
    DICOM_MAP,
    DICOM_SEGMENTATION,
    PICTURE,
    REPORT,
    SEGMENTATION,
    ResultFiles,
    finish_interrupted,
)
from mtctl.io.volumes import read_scan, write_segmentation, write_volume
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.resampling import from_grid, to_grid
from mtctl.processes.readers import READING
from mtctl.uncertainty.kinds import BY_OPTION, KINDS

if TYPE_CHECKING:
    from mtctl.figures.case_figure import CasePicture

#: Voxels (x, y, z) of the case's picture.
_PICTURE_MM = (0.625, 0.625, 0.625)

#: What `all_maps` adds: the names of maps by how their files are called.
_EXTRA_MAPS = {"probability": "probability"} | {kind.option: kind.name for kind in KINDS}


# Key in a report: why there are no DICOM results, although they were asked for.
_WITHOUT_DICOM = "without_dicom"
# Key in a report: why there is no picture.
_WITHOUT_PICTURE = "without_picture"


class ResultsExistError(MtctlError):
    """Other results lie where these would be written."""


@dataclass(frozen=True)
class Request:
    """What to do with every scan of a run.

    Attributes:
        out: Folder for the results.
        options: How to predict.
        uncertainty: Option of one of `kinds.KINDS`.
        threshold: Of the uncertainty, in [0, 1]; None for the model's.
        all_maps: Whether to write every map.
        dicom: Whether to write segmentation and uncertainty as DICOM too, beside the others; of DICOM inputs only.
        overwrite: Whether other results with the same name may be replaced.
        spacing: The true one, mm along the file's axes x, y, z, where headers are wrong; None for the files' own.
    """

    out: Path
    options: Options = Options()
    uncertainty: str = KINDS[0].option
    threshold: float | None = None
    all_maps: bool = False
    dicom: bool = False
    overwrite: bool = False
    spacing: Triple | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        source: The input.
        stem: Of its results.
        report: The content of <stem>.json.
        skipped: Whether it was there already, made from the same input, model and settings.
    """

    source: ScanInput
    stem: str
    report: dict[str, Any]
    skipped: bool

    @property
    def without_dicom(self) -> str:
        """Why there are no DICOM results, although they were asked for; "" where there are, or were not asked for."""
        return str(self.report.get(_WITHOUT_DICOM, ""))


def segment_case(
    source: ScanInput, segmenter: Segmenter, request: Request, progress: ProgressCallback = lambda stage, share: None
) -> Outcome:
    """Segment one file or DICOM folder and write its results.

    Whatever happens on the way, `request.out` holds the old results or the new ones. What stands in the way of DICOM
    results is found before the network runs, said then, and costs them alone; a picture that cannot be drawn does too.

    Raises:
        MtctlError: The input, the region or the output folder is unusable; the message says why.
    """
    # Not before a worker of a cluster has a folder in which matplotlib can write.
    from mtctl.figures.case_figure import write_case_figure

    progress(READING, 0.0)
    choice, stem = source.chosen, source.stem
    scan = read_scan(source.path, request.spacing, choice)
    volume, filed = scan.volume, scan.filed
    fingerprint = _fingerprint(volume, filed, segmenter, request)
    files = ResultFiles(request.out, stem)
    if not files.complete(_endings(request)) and files.present():
        finish_interrupted(request.out, [stem])  # Perhaps a run was killed in the middle of moving them in.
    previous = files.report() or {}
    same = previous if previous.get("fingerprint") == fingerprint else {}
    if same and files.complete(_endings(request)):
        return Outcome(source, stem, same, skipped=True)
    card = segmenter.model.card
    made = Provenance(f"{card.id} {card.version}", _scale(request), fingerprint)
    dicom, obstacle = _prepare(choice, volume.geometry, filed, made) if request.dicom else (None, "")
    if obstacle:
        print(f"mtctl: warning: {printable(source.path)}: {_no_dicom(obstacle)}", file=sys.stderr, flush=True)
        if same and files.complete(_endings(dataclasses.replace(request, dicom=False))):
            return Outcome(source, stem, same | {_WITHOUT_DICOM: obstacle}, skipped=True)
    in_the_way = files.present()
    if in_the_way and not request.overwrite and not same.keys() & {_WITHOUT_DICOM, _WITHOUT_PICTURE}:
        raise _in_the_way(request.out / in_the_way[0])

    prediction = segmenter.predict(volume, request.options, progress)
    found = make_report(prediction, card, request.options, request.uncertainty, request.threshold)
    report = {"input": stem if choice else source.path.name, **found.report}
    report |= {"scan_sha256": scan_sum(volume), "fingerprint": fingerprint}
    report = with_given_spacing(report, volume.geometry.spacing, filed.spacing)
    remarks = [without_file_names(one, source.path) for one in scan.remarks] if choice else scan.remarks
    report["warnings"] = [*report["warnings"], *remarks, *(dicom.remarks if dicom else ())]
    with files.replacing(in_the_way) as folder:
        mask = Volume(prediction.segmentation.astype(np.uint8), volume.geometry)
        write_segmentation(mask, folder / f"{stem}{SEGMENTATION}")
        write_volume(found.uncertainty, folder / f"{stem}.uncertainty.nrrd")
        write_volume(prediction.on_source("distance"), folder / f"{stem}.distance.nrrd")
        if request.all_maps:
            for kind, name in _EXTRA_MAPS.items():
                write_volume(prediction.on_source(name), folder / f"{stem}.{kind}.nrrd")
        if dicom:
            files_out = folder / f"{stem}{DICOM_SEGMENTATION}", folder / f"{stem}{DICOM_MAP}"
            try:
                write_dicom(dicom, mask, found.uncertainty, made, *files_out)
            except (DicomOutputError, MemoryError) as error:
                obstacle = str(error) or "not enough memory"
        if obstacle:
            report |= {_WITHOUT_DICOM: obstacle, "warnings": [*report["warnings"], _no_dicom(obstacle)]}
        try:
            write_case_figure(_view(stem, volume, prediction, found, request), folder / f"{stem}{PICTURE}")
        except (MtctlError, OSError):  # What stands in the way of this file does so for the others.
            raise
        except Exception as error:  # A library that draws is no reason to lose the segmentation.
            report |= {_WITHOUT_PICTURE: cause_of(error)}
            report |= {"warnings": [*report["warnings"], f"no picture: {cause_of(error)}; run again to have it drawn"]}
        (folder / f"{stem}{REPORT}").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        # Looked at again: another run, or another worker with a series of the same UID, may have been quicker.
        meanwhile = files.report()
        if meanwhile and meanwhile["fingerprint"] != fingerprint and not request.overwrite:
            raise _in_the_way(files.path(REPORT))
    return Outcome(source, stem, report, skipped=False)


def _prepare(
    choice: ChosenSeries | None, geometry: Geometry, filed: Geometry, made: Provenance
) -> tuple[DicomSource | None, str]:
    """Return what DICOM results refer to, or None and what stands in their way."""
    if choice is None:
        return None, "this is no DICOM folder, so there is nothing that they could refer to (--dicom-seg)"
    if not same_spacing(geometry.spacing, filed.spacing):
        return None, (
            f"the images say {spacing_text(filed.spacing)} mm, and what refers to them cannot have another spacing: "
            "leave away --dicom-seg, or --spacing"
        )
    try:
        return prepare_dicom(choice.series, geometry, made), ""
    except (DicomOutputError, MemoryError) as error:
        return None, str(error) or "not enough memory"


def _no_dicom(obstacle: str) -> str:
    return f"no DICOM results: {obstacle}"


def _scale(request: Request) -> str:
    """Return what the values of the uncertainty mean, for figures and DICOM."""
    return f"uncertainty ({BY_OPTION[request.uncertainty].title})"


def _in_the_way(path: Path) -> ResultsExistError:
    return ResultsExistError(
        f"{path}: results of another input, model or setting are in the way; use --overwrite or another output folder"
    )


def _fingerprint(volume: Volume, filed: Geometry, segmenter: Segmenter, request: Request) -> str:
    """Sum up the input's voxels and geometry, the model's card and every setting that changes the results (SHA-256).

    Of the voxels, not of the file: a header file (.nhdr, .mhd) stays the same when the voxels beside it change.
    """
    digest = hashlib.sha256(np.ascontiguousarray(volume.array).data)
    settings = {
        "geometry": volume.geometry.to_json(),
        "spacing_in_file": filed.spacing,
        "options": dataclasses.asdict(request.options),
        "uncertainty": request.uncertainty,
        "threshold": request.threshold,
        "all_maps": request.all_maps,
        "dicom": request.dicom,
        "card": dataclasses.asdict(segmenter.model.card),
        "device": segmenter.device.type,
        "version": __version__,
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def _endings(request: Request) -> list[str]:
    maps = ["uncertainty", "distance", *(_EXTRA_MAPS if request.all_maps else [])]
    objects = [DICOM_SEGMENTATION, DICOM_MAP] if request.dicom else []
    return [SEGMENTATION, *(f".{name}.nrrd" for name in maps), *objects, REPORT, PICTURE]


def _view(stem: str, volume: Volume, prediction: Prediction, found: CaseReport, request: Request) -> CasePicture:
    from mtctl.figures.case_figure import CasePicture

    report = found.report
    grid = canonical_geometry(volume.geometry, _PICTURE_MM, prediction.region)
    image, _ = to_grid(volume, grid)
    mask = from_grid(prediction.segmentation.astype(np.float32), prediction.source, grid, 0.0) >= 0.5
    uncertainty = from_grid(found.uncertainty.array, prediction.source, grid, 0.0)
    low, high = report["case_score_interval"]
    return CasePicture(
        image=image,
        mask=mask,
        uncertainty=uncertainty,
        scale=_scale(request),
        title=f"{stem}    left atrium {report['volume_ml']:.1f} mL",
        subtitle=f"likely Dice {low:.2f}-{high:.2f}{', please look' if report['flagged'] else ''}    "
        f"{report['likely_wrong_ml']:.1f} mL likely wrong    research use only",
    )
