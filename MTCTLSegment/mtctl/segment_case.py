"""One scan from file to files: read, predict, find regions, and put all results in place at once."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl import __version__
from mtctl.case_score import CaseScore
from mtctl.errors import MtctlError
from mtctl.figures import CaseView, write_case_figure
from mtctl.files import TEMPORARY_PREFIX, WriteError, write_reason
from mtctl.geometry import Volume
from mtctl.inference import Options, Prediction, Progress, Segmenter
from mtctl.metrics import surface_band
from mtctl.model import Card
from mtctl.preprocess import Box
from mtctl.regions import region_map
from mtctl.resample import from_grid, to_grid
from mtctl.uncertainty import FLAGGED_SHARE, threshold_for_volume
from mtctl.volume import input_stem, read_volume, write_segmentation, write_volume

#: What the person may choose as *the* uncertainty, and the prediction's map of it.
UNCERTAINTIES = {"entropy": "entropy", "mutual-information": "mutual_information", "disagreement": "disagreement"}

_SCALES = {
    "entropy": "uncertainty (predictive entropy / ln 2)",
    "mutual-information": "uncertainty (mutual information / ln 2)",
    "disagreement": "uncertainty (cross-task disagreement)",
}

_EXTRA_MAPS = {"probability": "probability"} | UNCERTAINTIES


class ResultsExistError(MtctlError):
    """Other results lie where these would be written."""


@dataclass(frozen=True)
class Request:
    """What to do with every scan of a run.

    Attributes:
        out: Folder for the results.
        options: How to predict.
        uncertainty: One of `UNCERTAINTIES`.
        threshold: Of the uncertainty, in [0, 1]; None for the model's.
        all_maps: Whether to write every map.
        overwrite: Whether other results with the same name may be replaced.
    """

    out: Path
    options: Options = Options()
    uncertainty: str = "entropy"
    threshold: float | None = None
    all_maps: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        source: The input.
        stem: Of its results.
        report: The content of <stem>.json.
        skipped: Whether it was there already, made from the same input, model and settings.
    """

    source: Path
    stem: str
    report: dict[str, Any]
    skipped: bool


def segment_case(
    source: Path, segmenter: Segmenter, request: Request, progress: Progress = lambda stage, share: None
) -> Outcome:
    """Segment one file or DICOM folder and write its results.

    All files are written into a hidden folder first and moved into place together, the report last: whatever
    happens on the way, `request.out` holds the old results or the new ones.

    Raises:
        MtctlError: The input, the region or the output folder is unusable; the message says why.
    """
    stem = input_stem(source)
    volume = read_volume(source)
    fingerprint = _fingerprint(volume, segmenter, request)
    report_path = request.out / f"{stem}.json"
    previous = _read_report(report_path)
    if previous and previous.get("fingerprint") == fingerprint and _complete(request, stem):
        return Outcome(source, stem, previous, skipped=True)
    in_the_way = sorted(path.name for path in request.out.glob("*") if _is_result(path.name, stem))
    if in_the_way and not request.overwrite:
        raise ResultsExistError(
            f"{request.out / in_the_way[0]}: results of another input, model or setting are in the way; "
            "use --overwrite or another output folder"
        )

    prediction = segmenter.predict(volume, request.options, progress)
    card = segmenter.model.card
    uncertainty = prediction.on_source(UNCERTAINTIES[request.uncertainty])
    threshold = _threshold(request, card, uncertainty.array, prediction)
    calibrated = card.score or CaseScore()
    score = _case_score(prediction, calibrated)
    warnings = [*prediction.doubts, *prediction.notes]
    if score["case_score"] < calibrated.flag_below:
        redraw = (
            "" if isinstance(request.options.region, Box) else "; if the atrium was missed, draw the region (--roi)"
        )
        warnings.append(f"the model is unsure of this scan (expected Dice {score['case_score']:.2f}): check it{redraw}")
    if card.score is None:
        warnings.append(
            f"the model '{card.id}' was never calibrated on validation cases: its case score is a guess "
            "(mtctl models calibrate)"
        )
    regions = region_map(uncertainty.array, prediction.segmentation, volume.geometry).regions_at(threshold)
    report = {
        "input": source.name if source.is_file() else stem,
        "geometry": dataclasses.asdict(volume.geometry),
        "model": {"id": card.id, "version": card.version, "sha256": card.sha256},
        "device": prediction.device,
        "samples": prediction.samples,
        "seed": prediction.seed,
        "region_of_interest": {
            "box_mm_lps": dataclasses.asdict(prediction.region),
            "chosen_by": _chooser(prediction, request),
        },
        "volume_ml": round(prediction.volume_ml, 3),
        "uncertainty": {"kind": request.uncertainty, **_means(uncertainty.array, prediction.segmentation)},
        **score,
        "threshold": threshold,
        "regions": [dataclasses.asdict(region) for region in regions],
        "warnings": warnings,
        "seconds": prediction.seconds,
        "version": __version__,
        "fingerprint": fingerprint,
    }
    with _all_or_none(request.out, in_the_way) as folder:
        mask = Volume(prediction.segmentation.astype(np.uint8), volume.geometry)
        write_segmentation(mask, folder / f"{stem}.seg.nrrd")
        write_volume(uncertainty, folder / f"{stem}.uncertainty.nrrd")
        write_volume(prediction.on_source("distance"), folder / f"{stem}.distance.nrrd")
        if request.all_maps:
            for kind, name in _EXTRA_MAPS.items():
                write_volume(prediction.on_source(name), folder / f"{stem}.{kind}.nrrd")
        write_case_figure(_view(stem, volume, prediction, report, request), folder / f"{stem}.png")
        (folder / report_path.name).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return Outcome(source, stem, report, skipped=False)


