"""Nothing that was stored is ever lost: random interleavings of store operations by several processes with kill -9.

    python Testing/benchmarks/store.py [--rounds 1000] [--processes 4] [--seed 0] [--keep DIR]

In every round so many processes start at the same moment and each does two random operations on one case store and one
model store: add a scan, store a prediction, save a draft, accept, reject, read everything of a case, list, publish a
model, roll back. About half of the processes are killed (SIGKILL) at a random moment of their work. A ledger outside of
the stores holds, flushed to the disk, what each was about to do and what the store said was done.

At the end `mtctl cases verify` has to find nothing damaged or lost, and the ledger is compared with the stores: all
that was acknowledged must be there, in the order in which each process did it; a draft may only be gone where its own
author has replaced it; and nothing may be there that nobody meant to store. Status 1 if anything is amiss.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

import mtctl.review.document  # noqa: F401  Imported here once, not by each process: it takes scipy along.
from mtctl.cases.case import StoredCase
from mtctl.cases.records import CaseError, RecordKind
from mtctl.cases.store import CaseStore
from mtctl.geometry import Geometry, Volume
from mtctl.inference.result import Result
from mtctl.io.checksums import mask_sum
from mtctl.models.card import Card, write_card
from mtctl.models.model_files import WEIGHTS
from mtctl.models.store import ModelStore
from mtctl.models.verdict import ModelName, Verdict, write_verdict
from mtctl.models.versions import ModelStoreError
from mtctl.networks.architecture import Architecture, network_shapes
from mtctl.system.files import file_sha256

#: Few cases, so that the processes get into each other's way; new ones after some rounds, so that none gets endless.
CASES, ROUNDS_PER_CASE = 3, 50

#: Seconds that a process needs to start, at most; all begin to work at the same moment.
START = 0.03

GRID = Geometry((16, 16, 16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
KILLED_SHARE = 0.5
OPERATIONS = (
    "add",
    "prediction",
    "draft",
    "draft",
    "accept",
    "accept",
    "reject",
    "read",
    "list",
    "publish",
    "rollback",
)


@dataclass(frozen=True)
class Entry:
    """A line of the ledger.

    Attributes:
        phase: "meant" before the operation, "done" after it, "refused" where the store said no for a good reason.
        operation: See OPERATIONS.
        case: Id, or "".
        author: Who did it: a pseudonym of the process's seat.
        token: Which one: sum of the mask, reason of a rejection, or of the weights.
    """

    phase: str
    operation: str
    case: str
    author: str
    token: str


class Ledger:
    """What one seat did, in a file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entry: Entry) -> None:
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(entry)) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> list[Entry]:
        """All entries but a last one that was cut off by a kill."""
        entries = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            with contextlib.suppress(ValueError):
                entries.append(Entry(**json.loads(line)))
        return entries


@dataclass(frozen=True)
class Place:
    """Where everything is."""

    folder: Path

    @property
    def cases(self) -> CaseStore:
        return CaseStore(self.folder / "cases-store")

    @property
    def models(self) -> ModelStore:
        return ModelStore(self.folder / "models")

    def ledger(self, seat: int) -> Ledger:
        return Ledger(self.folder / f"ledger-{seat}.jsonl")


def work(place: Place, seat: int, number: int, seed: int, start: float) -> None:
    """Two random operations, as the process of a seat in round `number`, from the time `start` on."""
    rng = random.Random(seed)
    time.sleep(max(0.0, start - time.time()))
    for _ in range(2):
        case = number // ROUNDS_PER_CASE * CASES + rng.randrange(CASES)
        _operate(place, place.ledger(seat), f"case-{case:03d}", f"reader-{seat}", rng)


def _operate(place: Place, ledger: Ledger, case: str, author: str, rng: random.Random) -> None:
    operation = rng.choice(OPERATIONS)
    if operation in ("list", "publish", "rollback"):
        case = ""
    token, act = _ACTS[operation](place, case, author, rng)
    entry = Entry("meant", operation, case, author, token)
    ledger.write(entry)
    try:
        act()
    except (CaseError, ModelStoreError) as error:
        expected = ("no such case", "nothing to go back", "has no prediction")
        if not any(words in str(error) for words in expected):
            raise
        ledger.write(Entry("refused", *list(asdict(entry).values())[1:]))
    else:
        ledger.write(Entry("done", *list(asdict(entry).values())[1:]))


Act = tuple[str, Callable[[], object]]


