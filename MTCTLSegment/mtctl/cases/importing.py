"""Scans, results of `mtctl segment` and expert masks from files into the case store. No name or tag goes in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.cases.names import checked_id
from mtctl.cases.records import VOUCHED
from mtctl.cases.store import CaseError, CaseStore, StoredCase
from mtctl.cases.volumes import MAPS, file_of
from mtctl.geometry import Geometry, Mask, Triple, Volume, same_grid, spacing_text, with_spacing
from mtctl.inference.prediction import Prediction
from mtctl.inference.result import Result
from mtctl.io.checksums import mask_sum, scan_sum
from mtctl.io.formats.endings import FORMATS
from mtctl.io.given_spacing import same_spacing
from mtctl.io.inputs import ScanInput, name_clashes, series_clashes
from mtctl.io.reports import read_report
from mtctl.io.volumes import file_stem, read_map, read_mask, read_scan


@dataclass(frozen=True)
class ImportSources:
    """What goes with the scans.

    Attributes:
        results: Folder with what `mtctl segment` made of them, or None.
        labels: Folder with <stem>.label.nrrd (or .nii.gz ...), expert masks that are vouched for, or None.
        keep_names: Name each case like its file: only where file names are pseudonyms. Else by the voxels.
        namesakes: Scans whose results and labels would be named like another's, with that one, as by `namesakes`.
        spacing: True one of the scans, mm along their axes x, y, z, where headers are wrong; None for the files' own.
    """

    results: Path | None = None
    labels: Path | None = None
    keep_names: bool = False
    namesakes: Mapping[ScanInput, ScanInput] = field(default_factory=dict)
    spacing: Triple | None = None


@dataclass(frozen=True)
class Imported:
    """A scan that was added.

    Attributes:
        case: Its case.
        remarks: What a person should know of the scan's file, in sentences.
    """

    case: StoredCase
    remarks: tuple[str, ...]


def namesakes(scans: Sequence[ScanInput]) -> dict[ScanInput, ScanInput]:
    """Return the scans whose results or labels could belong to another scan as well, each with that scan."""
    clashes = name_clashes(scans) | series_clashes(scans)
    return clashes | {first: second for second, first in clashes.items()}


def import_scan(
    store: CaseStore,
    source: ScanInput,
    sources: ImportSources,
    id: str | None = None,
    was_read: Callable[[], object] = lambda: None,
) -> Imported:
    """Add a file or DICOM folder to the store, with its results and its label where there are any.

    What the store has already is not added again.

    Args:
        store: Where to.
        source: The scan.
        sources: What goes with it.
        id: Name of the case; None: see `ImportSources.keep_names`.
        was_read: Is called when all is read, and before anything is written.

    Raises:
        MtctlError: Something cannot be read, does not fit together, or cannot be written; or a result or label could
            be another scan's.
    """
    stem = source.stem
    name = id or (_name_of(source, stem) if sources.keep_names else None)
    if source in sources.namesakes:
        _check_no_shared_files(source, stem, sources)
    loaded = read_scan(source.path, sources.spacing, source.chosen)
    scan, filed = loaded.volume, loaded.filed
    result = read_results(sources.results, stem, scan) if sources.results else None
    path = _label_of(sources.labels, source) if sources.labels else None
    label = _read_label(path, scan, filed) if path else None
    was_read()
    case = store.add(scan, name)
    if result is not None and not has_prediction(case, result):
        case = store.add_prediction(case, result)
    if label is not None and not _has_label(case, label):
        case = store.add_label(case, label)
    return Imported(case, loaded.remarks)


def result_of(prediction: Prediction, report: Mapping[str, Any]) -> Result:
    """Return a prediction as the store takes it; `report` is as in <stem>.json."""
    maps = {name: prediction.on_source(name).array.astype(np.float32, copy=False) for name in MAPS}
    return Result(prediction.source, prediction.segmentation.astype(np.uint8), maps, report)


def read_results(folder: Path, stem: str, scan: Volume) -> Result | None:
    """Read what `mtctl segment` wrote about a scan; None where it wrote nothing. Without --maps all, maps are missing.

    Raises:
        MtctlError: A file is damaged, or of another scan.
    """
    if not os.path.lexists(folder / f"{stem}.json"):
        return None
    report = read_report(folder / f"{stem}.json")
    if "scan_sha256" in report and report["scan_sha256"] != scan_sum(scan):
        raise CaseError(f"{folder / f'{stem}.json'}: is about another scan of that name; segment this one again")
    path = folder / f"{stem}.seg.nrrd"
    mask = _on_grid(read_mask(path, scan.geometry), scan, path)
    names = {name: file_of(name) for name in MAPS}
    chosen = str(report.get("uncertainty", {}).get("kind", "entropy")).replace("-", "_")
    paths = {chosen: folder / f"{stem}.uncertainty.nrrd"}
    paths |= {name: path for name, file in names.items() if (path := folder / f"{stem}.{file}").is_file()}
    maps = {name: _on_grid(read_map(path), scan, path) for name, path in paths.items()}
    return Result(scan.geometry, mask, maps, report)


def _name_of(source: ScanInput, stem: str) -> str:
    try:
        return checked_id(stem)
    except CaseError as error:
        raise CaseError(f"{source.path}: {error}; rename the file, or leave out --keep-names") from None


def _read_label(path: Path, scan: Volume, filed: Geometry) -> Any:
    """Read a mask that has the scan's spacing as it was given, or as the scan's file has it, too."""
    label = read_mask(path, filed)
    if same_grid(label.geometry, filed):
        label = with_spacing(label, scan.geometry.spacing)
    else:
        label = read_mask(path, scan.geometry)
    mask = _on_grid(label, scan, path).astype(bool)
    if not mask.any():
        raise CaseError(f"{path}: the mask is empty; draw the atrium, or add the scan without a label")
    return mask


def _label_of(folder: Path, source: ScanInput) -> Path | None:
    """Return the expert mask of a scan; whatever has its name, so that one that cannot be read is not passed over.

    Raises:
        CaseError: There are several.
    """
    stem = source.stem if source.folder else file_stem(source.path)
    paths = (folder / f"{stem}.label{ending}" for ending in FORMATS)
    found = [path for path in paths if os.path.lexists(path)]
    if len(found) > 1:
        raise CaseError(
            f"{source.path}: has {len(found)} masks, {', '.join(map(str, found))}; keep the right one alone"
        )
    return found[0] if found else None


def _check_no_shared_files(source: ScanInput, stem: str, sources: ImportSources) -> None:
    """Make sure that no result or label is there which could be of the scan or of its namesake.

    Raises:
        CaseError: Something does; a mask of another patient would be learnt from.
    """
    report = sources.results and sources.results / f"{stem}.json"
    label = sources.labels and _label_of(sources.labels, source)
    for found in (report, label):
        if found and os.path.lexists(found):
            raise CaseError(
                f"{source.path}: has the name of {sources.namesakes[source].path}, and only one of them can be meant "
                f"by {found}; give the files different names, or add each scan alone with a folder of its own results"
            )


def _on_grid(volume: Volume, scan: Volume, path: Path) -> Any:
    if not same_grid(volume.geometry, scan.geometry):
        theirs, ours = volume.geometry.spacing, scan.geometry.spacing
        if volume.geometry.size == scan.geometry.size and not same_spacing(theirs, ours):
            raise CaseError(
                f"{path}: its spacing is {spacing_text(theirs)}, that of its scan {spacing_text(ours)}: give the "
                "true one (--spacing) to both commands"
            )
        raise CaseError(f"{path}: lies on another grid than its scan; resample it first")
    return volume.array


def has_prediction(case: StoredCase, result: Result) -> bool:
    """Return whether the case has this segmentation by this model already, with all maps that the result has."""
    model, mask = result.report.get("model"), mask_sum(np.asarray(result.segmentation, dtype=bool))
    maps = {file_of(name) for name in MAPS if name in result.maps}
    return any(
        record.content.get("model") == model
        and record.content.get("segmentation_sha256") == mask
        and maps <= record.files.keys()
        for record in case.records
    )


def _has_label(case: StoredCase, label: Mask) -> bool:
    """Return whether somebody vouched for this mask before: a later correction is not undone by importing it again."""
    total = mask_sum(label)
    return any(record.kind in VOUCHED and record.content.get("segmentation_sha256") == total for record in case.records)
