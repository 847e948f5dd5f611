"""Nothing that names a patient leaves a scan, but into DICOM objects.

    PYTHONPATH=Testing python Testing/benchmarks/privacy.py [--model FOLDER] [--long] [--keep DIR]

Plants telltales (names, numbers, birth date, private elements, UIDs, hospital and staff, comments, names of folders and
files) in DICOM series, good ones, odd ones and such as cannot be read, and in the headers of other formats. Then it
segments them with --dicom-seg, evaluates the results, adds all to a case store, reviews and exports it, fine-tunes
(with --long really, and with several processes too), and reviews results and store in the browser, where scans are
dropped, too. In what was printed, in what the page was sent and in every file that was written but the DICOM objects,
no telltale may stand; the name of a folder may on the screen, where the person gave it. Status 1 if one does.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.stored_cases import reviewed
from support.telltale_reviews import review_all
from support.telltales import BAD, BIRTH, FOLDER, GOOD, UID, WORD, holds, plant, telltales

from mtctl.cases.history import CaseState
from mtctl.cases.store import CaseStore
from mtctl.commands.main import main as mtctl


@contextmanager
def written_to(log: Path) -> Iterator[None]:
    """Send all that this process and its children print, by whatever way, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with open(log, "ab") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)


def commands(place: Path, sources: list[Path], model: list[str], long: bool) -> Iterator[list[str]]:
    """Yield command lines; each finds what those before it have left."""
    out, store = place / "out", place / "store"
    named = [str(source) for source in sources]
    good = [str(source) for source in sources if can_be_read(source)]
    options = [*model, "--device", "cpu", "--dicom-seg", "--maps", "all", "-o"]
    yield ["segment", *named, *options, str(out)]
    yield ["segment", *(named if long else good), *options, str(out)]
    if long:
        yield ["segment", *named, *options, str(place / "out-of-two"), "--workers", "2"]
    label_results(out, place / "truth")
    yield ["evaluate", "--prediction", str(out), "--truth", str(place / "truth"), "--csv", str(place / "table.csv")]
    for some in (named, good):
        yield ["cases", "add", *some, "--results", str(out), "--store", str(store)]
    for action in (["list", "--json"], ["verify"], ["export", "nnunet", "-o", str(place / "export")]):
        yield ["cases", *action, "--store", str(store)]
    base = ["--base", model[1]] if model else []
    steps = ["--iterations", "4"] if long else ["--iterations", "1"]
    yield ["finetune", "--cases", str(store), *base, "--out", str(place / "run"), "--device", "cpu", *steps]


def can_be_read(source: Path) -> bool:
    """Return whether a planted source is one that can be read."""
    return source.name.endswith(GOOD) or (source.is_file() and not source.name.startswith(BAD))


def label_results(results: Path, labels: Path) -> None:
    """Take results for expert masks."""
    labels.mkdir(exist_ok=True)
    for path in results.glob("*.seg.nrrd"):
        shutil.copyfile(path, labels / path.name.replace(".seg.", ".label."))


def review(store: CaseStore) -> None:
    """Correct and accept the first cases, as a reviewer does."""
    for id in store.ids()[:3]:
        case = store.case(id)
        if case.state is CaseState.PREDICTED:
            mask, document = reviewed(case)
            store.save_draft(case, mask, document, "reader-1")
            store.accept(store.case(id), mask, document, "reader-1")


def run(place: Path, model: list[str], long: bool) -> list[Path]:
    """Give all commands, below a folder; return the sources."""
    planted, made = place / "planted", place / "made"
    for folder in (planted, made):
        folder.mkdir(parents=True)
    with written_to(place / "screen.txt"):
        sources = plant(planted)
        for arguments in commands(made, sources, model, long):
            if arguments[0] == "finetune":
                review(CaseStore(made / "store"))
            print(f"$ mtctl {arguments[0]}", flush=True)
            print(f"status {mtctl(arguments)}", flush=True)
    return sources


def review_in_browser(place: Path, sources: list[Path], model: list[str]) -> None:
    """Review the results and the store in the browser, drop scans there and segment one."""
    volumes = [source for source in sources if source.is_file()]
    folder = place / f"{FOLDER}^reviewed"
    shutil.copytree(place / "made" / "out", folder / "results", ignore=shutil.ignore_patterns("*.dcm"))
    for source in volumes:
        os.link(source, folder / source.name)
    dropped = [source for source in volumes if source.name.startswith((BAD, "three"))]
    options = [*model, "--device", "cpu"]
    with open(place / "screen.txt", "a", encoding="utf-8") as screen:
        screen.write(review_all(folder, dropped, *options, segments=True))
        screen.write(review_all(place / "made" / "store", dropped, *options))
    for source in volumes:
        (folder / source.name).unlink()
    folder.rename(place / "made" / "reviewed")


def found(place: Path) -> list[str]:
    """Return what `run` and `review_in_browser` left where it must not be."""
    screen = (place / "screen.txt").read_bytes()
    on_screen = [f"on the screen: {word}" for word in (WORD, BIRTH, UID) if holds(screen, word)]
    return on_screen + list(telltales(place / "made"))


def summary(place: Path) -> str:
    """Return what `found` looks through."""
    made, printed = place / "made", (place / "screen.txt").stat().st_size
    files = [path for path in made.rglob("*") if path.is_file()]
    objects = sum(path.suffix == ".dcm" for path in files)
    states = [case.state.value for case in CaseStore(made / "store").cases()]
    return (
        f"{printed} bytes printed, {len(files) - objects} files and {objects} DICOM objects written; {len(states)} "
        f"cases stored, {states.count('corrected')} of them corrected"
    )


def main() -> int:
    """Return 1 if a telltale was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a model; default: the one in use")
    parser.add_argument("--long", action="store_true", help="fine-tune really, and segment in two processes too")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="do it in this folder, which is not there, and leave it"
    )
    args = parser.parse_args()
    model = ["--model", str(args.model)] if args.model else []
    with tempfile.TemporaryDirectory() as folder:
        place = args.keep or Path(folder)
        sources = run(place, model, args.long)
        if importlib.util.find_spec("trame_slicer"):
            review_in_browser(place, sources, model)
        else:
            print("the reviewer is left out: trame-slicer is not installed (slicer-mtctl[review])")
        print(summary(place))
        lines = found(place)
    print(*lines, f"{len(lines)} telltales found", sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