def _add(place: Place, case: str, author: str, rng: random.Random) -> Act:
    number = int(case[-3:])
    array = np.random.default_rng(number).normal(100, 10, GRID.shape).astype(np.float32)
    return "", lambda: place.cases.add(Volume(array, GRID), case)


def _prediction(place: Place, case: str, author: str, rng: random.Random) -> Act:
    mask = _mask(rng)
    maps = {"entropy": mask * np.float32(0.25), "probability": mask * np.float32(0.75)}
    return mask_sum(mask), lambda: place.cases.add_prediction(case, Result(GRID, mask.astype(np.uint8), maps, {}))


def _draft(place: Place, case: str, author: str, rng: random.Random) -> Act:
    mask = _mask(rng)
    return mask_sum(mask), lambda: place.cases.save_draft(case, mask, {"draft": True}, author)


def _accept(place: Place, case: str, author: str, rng: random.Random) -> Act:
    mask = _mask(rng)
    return mask_sum(mask), lambda: place.cases.accept(case, mask, {"draft": False}, author)


def _reject(place: Place, case: str, author: str, rng: random.Random) -> Act:
    reason = f"reason {rng.getrandbits(64):x}"
    return reason, lambda: place.cases.reject(case, reason, reviewer=author)


def _read(place: Place, case: str, author: str, rng: random.Random) -> Act:
    def read() -> None:
        found = place.cases.case(case)
        found.scan()
        found.draft()
        for version in range(found.version):
            found.corrected_mask(version + 1)
        found.prediction()

    return "", read


def _list(place: Place, case: str, author: str, rng: random.Random) -> Act:
    def read() -> None:
        before = place.cases.ids()
        missing = set(before) - {found.id for found in place.cases.cases()}
        if missing:
            raise RuntimeError(f"{missing} cannot be read")

    return "", read


def _publish(place: Place, case: str, author: str, rng: random.Random) -> Act:
    folder = Path(tempfile.mkdtemp(dir=place.folder, prefix="candidate-"))
    smallest = Architecture(1, 1)
    tensors = {name: np.full(shape, rng.random(), np.float16) for name, shape in network_shapes(smallest).items()}
    save_file(tensors, folder / WEIGHTS)
    sha256 = file_sha256(folder / WEIGHTS)
    write_card(folder, Card("candidate", "1", sha256, smallest, (1.25, 1.25, 2.5)))
    write_verdict(folder, Verdict(ModelName("base", "1", ""), ()))
    return sha256, lambda: place.models.publish(folder, "benchmark")


def _rollback(place: Place, case: str, author: str, rng: random.Random) -> Act:
    reason = f"reason {rng.getrandbits(64):x}"
    return reason, lambda: place.models.rollback(reason)


_ACTS = {
    "add": _add,
    "prediction": _prediction,
    "draft": _draft,
    "accept": _accept,
    "reject": _reject,
    "read": _read,
    "list": _list,
    "publish": _publish,
    "rollback": _rollback,
}


def _mask(rng: random.Random) -> Any:
    return np.random.default_rng(rng.getrandbits(64)).random(GRID.shape) < 0.2


