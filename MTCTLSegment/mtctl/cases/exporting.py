"""The case store as other tools want their training data: nnU-Net's folders, and the list of a MONAI dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtctl.cases.store import StoredCase
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.io.volumes import write_volume
from mtctl.system.files import WriteError, write_json, write_reason
from mtctl.system.staging import commit, staged

_ENDING = ".nii.gz"


class ExportError(MtctlError):
    """The store cannot be exported like that."""


@dataclass(frozen=True)
class ExportedCases:
    """What became of an export.

    Attributes:
        labelled: Cases with a segmentation that a person vouches for.
        unlabelled: Those without, but for rejected ones, which are left out.
        failures: Why a case was left out, each naming it.
    """

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    failures: tuple[str, ...]


def export_nnunet(cases: Iterable[StoredCase], out: Path) -> ExportedCases:
    """Write imagesTr, labelsTr, imagesTs (scans without a label) and dataset.json, as nnU-Net 2 reads them.

    Args:
        cases: To export.
        out: A folder that is not there yet; nnU-Net wants it to be named Dataset<number>_<name>.

    Raises:
        ExportError: It is there already.
        WriteError: It cannot be written; nothing is left of it.
    """

    def describe(done: ExportedCases) -> dict[str, Any]:
        return {
            "channel_names": {"0": "LGE-MRI"},
            "labels": {"background": 0, "left atrium": 1},
            "numTraining": len(done.labelled),
            "file_ending": _ENDING,
        }

    return _export(cases, out, "dataset.json", describe)


def export_monai(cases: Iterable[StoredCase], out: Path) -> ExportedCases:
    """Write the same files and a datalist.json for `monai.data.load_decathlon_datalist`.

    Its key "training" lists image and label, "unlabeled" scans without a label; paths are relative to the folder.

    Args, Raises: See `export_nnunet`.
    """

    def describe(done: ExportedCases) -> dict[str, Any]:
        return {
            "name": "left atrium",
            "modality": {"0": "LGE-MRI"},
            "labels": {"0": "background", "1": "left atrium"},
            "numTraining": len(done.labelled),
            "training": [{"image": _image(id, "Tr"), "label": _label(id)} for id in done.labelled],
            "unlabeled": [{"image": _image(id, "Ts")} for id in done.unlabelled],
        }

    return _export(cases, out, "datalist.json", describe)


def _export(
    cases: Iterable[StoredCase], out: Path, description: str, describe: Callable[[ExportedCases], dict[str, Any]]
) -> ExportedCases:
    out = Path(out)
    if os.path.lexists(out):
        raise ExportError(f"{out}: is there already; choose a folder that is not, so that nothing gets mixed up")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with staged(out.parent) as hidden:
            for name in ("imagesTr", "labelsTr", "imagesTs"):
                (hidden / name).mkdir()
            done = _write_cases(cases, hidden)
            write_json(hidden / description, describe(done))
            commit(hidden, out)
    except OSError as error:
        raise WriteError(f"{out}: cannot be written: {write_reason(error)}") from error
    return done


def _write_cases(cases: Iterable[StoredCase], folder: Path) -> ExportedCases:
    labelled, unlabelled, failures = [], [], []
    for case in cases:
        if case.rejected:
            continue
        try:
            if case.labelled:
                # Before anything is written: what is read is checked, and a damaged case is left out as a whole.
                label = Volume(case.corrected_mask().astype("uint8"), case.geometry)
                write_volume(case.scan(), folder / _image(case.id, "Tr"))
                write_volume(label, folder / _label(case.id))
                labelled.append(case.id)
            else:
                write_volume(case.scan(), folder / _image(case.id, "Ts"))
                unlabelled.append(case.id)
        except WriteError:
            raise
        except MtctlError as error:
            failures.append(str(error))
    return ExportedCases(tuple(labelled), tuple(unlabelled), tuple(failures))


def _image(id: str, split: str) -> str:
    # nnU-Net takes what follows the last underscore for the number of the channel.
    return f"images{split}/{id}_0000{_ENDING}"


def _label(id: str) -> str:
    return f"labelsTr/{id}{_ENDING}"
