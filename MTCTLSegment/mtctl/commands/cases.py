"""`mtctl cases`: the case store from the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtctl.commands.arguments import SPACING, given_spacing
from mtctl.errors import printable

if TYPE_CHECKING:
    from mtctl.cases.importing import Imported, ImportSources
    from mtctl.cases.store import CaseStore, StoredCase
    from mtctl.io.inputs import ScanInput
    from mtctl.processes.readers import WasRead

#: Environment variable for the store.
VARIABLE = "MTCTL_CASES"

_STATES = ("unlabelled", "predicted", "in review", "corrected", "accepted", "rejected")
_HEADINGS = ("case", "state", "version", "reviewer", "changed", "likely Dice", "model")

#: The line in `mtctl --help`.
HELP = "the case store: add, list, verify, export"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `mtctl cases`."""
    parser = subparsers.add_parser(
        "cases",
        help=HELP,
        description="The case store is a folder with scans, predictions, reviews and corrected segmentations, every "
        "version of them. Slicer, the browser reviewer and training share it, also over a network.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    add = _action(
        actions, "add", run_add, "add scans",
        "Adds scans: files, DICOM folders, or folders of them. Cases are named by their voxels, as file names may name "
        "patients; tags are not copied. What is there already is not added again.",
    )  # fmt: skip
    add.add_argument("input", nargs="+", type=Path, metavar="INPUT", help="NRRD, NIfTI, MetaImage, DICOM or a folder")
    naming = add.add_mutually_exclusive_group()
    naming.add_argument("--keep-names", action="store_true", help="name cases like files: they are pseudonyms")
    naming.add_argument("--id", metavar="NAME", help="name of the case (for one scan)")
    add.add_argument("--results", type=Path, metavar="DIR", help="take predictions from this folder of `mtctl segment`")
    add.add_argument("--labels", type=Path, metavar="DIR", help="take expert masks <name>.label.nrrd as corrections")

    add.add_argument(
        "--spacing", type=given_spacing, metavar=SPACING,
        help="true distance of the voxels in mm along the files' axes, where their headers are wrong",
    )  # fmt: skip

    listing = _action(actions, "list", run_list, "list the cases", "One line a case.")
    listing.add_argument("--state", action="append", choices=_STATES, help="only cases in this state (may be repeated)")
    listing.add_argument("--json", action="store_true", help="as JSON, with all times and checksums")

    _action(
        actions, "verify", run_verify, "check that nothing is damaged or lost",
        "Reads every file and compares it with its checksum, and misses cases, predictions and decisions that were "
        "deleted, unless the hidden notes beside them (.mtctl-stored-NAME) went, too, as with a store put back from an "
        "older backup. Status 1 if something is damaged or lost; foreign files and what interrupted writes left are "
        "only named.",
    )  # fmt: skip

    export = _action(
        actions, "export", run_export, "export for other tools",
        "Writes all cases but rejected ones in the layout of nnU-Net 2 or as a MONAI datalist (NIfTI). Labelled are "
        "those that were corrected or accepted.",
    )  # fmt: skip
    export.add_argument("layout", choices=("nnunet", "monai"))
    export.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="a folder that is not there yet")


def run_add(args: argparse.Namespace) -> int:
    """Add scans; 1 if some failed."""
    from mtctl.cases.importing import ImportSources, namesakes
    from mtctl.io.inputs import find_scans
    from mtctl.processes.readers import NotRead, each_input

    store = _store(args)
    scans = find_scans(args.input)
    if args.id and len(scans) != 1:
        args.parser.error(f"--id names one case, but there are {len(scans)} scans")
    for folder in (args.results, args.labels):
        if folder and not folder.is_dir():
            args.parser.error(f"{folder}: there is no such folder")
    sources = ImportSources(
        args.results,
        args.labels,
        args.keep_names,
        namesakes(scans) if args.results or args.labels else {},
        args.spacing,
    )
    failed: list[Path] = []
    with closing(each_input(scans, partial(_add, store.folder, sources, args.id))) as results:
        for number, (scan, added) in enumerate(results, start=1):
            if isinstance(added, NotRead):
                failed.append(scan.path)
                print(f"mtctl: error: {added.failure}", file=sys.stderr, flush=True)
                continue
            name, case = printable(scan.path), added.case
            print(f"[{number}/{len(scans)}] {name}: case {case.id}, {case.state.value}", flush=True)
            for remark in added.remarks:
                print(f"mtctl: warning: {name}: {printable(remark)}", file=sys.stderr, flush=True)
    print(f"{len(scans) - len(failed)} of {len(scans)} done, store {store.folder}")
    if failed:
        print(f"{len(failed)} failed: {', '.join(map(printable, failed))}")
    return 1 if failed else 0