def run_rounds(place: Place, rounds: int, processes: int, seed: int) -> tuple[int, list[int]]:
    """Let the processes do their work and kill about half of them.

    Returns:
        How many were killed, and the exit statuses of those that ended by an error of their own.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    rng, killed, failed = random.Random(seed), 0, list[int]()
    usual = 0.15  # seconds that a process works, learnt on the way
    for number in range(rounds):
        began = time.monotonic()
        start = time.time() + START
        running = [
            context.Process(target=work, args=(place, seat, number, hash((seed, number, seat)), start))
            for seat in range(processes)
        ]
        for process in running:
            process.start()
        victims = [process for process in running if rng.random() < KILLED_SHARE]
        for delay, process in sorted(
            ((rng.uniform(START, usual), process) for process in victims), key=lambda pair: pair[0]
        ):
            process.join(max(0.0, began + delay - time.monotonic()))
            if process.is_alive():
                process.kill()
                killed += 1
        for process in running:
            process.join()
        if not victims:
            usual += 0.2 * (time.monotonic() - began - usual)
        failed += [process.exitcode for process in running if process.exitcode not in (0, -9)]
        if (number + 1) % 100 == 0:
            print(f"{number + 1} of {rounds} rounds", flush=True)
    return killed, failed


def complaints(place: Place, processes: int) -> Iterator[str]:
    """Where ledger and stores differ."""
    cases = {case.id: case for case in place.cases.cases()}
    ledgers = [place.ledger(seat).read() for seat in range(processes)]
    everybody = [entry for entries in ledgers for entry in entries]
    for case in sorted({entry.case for entry in everybody if entry.operation == "add" and entry.phase == "done"}):
        if case not in cases:
            yield f"{case}: was added and is not there"
    for entries in ledgers:
        for case in cases.values():
            yield from _about_case(case, [entry for entry in entries if entry.case == case.id])
    yield from _unmeant(cases.values(), everybody)
    yield from _about_models(place.models, everybody)


def _about_case(case: StoredCase, entries: list[Entry]) -> Iterator[str]:
    """What one seat did with a case, against what is there."""
    numbers = {_token(record.kind, record.content): record.number for record in case.records}
    last = 0
    for index, entry in enumerate(entries):
        if entry.phase != "done" or entry.operation not in ("prediction", "draft", "accept", "reject"):
            continue
        number = numbers.get((entry.operation, entry.token))
        if number is None:
            later = {one.operation for one in entries[index + 1 :] if one.phase == "meant"}
            if entry.operation != "draft" or not later & {"draft", "accept"}:
                yield f"{case.id}: {entry.operation} {entry.token[:16]} was stored and is not there"
        elif number < last:
            yield f"{case.id}: {entry.operation} {entry.token[:16]} comes before what was stored earlier"
        else:
            last = number


def _unmeant(cases: Any, entries: list[Entry]) -> Iterator[str]:
    meant = {(entry.case, entry.operation, entry.token) for entry in entries}
    for case in cases:
        for record in case.records:
            if (case.id, *_token(record.kind, record.content)) not in meant:
                yield f"{record.folder}: is there, but nobody meant to store it"


def _token(kind: RecordKind, content: Any) -> tuple[str, str]:
    if kind is RecordKind.REJECTED:
        return "reject", content.get("reason", "")
    name = "accept" if kind in (RecordKind.ACCEPTED, RecordKind.CORRECTED) else kind.value
    return name, content.get("segmentation_sha256", "")


def _about_models(models: ModelStore, entries: list[Entry]) -> Iterator[str]:
    versions = {version.model.sha256: version for version in models.versions()}
    if len(versions) != len(models.numbers()):
        yield "a published version is damaged"
    steps = Counter(step.reason for step in models.history())
    published = {step.version for step in models.history() if step.action == "publish"}
    for entry in entries:
        if entry.phase == "done" and entry.operation == "publish":
            if entry.token not in versions:
                yield f"a model {entry.token[:16]} was published and is not there"
            elif versions[entry.token].number not in published:
                yield f"the publication of version {versions[entry.token].number} is not in the history"
        if entry.phase == "done" and entry.operation == "rollback" and steps[entry.token] != 1:
            yield f"a rollback ({entry.token}) is not in the history"
    for version in versions.values():
        if file_sha256(version.folder / "weights.safetensors") != version.model.sha256:
            yield f"{version.folder}: the weights are not those that were published"
    models.current()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave stores and ledgers in this new folder")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        place, began = Place(folder), time.monotonic()
        killed, failed = run_rounds(place, args.rounds, args.processes, args.seed)
        print(
            f"{args.rounds} rounds of {args.processes} processes in {time.monotonic() - began:.0f} s, {killed} killed"
        )
        entries = [entry for seat in range(args.processes) for entry in place.ledger(seat).read()]
        phases: dict[str, Counter[str]] = defaultdict(Counter)
        for entry in entries:
            phases[entry.phase][entry.operation] += 1
        for operation in _ACTS:
            meant, done, refused = (phases[phase][operation] for phase in ("meant", "done", "refused"))
            cut = meant - done - refused
            print(f"  {operation:10} {meant:5} begun {done:5} acknowledged {refused:5} refused {cut:5} cut off")
        verify = [sys.executable, "-m", "mtctl", "cases", "verify", "--store", str(place.cases.folder)]
        verified = subprocess.run(verify, capture_output=True, text=True, check=False)
        leftovers = sum(line.startswith("unfinished") for line in verified.stdout.splitlines())
        print(f"mtctl cases verify: {verified.stdout.splitlines()[-1]} ({leftovers} leftovers of killed writers)")
        amiss = [*complaints(place, args.processes), *(f"a process failed with status {status}" for status in failed)]
        for line in amiss[:20]:
            print(f"AMISS: {line}")
        print(f"{len(amiss)} complaints against the ledger")
        return 1 if amiss or verified.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
