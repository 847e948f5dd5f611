"""Training and fine-tuning that are killed, run out of disk, lose their store or their rights, on a slow share.

    PYTHONPATH=Testing python Testing/benchmarks/training_under_fire.py [--rounds 20] [--seed 0] [--slowest 0.5]
        [--only KIND ...]

Each round starts `mtctl train` or `mtctl finetune` (in turn) with a tiny network on small phantoms in a process of its
own, and does one thing to it at a random moment of its life:

    killed          SIGKILL
    full disk       its folder lies on a disk of 72 MB (tmpfs; needs root on Linux), which is full from then on
    store changed   a case is corrected, deleted or damaged, or the store is gone (fine-tuning alone)
    read-only       nothing can be made in its folders any more (chattr +i; needs root on Linux)
    slow renames    each rename takes up to `--slowest` seconds, and it is killed

It has to end by a sentence that names what is wrong, or to finish. Then the cause is mended and the same run is started
again, until it finishes: its weights have to be those of an undisturbed run, bit for bit (of another store, whole),
nothing half-written may be left, a status must say how it went, and the store may lack only what was taken from it.
Status 1 if anything is amiss.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from support.finetuning_runs import corrected, fill_store, truth
from support.scans import scan

from mtctl.cases.store import CaseStore
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.io.volumes import write_volume
from mtctl.models.card import Card
from mtctl.models.model import read_model, save_model
from mtctl.models.model_files import WEIGHTS
from mtctl.models.verdict import read_verdict
from mtctl.networks.architecture import Architecture
from mtctl.networks.mtctl_net import MTCTLNet
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl.system.files import TEMPORARY_PREFIX, file_sha256
from mtctl_train.finetuning import cases as finetuning_cases
from mtctl_train.finetuning import run as finetuning_run
from mtctl_train.finetuning.run_folder import CANDIDATE, RunState, read_status
from mtctl_train.finetuning.settings import RECIPE, FineTuning, Iterations
from mtctl_train.methods.mtctl import MTCTL
from mtctl_train.recipe import Recipe, Stage
from mtctl_train.training.job import TrainingJob, train_model

KINDS = ("killed", "full disk", "store changed", "read-only", "slow renames")
_SMALL_DISK = "72m"  # a whole fine-tuning takes 53 MB
#: What a run imports in its course: imported before the forks, or each would spend half of its life on it.
_LATE_IMPORTS = ("matplotlib.backends.backend_agg", "matplotlib.figure", "scipy.stats", "torch._dynamo")
_PATIENCE = 300.0  # seconds for a run that takes some


@dataclass(frozen=True)
class DisturbedRun:
    """What is started, and started again.

    Attributes:
        work: Trains; raises an MtctlError where it cannot.
        out: Its folder.
        result: Folder of the model that it makes.
        store: Folder of cases that it learns from.
    """

    work: Callable[[], object]
    out: Path
    result: Path
    store: Path

    @property
    def fine_tunes(self) -> bool:
        return self.result.name == CANDIDATE


@dataclass(frozen=True)
class Material:
    """What all rounds share: a tiny model, a store to copy, cases in files.

    Attributes:
        folder: Where all of it lies.
    """

    folder: Path

    @classmethod
    def made_in(cls, folder: Path) -> Material:
        architecture = Architecture(filters=4, uncertainty_filters=2)
        card = Card(id="tiny", version="1", sha256="", architecture=architecture, grid_mm=GRID_MM, samples=2)
        model = save_model(folder / "model", card, MTCTLNet(architecture).state_dict())
        fill_store(folder / "store", model)
        (folder / "data").mkdir()
        for seed, name in enumerate("abc"):
            volume = scan(seed=seed)
            write_volume(volume, folder / "data" / f"{name}.image.nrrd")
            write_volume(Volume(truth().astype(np.uint8), volume.geometry), folder / "data" / f"{name}.label.nrrd")
        return cls(folder)

    def fine_tuning(self, out: Path, store: Path) -> DisturbedRun:
        recipe = replace(RECIPE, checkpoint_seconds=0.0, validate_every=2)
        base = str(self.folder / "model")
        job = FineTuning(store, base, out, Iterations(6), device="cpu", recipe=recipe)
        return DisturbedRun(partial(finetuning_run.fine_tune, job), out, out / CANDIDATE, store)

    def training(self, out: Path) -> DisturbedRun:
        architecture = Architecture(filters=4, uncertainty_filters=2)
        recipe = Recipe((Stage(4, (48, 16, 16), 1e-2),), architecture=architecture, checkpoint_seconds=0.0)
        recipe = replace(recipe, validate_every=3)
        job = TrainingJob(
            self.folder / "data", ("a",), ("c",), ("b",), out, "toy", "mtctl", MTCTL(), recipe,
            phantoms=0, full_fields=0, locator_iterations=0, base=None, device="cpu", command="",
        )  # fmt: skip
        return DisturbedRun(partial(train_model, job), out, out, self.folder / "data")


@dataclass(frozen=True)
class ForkedTraining:
    """A run in a process of its own.

    Attributes:
        pid: Its number.
        told: File that says how it ended: "done", or "named: " or "unnamed: " and why.
    """

    pid: int
    told: Path

    def ending(self) -> str:
        """Wait for its end; "killed" where it could not say any."""
        end = time.monotonic() + _PATIENCE
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return "unnamed: it did not end"
            time.sleep(0.01)
        return self.told.read_text(encoding="utf-8") if self.told.exists() else "killed"


def started(run: DisturbedRun, told: Path, slowest: float = 0.0) -> ForkedTraining:
    """Start a run in a fork of this process, which has torch loaded; a rename takes up to `slowest` seconds there."""
    told.unlink(missing_ok=True)
    pid = os.fork()
    if pid:
        return ForkedTraining(pid, told)
    try:
        with open(told.with_suffix(".log"), "ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        if slowest:
            os.replace, os.rename = _slowed(os.replace, slowest), _slowed(os.rename, slowest)
        try:
            run.work()
            said = "done"
        except MtctlError as error:
            said = f"named: {error}"
        except BaseException as error:
            said = f"unnamed: {type(error).__name__}: {error}"
        told.with_suffix(".part").write_text(said, encoding="utf-8")
        os.link(told.with_suffix(".part"), told)
        told.with_suffix(".part").unlink()
    finally:
        os._exit(0)


def _slowed(rename: Callable[..., None], slowest: float) -> Callable[..., None]:
    chance = random.Random(os.getpid())

    def slowly(source: object, target: object) -> None:
        time.sleep(chance.uniform(0, slowest))
        rename(source, target)

    return slowly


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk that is quickly full."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK}", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with suppress(OSError), open(disk / "filler", "wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while stream.write(bytes(size)):
                    pass


def set_read_only(folder: Path, read_only: bool) -> None:
    """Let nobody, root included, make or remove a name in a folder and those below."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())] if folder.is_dir() else []
    for place in folders:
        with suppress(subprocess.CalledProcessError):  # A folder that was removed meanwhile.
            subprocess.run(["chattr", "+i" if read_only else "-i", str(place)], check=True, stderr=subprocess.DEVNULL)


