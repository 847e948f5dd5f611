"""Does the loop pay? A simulated reviewer corrects some scans, a model is fine-tuned on them, and other scans say.

    PYTHONPATH=Testing python -m benchmarks.loop pays   --base la8 --out loop [--replay 1-8]
    PYTHONPATH=Testing python -m benchmarks.loop shift  --base la8 --out loop
    PYTHONPATH=Testing python -m benchmarks.loop effort --base la8 --out loop --seeds 0 1 2
    PYTHONPATH=Testing python -m benchmarks.loop arms   --base la8 --out dev --pool 17-54 --test 55-66 --minutes 8 \\
        --arm "as it is" --arm "all alike: --corrected-weight 1" --arm "unseen as truth: --unseen-power 0"
    PYTHONPATH=Testing python -m benchmarks.loop table  --out loop

The base must have seen names 1-8 of `train.list` below $MTCTL_SHARED/data/la2018 at most. Every step is kept in --out
and not done again; a training that was stopped goes on. Experiments:

- pays: the reviewer, a simulated reader who answers five of our questions a scan at most, corrects 8 of names 17-66
  (the others are unlabelled); validation on 67-80 before, after fine-tuning, and after fine-tuning on the labelled
  cases alone in the same time. Wanted: + 1.0, and more than supervised alone.
- shift: another scanner (see `another_scanner`): 5 corrected scans shall bring back half of what it costs; corrected by
  answers, and, as a person does who sees that the model fails there, everywhere.
- effort: corrected by answers against corrected everywhere, paired by seed and case. Wanted: at most 0.3 below; printed
  with its bootstrap interval.
- arms: the same 8 scans, fine-tuned with any options of `mtctl finetune`; for choosing settings, which was done with
  the names that the example shows and never on 67-80.

Which scans are corrected is drawn by --draw among those that are not flagged as failed (a reviewer sends those back),
without a look at the truth; `--draw next` takes them as MTCTLTrain's "next best case" offers them. What follows "--"
is passed on to `mtctl finetune` in all arms.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.loop.outcome import ExperimentOutcome, as_array, interval, mean
from benchmarks.loop.steps import NEXT_BEST, SHARED, Setting, fine_tuned, names, reviewed_store, scores

from mtctl.system.files import replacing

WANTED_GAIN, WANTED_BACK, ALLOWED_LOSS = 1.0, 0.5, 0.3


def pays(setting: Setting, seeds: Sequence[int]) -> ExperimentOutcome:
    """Experiment 1."""
    store = reviewed_store(setting, "own", 8, fully=False)
    arms = {"base": [scores(setting, setting.base, "own")]}
    for name, *arguments in (("fine-tuned",), ("labelled-only", "--labelled-share", "1")):
        models = [fine_tuned(setting, store, name, seed, *arguments) for seed in seeds]
        arms[name] = [scores(setting, model, "own") for model in models]
    gain = mean(arms["fine-tuned"]) - mean(arms["base"])
    more = mean(arms["fine-tuned"]) - mean(arms["labelled-only"])
    return ExperimentOutcome(
        "The loop pays: 8 scans corrected by answers",
        arms,
        [
            f"gain {gain:+.2f} >= {WANTED_GAIN:g}: {_yes(gain >= WANTED_GAIN)}",
            f"above labelled-only fine-tuning by {more:+.2f}: {_yes(more > 0)}",
        ],
    )


def shift(setting: Setting, seeds: Sequence[int]) -> ExperimentOutcome:
    """Experiment 2."""
    tuned = {}
    for words, fully in (("corrected by answers", False), ("corrected everywhere", True)):
        store = reviewed_store(setting, "other", 5, fully)
        tuned[words] = [fine_tuned(setting, store, "fine-tuned", seed) for seed in seeds]
    arms = {"base, other scanner": [scores(setting, setting.base, "other")]}
    arms |= {words: [scores(setting, model, "other") for model in models] for words, models in tuned.items()}
    before, *after = map(mean, arms.values())
    arms["base, own scanner"] = [scores(setting, setting.base, "own")]
    cost = mean(arms["base, own scanner"]) - before
    for words, models in tuned.items():
        arms[f"{words}, own scanner"] = [scores(setting, model, "own") for model in models]
    backs = {words: (value - before) / cost for words, value in zip(tuned, after, strict=True)}
    return ExperimentOutcome(
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


def effort(setting: Setting, seeds: Sequence[int]) -> ExperimentOutcome:
    """Experiment 3."""
    arms = {}
    for name, fully in (("8 scans corrected everywhere", True), ("8 scans corrected by answers", False)):
        store = reviewed_store(setting, "own", 8, fully)
        models = [fine_tuned(setting, store, "fine-tuned", seed) for seed in seeds]
        arms[name] = [scores(setting, model, "own") for model in models]
    full, flagged = map(as_array, arms.values())
    loss = float((full - flagged).mean())
    low, high = interval(full - flagged)
    return ExperimentOutcome(
        f"Correction effort, {len(seeds)} seeds",
        arms,
        [f"below by {loss:.2f} [{low:.2f}, {high:.2f}] <= {ALLOWED_LOSS:g}: {_yes(loss <= ALLOWED_LOSS)}"],
    )


def compare(setting: Setting, seeds: Sequence[int]) -> ExperimentOutcome:
    """Any options against each other."""
    store = reviewed_store(setting, "own", 8, fully=False)
    arms = {"base": [scores(setting, setting.base, "own")]}
    for arm in setting.arms:
        name, _, options = arm.partition(":")
        folder = name.replace(" ", "-")
        models = [fine_tuned(setting, store, folder, seed, *shlex.split(options)) for seed in seeds]
        arms[name] = [scores(setting, model, "own") for model in models]
    return ExperimentOutcome("Settings of a fine-tuning on 8 scans corrected by answers", arms, [])


EXPERIMENTS = {"pays": pays, "shift": shift, "effort": effort, "arms": compare}


def _yes(kept: bool) -> str:
    return "yes" if kept else "NO"


def main() -> int:
    """Run an experiment, or print what was found so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*EXPERIMENTS, "table"))
    parser.add_argument("--base", help="model id or folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", default="17-66", help="names that are corrected or unlabelled (%(default)s)")
    parser.add_argument("--test", default="67-80", help="names that are measured on (%(default)s)")
    parser.add_argument("--replay", default="1-8", help="names of the base's training to show again, or none")
    parser.add_argument("--answers", type=int, default=5, help="of the reviewer a scan, at most (%(default)s)")
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
            pool=names(args.pool),
            test=names(args.test),
            answers=args.answers,
            draw=args.draw,
            replay=names(args.replay),
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
            print("\n" + ExperimentOutcome(**json.loads(path.read_text(encoding="utf-8"))).text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
