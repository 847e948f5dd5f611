"""Does the loop pay? A simulated reviewer corrects some scans, a model is fine-tuned on them, and other scans say.

    python Testing/benchmarks/loop.py pays   --base la8 --out loop [--replay 1-8]
    python Testing/benchmarks/loop.py shift  --base la8 --out loop
    python Testing/benchmarks/loop.py effort --base la8 --out loop --seeds 0 1 2
    python Testing/benchmarks/loop.py arms   --base la8 --out dev --pool 17-54 --test 55-66 --minutes 8 \\
        --arm "as it is" --arm "all alike: --corrected-weight 1" --arm "unseen as truth: --unseen-power 0"
    python Testing/benchmarks/loop.py table  --out loop

The base must have seen names 1-8 of `train.list` below $MTCTL_SHARED/data/la2018 at most. Every step is kept in --out
and not done again; a training that was stopped goes on. Experiments:

- pays: the reviewer, an oracle that answers only inside the flagged regions, the first of the list first and 10 mL a
  scan at most, corrects 8 of names 17-66 (the others are unlabelled); validation on 67-80 before, after fine-tuning,
  and after fine-tuning on the labelled cases alone in the same time. Wanted: + 1.0, and more than supervised alone.
- shift: another scanner (see `another_scanner`): 5 corrected scans shall bring back half of what it costs; corrected in
  the flagged regions, and, as a person does who sees that the model fails there, everywhere.
- effort: corrected in the flagged regions against corrected everywhere, paired by seed and case. Wanted: at most 0.3
  below; printed with its bootstrap interval.
- arms: the same 8 scans, fine-tuned with any options of `mtctl finetune`; for choosing settings, which was done with
  the names that the example shows and never on 67-80.

Which scans are corrected is drawn by --draw among those that are not flagged as failed (a reviewer sends those back),
without a look at the truth; `--draw next` takes them as MTCTLTrain's "next best case" offers them. What follows "--"
is passed on to `mtctl finetune` in all arms.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from review import exact

from mtctl.case_import import result_of
from mtctl.case_maps import CaseMaps
from mtctl.case_report import find
from mtctl.cases import CaseStore
from mtctl.device import choose_device
from mtctl.files import replacing
from mtctl.geometry import Volume
from mtctl.inference import Options, Segmenter
from mtctl.metrics import Mask, dice
from mtctl.model import find_model
from mtctl.next_case import by_expected_gain
from mtctl.review import ReviewSession
from mtctl.review_file import review_document
from mtctl.verdict import read_verdict
from mtctl.volume import read_mask, read_volume
from mtctl_train.corruptions import bias_field, low_resolution, noise

SHARED = Path(os.environ.get("MTCTL_SHARED", Path(__file__).resolve().parents[2].parent / "shared")) / "data/la2018"
WANTED_GAIN, WANTED_BACK, ALLOWED_LOSS = 1.0, 0.5, 0.3

#: The draw that is none: in the order of `mtctl.next_case`.
NEXT_BEST = "next"


def another_scanner(volume: Volume) -> Volume:
    """The scan as a strongly different scanner would have shown it: 1.6 mm voxels, one coil's bias, a flat grey-level
    curve, some noise; the same for every scan."""
    spacing = volume.geometry.spacing[0]
    image = low_resolution(volume.array, 2.5, spacing, np.random.default_rng(0))
    image = bias_field(image, 0.9, spacing, np.random.default_rng(7))
    low, high = np.percentile(image, (0.5, 99.5))
    unit = np.clip((image - low) / (high - low), 0, 1.5)
    image = noise(np.asarray(unit**0.4, np.float32), 0.25, spacing, np.random.default_rng(1))
    return Volume(image, volume.geometry)


def as_it_is(volume: Volume) -> Volume:
    return volume


SCANNERS = {"own": as_it_is, "other": another_scanner}


@dataclass(frozen=True)
class Setting:
    """What all experiments share."""

    base: str
    out: Path
    pool: tuple[str, ...]
    test: tuple[str, ...]
    budget_ml: float
    draw: str
    replay: tuple[str, ...]
    length: tuple[str, ...]
    further: tuple[str, ...]
    arms: tuple[str, ...] = ()

    def scan(self, name: str, scanner: str) -> Volume:
        return SCANNERS[scanner](read_volume(SHARED / "train" / f"{name}.image.nrrd"))

    def truth(self, name: str) -> Mask:
        return read_mask(SHARED / "train" / f"{name}.label.nrrd").array.astype(bool)


def corrected(maps: CaseMaps, truth: Mask, budget_ml: float) -> tuple[ReviewSession, Mask]:
    """The review of the oracle, and the mask that it leaves."""
    session, mask = ReviewSession(maps), maps.segmentation.copy()
    for region in session.regions:
        if session.looked_at_ml + region.volume_mm3 / 1000 > budget_ml:
            break
        session.jump(region.id)
        part = session.part(region.id)
        mask[part.box], _ = exact(maps, part, mask, truth)
        session.record("oracle", mask)
        session.accept_region(region.id)
    session.accept_case()
    return session, mask


def predicted_store(setting: Setting, scanner: str) -> CaseStore:
    """All scans of the pool with the base's predictions; nobody has looked at them."""
    store = CaseStore(setting.out / f"predicted-{scanner}")
    known = {case.id for case in store.cases() if case.model}
    missing = [name for name in setting.pool if name not in known]
    if missing:
        segmenter = Segmenter(find_model(setting.base), choose_device("auto"))
        for done, name in enumerate(missing, 1):
            volume = setting.scan(name, scanner)
            prediction = segmenter.predict(volume)
            report = find(prediction, segmenter.model.card, Options(), "entropy", None).report
            store.add_prediction(store.add(volume, name), result_of(prediction, report))
            print(f"\rpredicting the pool: {done} of {len(missing)}", end="", flush=True)
        print()
    return store