def change(store: Path, chance: random.Random) -> str:
    """Change a store as somebody else; return what was done."""
    what = chance.choice(("corrected", "deleted", "damaged", "gone"))
    if what == "corrected":
        corrected(CaseStore(store), "d", by_answers=False)
    elif what == "deleted":
        shutil.rmtree(store / "cases" / "b")
    elif what == "damaged":
        next((store / "cases" / "d").glob("scan*.nrrd")).write_bytes(b"torn")
    else:
        store.rename(store.with_name(f"{store.name}-away"))
    return what


def bring_back(store: Path) -> None:
    """Undo "gone"."""
    away = store.with_name(f"{store.name}-away")
    if away.exists():
        shutil.rmtree(store, ignore_errors=True)
        away.rename(store)


class Rounds:
    """Runs that are disturbed, and what came of them."""

    def __init__(self, material: Material, seed: int, slowest: float) -> None:
        self._material, self._chance, self._slowest = material, random.Random(seed), slowest
        self._told = material.folder / "told"
        self._whole: dict[bool, tuple[str, float]] = {}
        self.amiss: list[str] = []
        undisturbed = self._new("undisturbed")
        undisturbed.mkdir()
        for run in (
            material.fine_tuning(undisturbed / "fine-tuning", material.folder / "store"),
            material.training(undisturbed / "training"),
        ):
            began = time.monotonic()
            ending = started(run, self._told).ending()
            if ending != "done":
                raise SystemExit(f"an undisturbed run does not finish: {ending}")
            self._whole[run.fine_tunes] = file_sha256(run.result / WEIGHTS), time.monotonic() - began

    def play(self, kind: str, number: int) -> str:
        """Play a round; return how the run ended that was disturbed."""
        fine_tunes = kind == "store changed" or (number + KINDS.index(kind)) % 2 == 0
        name = f"{kind.replace(' ', '-')}-{number}"
        if kind == "full disk":
            with small_disk(self._new("disk")) as disk:
                ending = self._round(kind, name, fine_tunes, disk / "run")
            (self._material.folder / "disk").rmdir()
            return ending
        return self._round(kind, name, fine_tunes, self._new(name))

    def _round(self, kind: str, name: str, fine_tunes: bool, out: Path) -> str:
        store = self._material.folder / f"store-{name}"
        shutil.copytree(self._material.folder / "store", store)
        run = self._material.fine_tuning(out, store) if fine_tunes else self._material.training(out)
        weights, life = self._whole[fine_tunes]
        slowest = self._slowest if kind == "slow renames" else 0.0
        child = started(run, self._told, slowest)
        time.sleep(self._chance.uniform(0, life * (2 if slowest else 1)))
        done = self._disturb(kind, run, child)
        ending = child.ending()
        self._look(name, run, ending, kind)
        self._mend(kind, run)
        for _ in range(3):
            again = started(run, self._told, slowest).ending()
            if again == "done":
                break
        if again != "done":
            self.amiss.append(f"{name} ({done}): started again it does not finish: {again}")
        else:
            self._check(name, run, weights if kind != "store changed" else None, done)
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(store, ignore_errors=True)
        return ending.partition(":")[0]

    def _disturb(self, kind: str, run: DisturbedRun, child: ForkedTraining) -> str:
        if kind in ("killed", "slow renames"):
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        elif kind == "full disk":
            fill(run.out.parent)
        elif kind == "read-only":
            set_read_only(run.out, True)
        else:
            return change(run.store, self._chance)
        return kind

    def _mend(self, kind: str, run: DisturbedRun) -> None:
        if kind == "full disk":
            (run.out.parent / "filler").unlink()
        elif kind == "read-only":
            set_read_only(run.out, False)
        elif kind == "store changed":
            bring_back(run.store)

    def _look(self, name: str, run: DisturbedRun, ending: str, kind: str) -> None:
        """Look at how a disturbed run ended."""
        if ending.startswith("unnamed"):
            self.amiss.append(f"{name}: {ending}")
        if ending == "killed" and kind not in ("killed", "slow renames"):
            self.amiss.append(f"{name}: it ended without a word")
        if not run.fine_tunes:
            return
        status = read_status(run.out)
        if status is None:
            if ending.startswith("named") and run.out.is_dir() and os.listdir(run.out) not in ([], ["filler"]):
                self.amiss.append(f"{name}: no status says how it ended ({ending})")
            return
        wanted = {"done": RunState.FINISHED, "killed": RunState.STOPPED}.get(ending, RunState.FAILED)
        said = ending.removeprefix("named: ")
        finished_before = ending == "killed" and status.state is RunState.FINISHED
        if status.state is not wanted and not finished_before:
            self.amiss.append(f"{name}: its status is {status.state.value} ({ending})")
        elif wanted is RunState.FAILED and status.message != said:
            self.amiss.append(f"{name}: its status says {status.message!r}, not {said!r}")

    def _check(self, name: str, run: DisturbedRun, weights: str | None, done: str) -> None:
        """Check what a run has made in the end."""
        if weights is not None and file_sha256(run.result / WEIGHTS) != weights:
            self.amiss.append(f"{name}: other weights than those of an undisturbed run")
        read_model(run.result).load_network()
        left = [str(path.relative_to(run.out)) for path in run.out.rglob(f"{TEMPORARY_PREFIX}*")]
        if left:
            self.amiss.append(f"{name}: left behind: {left}")
        for line in (run.out / "progress.jsonl").read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # The last line of a run that was killed.
                json.loads(line)
        if run.fine_tunes:
            read_verdict(run.result)
            faults = [str(fault) for fault in CaseStore(run.store).verify()]
            allowed = {"deleted": "b", "damaged": "d"}.get(done)
            self.amiss += [f"{name}: {fault}" for fault in faults if allowed is None]

    def _new(self, name: str) -> Path:
        return self._material.folder / name