def _add(folder: Path, sources: ImportSources, id: str | None, scan: ScanInput, was_read: WasRead) -> Imported:
    """Runs in a child, where there are several scans."""
    from mtctl.cases.importing import import_scan
    from mtctl.cases.store import CaseStore

    return import_scan(CaseStore(folder), scan, sources, id, was_read)


def run_list(args: argparse.Namespace) -> int:
    """Print the table of cases; 1 if some are damaged."""
    cases, damaged = _cases(_existing(args))
    shown = [case for case in cases if not args.state or case.state.value in args.state]
    if args.json:
        print(json.dumps([_details(case) for case in shown], indent=2))
    else:
        rows = [_HEADINGS, *map(_row, shown)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 1 if damaged else 0


def run_verify(args: argparse.Namespace) -> int:
    """Check all files; 1 if something is damaged or lost."""
    store = _existing(args)
    findings = store.verify()
    for found in findings:
        print(f"{found.problem.value}: {found.text}")
    serious = sum(found.serious for found in findings)
    verdict = f"{serious} damaged or lost" if serious else "nothing damaged, nothing lost"
    count = len(store.ids())
    print(f"{count} case{'s' * (count != 1)}: {verdict}")
    return 1 if serious else 0


def run_export(args: argparse.Namespace) -> int:
    """Export; 1 if some cases had to be left out."""
    from mtctl.cases.exporting import export_monai, export_nnunet
    from mtctl.errors import counted

    cases, damaged = _cases(_existing(args))
    done = (export_nnunet if args.layout == "nnunet" else export_monai)(cases, args.out)
    for reason in done.failures:
        print(f"mtctl: error: {reason}", file=sys.stderr)
    print(f"{len(done.labelled)} labelled and {counted(len(done.unlabelled), 'unlabelled case')} in {args.out}")
    return 1 if done.failures or damaged else 0


def _action(actions: Any, name: str, run: Any, line: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=line, description=description)
    parser.add_argument(
        "--store", type=Path, metavar="DIR", default=os.environ.get(VARIABLE) or None,
        help=f"the case store (default: ${VARIABLE})",
    )  # fmt: skip
    parser.set_defaults(run=run, parser=parser)
    return parser


def _store(args: argparse.Namespace) -> CaseStore:
    from mtctl.cases.store import CaseStore

    if args.store is None:
        args.parser.error(f"name the case store with --store, or set {VARIABLE}")
    return CaseStore(Path(args.store))


def _existing(args: argparse.Namespace) -> CaseStore:
    from mtctl.cases.store import CaseError

    store = _store(args)
    if not os.path.isdir(store.folder / "cases"):  # False, too, where it may not be looked at
        raise CaseError(f"{store.folder}: holds no case store; `mtctl cases add` makes one")
    return store


def _cases(store: CaseStore) -> tuple[list[StoredCase], int]:
    """Return all cases that can be read, and how many others there are, which are named."""
    cases = store.cases()
    damaged = sorted(set(store.ids()) - {case.id for case in cases})
    for id in damaged:
        print(f"mtctl: error: {id}: is damaged; `mtctl cases verify` says how", file=sys.stderr)
    return cases, len(damaged)


def _row(case: StoredCase) -> tuple[str, ...]:
    score, model = case.case_score, case.model
    return (
        case.id,
        case.state.value,
        str(case.version or "-"),
        case.reviewer or "-",
        case.changed[:16].replace("T", " "),
        "-" if score is None else f"{score:.2f}",
        "-" if model is None else f"{model.get('id', '?')} {model.get('version', '?')}",
    )


def _details(case: StoredCase) -> dict[str, Any]:
    return {
        "id": case.id,
        "state": case.state.value,
        "version": case.version,
        "reviewer": case.reviewer,
        "added": case.added,
        "changed": case.changed,
        "case_score": case.case_score,
        "model": case.model,
        "scan_sha256": case.scan_sha256,
        "fingerprint": case.fingerprint,
        "folder": str(case.folder),
    }