def reviewed_store(setting: Setting, scanner: str, count: int, fully: bool) -> CaseStore:
    """The pool with `count` corrected scans: in their flagged regions, or `fully`; the same scans."""
    folder = setting.out / f"{scanner}-{count}-{'full' if fully else 'flagged'}"
    if not folder.exists():
        predicted = predicted_store(setting, scanner)
        part = folder.with_name(f".{folder.name}")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(predicted.folder, part)
        store, lines = CaseStore(part), []
        for name in chosen(predicted, count, setting.draw):
            case, truth = store.case(name), setting.truth(name)
            session, mask = corrected(case.maps(), truth, setting.budget_ml)
            before, after = dice(case.prediction(), truth), dice(mask, truth)
            lines.append(f"{name}: {100 * before:.2f} -> {100 * after:.2f}, {session.looked_at_ml:.1f} mL looked at")
            if fully:
                store.add_label(case, truth, "oracle")
            else:
                store.accept(case, mask, review_document(session), "oracle")
        (part / "reviews.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        part.rename(folder)
    print((folder / "reviews.txt").read_text(encoding="utf-8"), end="")
    return CaseStore(folder)


def chosen(store: CaseStore, count: int, draw: str) -> list[str]:
    """Names of the scans to correct."""
    good = [case for case in store.cases() if not case.report()["flagged"]]
    if draw == NEXT_BEST:
        return [case.id for case in by_expected_gain(good)[:count]]
    return [str(name) for name in np.random.default_rng(int(draw)).permutation([case.id for case in good])[:count]]


def fine_tuned(setting: Setting, store: CaseStore, name: str, seed: int, *arguments: str) -> str:
    """Folder of the candidate that `mtctl finetune` makes."""
    out = setting.out / f"{store.folder.name}+{name}-{seed}"
    if not (out / "candidate").exists():
        command = [sys.executable, "-m", "mtctl", "finetune", "--cases", str(store.folder), "--base", setting.base]
        command += ["--out", str(out), "--seed", str(seed), *setting.length, *setting.further, *arguments]
        if setting.replay:
            command += ["--replay", str(SHARED / "train"), *setting.replay]
        began = time.monotonic()
        with open(setting.out / f"{out.name}.log", "a", encoding="utf-8") as log:
            subprocess.run(command, check=True, stdout=log)
        print(f"{out.name}: {(time.monotonic() - began) / 60:.1f} min")
    verdict = read_verdict(out / "candidate")
    old, new = verdict.dice
    print(f"{out.name}: on {len(verdict.cases)} held-out cases {100 * old:.2f} -> {100 * new:.2f}, {verdict.held_out}")
    print(
        f"  calibration error {verdict.calibration}; against it: {'; '.join(verdict.against) or 'nothing'}", flush=True
    )
    return str(out / "candidate")


def scores(setting: Setting, model: str, scanner: str) -> dict[str, float]:
    """Dice of a model on every test scan, kept in a file."""
    found = find_model(model)
    path = setting.out / "scores" / f"{found.card.sha256[:16]}-{scanner}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in setting.test if name not in kept]
    segmenter = Segmenter(found, choose_device("auto")) if missing else None
    for name in missing:
        assert segmenter is not None
        kept[name] = dice(segmenter.predict(setting.scan(name, scanner)).segmentation, setting.truth(name))
        with replacing(path) as part:
            part.write_text(json.dumps(kept), encoding="utf-8")
    return {name: kept[name] for name in setting.test}


def interval(differences: NDArray[np.float64], draws: int = 10000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over cases; (seeds, cases), seeds are averaged, cases drawn."""
    rng, by_case = np.random.default_rng(0), differences.mean(axis=0)
    means = by_case[rng.integers(len(by_case), size=(draws, len(by_case)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Outcome:
    """What an experiment has found: Dice by case, one dictionary a seed, by arm; and what is to be said of them."""

    title: str
    arms: Mapping[str, list[dict[str, float]]]
    findings: Sequence[str]

    def text(self) -> str:
        """As a table; differences are from the first arm."""
        lines = [self.title, f"{'':<44}{'Dice %':>8}{'lowest':>8}{'diff.':>8}{'95 % interval':>18}"]
        first = _array(next(iter(self.arms.values())))
        for name, values in self.arms.items():
            array = _array(values)
            line = f"{name:<44}{array.mean():>8.2f}{array.mean(axis=0).min():>8.2f}"
            if array is not first and name != next(iter(self.arms)):
                change = array - first if len(array) == len(first) else array - first.mean(axis=0)
                low, high = interval(change)
                line += f"{change.mean():>+8.2f}{f'[{low:+.2f}, {high:+.2f}]':>18}"
            lines.append(line)
        return "\n".join([*lines, *self.findings])


def _array(values: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    return 100 * np.array([list(one.values()) for one in values])


def _mean(values: Sequence[Mapping[str, float]]) -> float:
    return float(_array(values).mean())


def pays(setting: Setting, seeds: Sequence[int]) -> Outcome:
    """Experiment 1."""
    store = reviewed_store(setting, "own", 8, fully=False)
    arms = {"base": [scores(setting, setting.base, "own")]}
    for name, *arguments in (("fine-tuned",), ("labelled-only", "--labelled-share", "1")):
        models = [fine_tuned(setting, store, name, seed, *arguments) for seed in seeds]
        arms[name] = [scores(setting, model, "own") for model in models]
    gain = _mean(arms["fine-tuned"]) - _mean(arms["base"])
    more = _mean(arms["fine-tuned"]) - _mean(arms["labelled-only"])
    return Outcome(
        "The loop pays: 8 scans corrected in their flagged regions",
        arms,
        [
            f"gain {gain:+.2f} >= {WANTED_GAIN:g}: {_yes(gain >= WANTED_GAIN)}",
            f"above labelled-only fine-tuning by {more:+.2f}: {_yes(more > 0)}",
        ],
    )


def shift(setting: Setting, seeds: Sequence[int]) -> Outcome:
    """Experiment 2."""
    tuned = {}
    for words, fully in (("corrected in flagged regions", False), ("corrected everywhere", True)):
        store = reviewed_store(setting, "other", 5, fully)
        tuned[words] = [fine_tuned(setting, store, "fine-tuned", seed) for seed in seeds]
    arms = {"base, other scanner": [scores(setting, setting.base, "other")]}
    arms |= {words: [scores(setting, model, "other") for model in models] for words, models in tuned.items()}
    before, *after = map(_mean, arms.values())
    arms["base, own scanner"] = [scores(setting, setting.base, "own")]
    cost = _mean(arms["base, own scanner"]) - before
    for words, models in tuned.items():
        arms[f"{words}, own scanner"] = [scores(setting, model, "own") for model in models]
    backs = {words: (value - before) / cost for words, value in zip(tuned, after, strict=True)}
    return Outcome(
        "Another scanner: 5 of its scans corrected (own scanner: forgetting)",
        arms,
        [
            f"it costs {cost:.2f}",
            *(
                f"{words}: {100 * back:.0f} % of that brought back, at least {100 * WANTED_BACK:g}: "
                f"{_yes(back >= WANTED_BACK)}"
                for words, back in backs.items()
            ),
        ],
    )


def effort(setting: Setting, seeds: Sequence[int]) -> Outcome:
    """Experiment 3."""
    arms = {}
    for name, fully in (("8 scans corrected everywhere", True), ("8 scans corrected in flagged regions", False)):
        store = reviewed_store(setting, "own", 8, fully)
        models = [fine_tuned(setting, store, "fine-tuned", seed) for seed in seeds]
        arms[name] = [scores(setting, model, "own") for model in models]
    full, flagged = map(_array, arms.values())
    loss = float((full - flagged).mean())
    low, high = interval(full - flagged)
    return Outcome(
        f"Correction effort, {len(seeds)} seeds",
        arms,
        [f"below by {loss:.2f} [{low:.2f}, {high:.2f}] <= {ALLOWED_LOSS:g}: {_yes(loss <= ALLOWED_LOSS)}"],
    )


def compare(setting: Setting, seeds: Sequence[int]) -> Outcome:
    """Any options against each other."""
    store = reviewed_store(setting, "own", 8, fully=False)
    arms = {"base": [scores(setting, setting.base, "own")]}
    for arm in setting.arms:
        name, _, options = arm.partition(":")
        folder = name.replace(" ", "-")
        models = [fine_tuned(setting, store, folder, seed, *shlex.split(options)) for seed in seeds]
        arms[name] = [scores(setting, model, "own") for model in models]
    return Outcome("Settings of a fine-tuning on 8 scans corrected in their flagged regions", arms, [])


EXPERIMENTS = {"pays": pays, "shift": shift, "effort": effort, "arms": compare}


def _yes(kept: bool) -> str:
    return "yes" if kept else "NO"


def _names(span: str) -> tuple[str, ...]:
    """Names of a span such as 17-66 of the list; "none": none."""
    if span == "none":
        return ()
    first, last = map(int, span.split("-"))
    return tuple((SHARED / "train.list").read_text(encoding="utf-8").split()[first - 1 : last])


def main() -> int:
    """Run an experiment, or print what was found so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*EXPERIMENTS, "table"))
    parser.add_argument("--base", help="model id or folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", default="17-66", help="names that are corrected or unlabelled (%(default)s)")
    parser.add_argument("--test", default="67-80", help="names that are measured on (%(default)s)")
    parser.add_argument("--replay", default="1-8", help="names of the base's training to show again, or none")
    parser.add_argument("--budget", type=float, default=10.0, help="mL that the reviewer looks at (%(default)s)")
    parser.add_argument("--draw", default="0", help=f"a number, or {NEXT_BEST} (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--arm", action="append", default=[], metavar="NAME: OPTIONS", help="of `arms`")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", default="25", help="of a fine-tuning (%(default)s)")
    length.add_argument("--iterations", help="of it instead: the same for all arms, whatever a step costs")
    arguments = sys.argv[1:]
    here = arguments.index("--") if "--" in arguments else len(arguments)
    args = parser.parse_args(arguments[:here])
    if args.draw != NEXT_BEST and not args.draw.isdecimal():
        parser.error(f"--draw {args.draw}: give a number, or {NEXT_BEST}")
    if not SHARED.is_dir():
        parser.error(f"{SHARED} is missing: set MTCTL_SHARED to the folder that holds data/la2018")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.what != "table":
        if args.base is None:
            parser.error("--base is needed")
        setting = Setting(
            base=args.base,
            out=args.out,
            pool=_names(args.pool),
            test=_names(args.test),
            budget_ml=args.budget,
            draw=args.draw,
            replay=_names(args.replay),
            length=("--iterations", args.iterations) if args.iterations else ("--minutes", args.minutes),
            further=tuple(arguments[here + 1 :]),
            arms=tuple(args.arm),
        )
        found = EXPERIMENTS[args.what](setting, args.seeds)
        with replacing(args.out / f"{args.what}.json") as part:
            part.write_text(json.dumps(asdict(found), indent=2), encoding="utf-8")
    for name in EXPERIMENTS:
        path = args.out / f"{name}.json"
        if path.exists():
            print("\n" + Outcome(**json.loads(path.read_text(encoding="utf-8"))).text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