def unfit(kind: str) -> str:
    """Return why a kind cannot be played here; "" where it can."""
    if kind in ("full disk", "read-only") and not (sys.platform == "linux" and os.geteuid() == 0):
        return "needs root on Linux"
    if kind == "read-only" and shutil.which("chattr") is None:
        return "needs the program chattr"
    return ""


def main() -> int:
    """Play all rounds and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="of each kind (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slowest", type=float, default=0.5, help="seconds that a slow rename takes (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, metavar="KIND")
    args = parser.parse_args()
    for module in _LATE_IMPORTS:
        importlib.import_module(module)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    finetuning_run._PATCH = (48, 16, 16)  # type: ignore[attr-defined]
    finetuning_cases.PHANTOMS = 0
    with tempfile.TemporaryDirectory(prefix="mtctl-fire-") as folder:
        rounds = Rounds(Material.made_in(Path(folder)), args.seed, args.slowest)
        for kind in args.only:
            if reason := unfit(kind):
                print(f"{kind}: left out, {reason}")
                continue
            before, began = len(rounds.amiss), time.monotonic()
            endings = Counter(rounds.play(kind, number) for number in range(args.rounds))
            told = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
            took = f"{time.monotonic() - began:.0f} s"
            print(f"{kind}: {args.rounds} rounds ({told}), amiss: {len(rounds.amiss) - before}, {took}", flush=True)
    print("".join(f"    {fault}\n" for fault in rounds.amiss), end="")
    return 1 if rounds.amiss else 0


if __name__ == "__main__":
    sys.exit(main())
