#!/usr/bin/env python3
"""Slicer CLI: segments the left atrium on LGE-MRI. MTCTLSegmentCLI.xml beside this file describes the arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtctl.preprocessing.region_of_interest import Box

HERE = Path(__file__).resolve().parent


def find_packages() -> None:
    """Find `mtctl` of an installed extension, of a build (deeper on Windows), or of a source tree."""
    for folder in (HERE.parent / "qt-scripted-modules", HERE.parents[1] / "qt-scripted-modules", HERE.parent):
        if (folder / "mtctl" / "__init__.py").is_file():
            sys.path.insert(0, str(folder))
            return


def segment(values: Mapping[str, Any], progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Read the scan, predict, and write what was asked for."""
    progress(0.0, "loading the network")
    import numpy as np

    from mtctl.errors import MtctlError
    from mtctl.geometry import Volume
    from mtctl.inference.prediction import STAGES, Options
    from mtctl.inference.report import make_report
    from mtctl.inference.segmenter import Segmenter
    from mtctl.io.given_spacing import parse_spacing, with_given_spacing
    from mtctl.io.volumes import check_destination, input_stem, read_scan, write_segmentation, write_volume
    from mtctl.models.model import find_model
    from mtctl.networks.device import choose_device
    from mtctl.system.files import make_folder, remove_parts, replacing

    threshold = values["threshold"] or None
    if threshold is not None and not 0 <= threshold <= 1:
        raise MtctlError(f"threshold {threshold:g} is not between 0 and 1")
    region = values["region"]
    box = box_of(region) if region else "none" if values["wholeScan"] else "auto"
    spacing = parse_spacing(values["spacing"]) if values["spacing"] else None
    options = Options(values["samples"] or None, box, values["seed"])
    for name in ("outputSegmentation", "outputUncertainty", "outputDistance"):
        if values[name] is not None:
            check_destination(values[name])
    if values["report"] is not None:
        make_folder(values["report"].parent)
    source: Path = values["inputVolume"]
    scan = read_scan(source, spacing)
    volume, filed = scan.volume, scan.filed
    segmenter = Segmenter(find_model(values["model"]), choose_device(values["device"]))

    def tell(stage: str, share: float) -> None:
        before = sum(part for name, part in STAGES.items() if list(STAGES).index(name) < list(STAGES).index(stage))
        progress(0.1 + 0.8 * (before + share * STAGES[stage]), stage)

    prediction = segmenter.predict(volume, options, tell)
    progress(0.9, "writing")
    found = make_report(prediction, segmenter.model.card, options, values["uncertaintyKind"], threshold)
    mask = Volume(prediction.segmentation.astype(np.uint8), volume.geometry)
    # The name of a DICOM folder may be a patient's.
    named = input_stem(source) if source.is_dir() else source.name
    about = with_given_spacing({"input": named, **found.report}, volume.geometry.spacing, filed.spacing)
    about["warnings"] = [*about["warnings"], *scan.remarks]
    report = json.dumps(about, indent=2) + "\n"
    outputs: dict[str, Callable[[Path], object]] = {
        "outputSegmentation": lambda path: (write_segmentation if path.suffix == ".nrrd" else write_volume)(mask, path),
        "outputUncertainty": lambda path: write_volume(found.uncertainty, path),
        "outputDistance": lambda path: write_volume(prediction.on_source("distance"), path),
        "report": lambda path: path.write_text(report, encoding="utf-8"),
    }
    with ExitStack() as stack:  # All are written beside their places first: killed or failed, none is there by halves.
        for name, write in outputs.items():
            if values[name] is not None:
                remove_parts(values[name])
                write(stack.enter_context(replacing(values[name])))
    for warning in about["warnings"]:
        print(f"warning: {warning}", flush=True)
    return {
        "volumeMl": found.report["volume_ml"],
        "caseScore": found.report["case_score"],
        "flagged": found.report["flagged"],
        "likelyWrongMl": found.report["likely_wrong_ml"],
        "remarks": "; ".join(about["warnings"]),
    }


def box_of(region: list[float]) -> Box:
    """Return the box along the LPS axes around a region in Slicer's format.

    Args:
        region: Centre and half sizes, LPS mm; for a turned ROI also a 3x3 matrix, row by row: its columns are the axes.
    """
    import numpy as np

    from mtctl.preprocessing.region_of_interest import Box, RegionError

    if len(region) not in (6, 15):
        raise RegionError(f"region {region}: expected centre and half sizes, x,y,z,rx,ry,rz in mm")
    centre, half = np.array(region[:3]), np.abs(region[3:6])
    axes = np.array(region[6:]).reshape(3, 3) if len(region) == 15 else np.eye(3)
    reach = np.abs(axes) @ half
    (x0, y0, z0), (x1, y1, z1) = (centre - reach).tolist(), (centre + reach).tolist()
    return Box(x0, x1, y0, y1, z0, z1)


def main() -> int:
    find_packages()
    try:
        from mtctl.system.python_version import refusal

        if refusal():
            print(refusal(), file=sys.stderr)
            return 1
        from mtctl.commands.slicer_cli import run_cli
    except ModuleNotFoundError:
        print(f"the package mtctl is not installed beside {HERE}; install the extension MTCTL again", file=sys.stderr)
        return 1
    return run_cli(Path(__file__).with_suffix(".xml"), segment)


if __name__ == "__main__":
    sys.exit(main())