def _fingerprint(volume: Volume, segmenter: Segmenter, request: Request) -> str:
    """SHA-256 over the input's voxels and geometry, the model's card, and every setting that changes the results.

    Of the voxels, not of the file: a header file (.nhdr, .mhd) stays the same when the voxels beside it change.
    """
    digest = hashlib.sha256(np.ascontiguousarray(volume.array).data)
    settings = {
        "geometry": dataclasses.asdict(volume.geometry),
        "options": dataclasses.asdict(request.options),
        "uncertainty": request.uncertainty,
        "threshold": request.threshold,
        "all_maps": request.all_maps,
        "card": dataclasses.asdict(segmenter.model.card),
        "device": segmenter.device.type,
        "version": __version__,
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def _suffixes(request: Request) -> list[str]:
    maps = list(_EXTRA_MAPS) if request.all_maps else []
    return [".seg.nrrd", *(f".{name}.nrrd" for name in ["uncertainty", "distance", *maps]), ".json", ".png"]


def _complete(request: Request, stem: str) -> bool:
    return all((request.out / f"{stem}{suffix}").is_file() for suffix in _suffixes(request))


def _is_result(name: str, stem: str) -> bool:
    kinds = ("seg", "uncertainty", "distance", *_EXTRA_MAPS)
    results = {f"{stem}.json", f"{stem}.png", *(f"{stem}.{kind}.nrrd" for kind in kinds)}
    return name.casefold() in {result.casefold() for result in results}  # Windows and macOS take them for one.


def _read_report(path: Path) -> dict[str, Any] | None:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


@contextlib.contextmanager
def _all_or_none(out: Path, old: Sequence[str]) -> Iterator[Path]:
    """A hidden folder in `out`; on success its files take the place of the `old` ones, on failure those stay."""
    hidden = out / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    fresh, replaced = hidden / "new", hidden / "old"
    try:
        for folder in (fresh, replaced):
            folder.mkdir(parents=True)
        yield fresh
        for path in fresh.iterdir():
            with open(path, "rb+") as stream:
                os.fsync(stream.fileno())
        _exchange(out, fresh, replaced, old)
    except OSError as error:
        raise WriteError(f"{out}: cannot be written: {write_reason(error)}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _exchange(out: Path, fresh: Path, replaced: Path, old: Sequence[str]) -> None:
    """Move `old` files out of the way and fresh ones in, the report last; undone where a move fails (a file in use)."""
    moved: list[tuple[Path, Path]] = []
    arriving = sorted((path.name for path in fresh.iterdir()), key=lambda name: name.endswith(".json"))
    moves = [(out / name, replaced / name) for name in old] + [(fresh / name, out / name) for name in arriving]
    try:
        for source, target in moves:
            os.replace(source, target)
            moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            os.replace(target, source)
        raise


def _threshold(request: Request, card: Card, uncertainty: NDArray[np.float32], prediction: Prediction) -> float:
    """The threshold asked for, or the card's, which is of entropy; for other kinds what flags as much of this case."""
    if request.threshold is not None:
        return request.threshold
    if request.uncertainty == "entropy":
        return card.threshold
    return round(threshold_for_volume(uncertainty, FLAGGED_SHARE * float(prediction.segmentation.sum())), 4)


def _chooser(prediction: Prediction, request: Request) -> str:
    if isinstance(request.options.region, Box):
        return "user"
    return "coarse pass" if prediction.located else "whole scan"


def _means(uncertainty: NDArray[np.float32], mask: NDArray[np.bool_]) -> dict[str, float]:
    band = surface_band(mask) if mask.any() else np.ones_like(mask)
    return {"mean": round(float(uncertainty.mean()), 5), "in_band_mean": round(float(uncertainty[band].mean()), 5)}


def _case_score(prediction: Prediction, score: CaseScore) -> dict[str, Any]:
    """Expected Dice, its 90 % interval, and whether somebody must look; an empty result scores 0."""
    expected, (low, high) = score.expected(prediction.self_dice), score.interval(prediction.self_dice)
    expected, low, high = (round(value, 4) for value in (expected, low, high))
    return {
        "case_score": expected,
        "case_score_interval": [low, high],
        "self_dice": round(prediction.self_dice, 4),
        "sample_dice": round(prediction.sample_dice, 4),
        "flagged": expected < score.flag_below or bool(prediction.doubts),
    }


def _view(stem: str, volume: Volume, prediction: Prediction, report: dict[str, Any], request: Request) -> CaseView:
    regions = report["regions"]
    image, _ = to_grid(volume, prediction.grid)
    mask = from_grid(prediction.segmentation.astype(np.float32), prediction.source, prediction.grid, 0.0) >= 0.5
    low, high = report["case_score_interval"]
    left = sum(region["volume_mm3"] for region in regions) / 1000
    return CaseView(
        image=image,
        mask=mask,
        uncertainty=getattr(prediction, UNCERTAINTIES[request.uncertainty]),
        scale=_SCALES[request.uncertainty],
        title=f"{stem}    left atrium {report['volume_ml']:.1f} mL",
        subtitle=f"likely Dice {low:.2f}-{high:.2f}{', please look' if report['flagged'] else ''}    "
        f"{len(regions)} uncertain regions, {left:.1f} mL    research use only",
    )
