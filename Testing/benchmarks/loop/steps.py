"""What the experiments of the loop are made of: scans, a simulated reviewer, stores, fine-tunings, and their scores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtctl.cases.importing import result_of
from mtctl.cases.ranking import by_expected_gain
from mtctl.cases.store import CaseStore, StoredCase
from mtctl.evaluation.segmentation_metrics import dice
from mtctl.geometry import Mask, Volume
from mtctl.guidance.guided_mask import guided_scan
from mtctl.guidance.network import find_guidance
from mtctl.guidance.questions import PLACE_MM
from mtctl.guidance.session import QuestionSession, looked_at
from mtctl.guidance.simulated_reader import SimulatedReader
from mtctl.inference.prediction import Options
from mtctl.inference.report import make_report
from mtctl.inference.segmenter import Segmenter
from mtctl.io.volumes import read_mask, read_volume
from mtctl.models.model import find_model
from mtctl.models.verdict import read_verdict
from mtctl.networks.device import choose_device
from mtctl.review.document import review_document
from mtctl.review.session import ReviewSession
from mtctl.synthetic.corruptions import bias_field, low_resolution, noise
from mtctl.system.files import replacing

SHARED = Path(os.environ.get("MTCTL_SHARED", Path(__file__).resolve().parents[3].parent / "shared")) / "data/la2018"

#: The draw that is none: in the order of `mtctl.cases.ranking`.
NEXT_BEST = "next"


def another_scanner(volume: Volume) -> Volume:
    """The scan as a strongly different scanner would have shown it: voxels 2.5 times as long (the benchmark's: 1.6 x
    1.6 x 3.1 mm), one coil's bias, a flat grey-level curve, some noise; the same for every scan."""
    dx, dy, dz = volume.geometry.spacing
    voxel_mm = dz, dy, dx
    image = low_resolution(volume.array, 2.5, voxel_mm, np.random.default_rng(0))
    image = bias_field(image, 0.9, voxel_mm, np.random.default_rng(7))
    low, high = np.percentile(image, (0.5, 99.5))
    unit = np.clip((image - low) / (high - low), 0, 1.5)
    image = noise(np.asarray(unit**0.4, np.float32), 0.25, voxel_mm, np.random.default_rng(1))
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
    answers: int
    draw: str
    replay: tuple[str, ...]
    length: tuple[str, ...]
    further: tuple[str, ...]
    arms: tuple[str, ...] = ()

    def scan(self, name: str, scanner: str) -> Volume:
        return SCANNERS[scanner](read_volume(SHARED / "train" / f"{name}.image.nrrd"))

    def truth(self, name: str) -> Mask:
        return read_mask(SHARED / "train" / f"{name}.label.nrrd").array.astype(bool)


def corrected(case: StoredCase, truth: Mask, answers: int) -> tuple[ReviewSession, Mask]:
    """The review of a simulated reader who answers so many questions at most, and the mask that it leaves."""
    guidance, maps = find_guidance(), case.maps()
    session, mask, volume = ReviewSession(maps), maps.segmentation, case.scan()
    box = looked_at(mask, volume.geometry)
    scan = guided_scan(volume, maps.probability, guidance.grid_mm, box)
    asked = QuestionSession(scan, mask, guidance.finder(choose_device("auto")))
    reader = SimulatedReader(truth, volume.geometry, np.random.default_rng(0))
    for _ in range(answers):
        questions = asked.shown(mask, session.said)
        if not questions:
            break
        session.look_at(questions[0].place)
        answer = reader.at_place(mask, questions[0].place, PLACE_MM)
        if answer is None:
            session.keep(questions[0])
        else:
            mask = asked.answer(mask, session.said, answer)
            session.answer(answer, mask, questions[0])
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
            report = make_report(prediction, segmenter.model.card, Options(), "entropy", None).report
            store.add_prediction(store.add(volume, name), result_of(prediction, report))
            print(f"\rpredicting the pool: {done} of {len(missing)}", end="", flush=True)
        print()
    return store


def reviewed_store(setting: Setting, scanner: str, count: int, fully: bool) -> CaseStore:
    """The pool with `count` corrected scans: by answers, or `fully`; the same scans."""
    folder = setting.out / f"{scanner}-{count}-{'full' if fully else 'answered'}"
    if not folder.exists():
        predicted = predicted_store(setting, scanner)
        part = folder.with_name(f".{folder.name}")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(predicted.folder, part)
        store, lines = CaseStore(part), []
        for name in chosen(predicted, count, setting.draw):
            case, truth = store.case(name), setting.truth(name)
            session, mask = corrected(case, truth, setting.answers)
            before, after = dice(case.prediction(), truth), dice(mask, truth)
            lines.append(f"{name}: {100 * before:.2f} -> {100 * after:.2f}, {len(session.state.replies)} answers")
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


def names(span: str) -> tuple[str, ...]:
    """Names of a span such as 17-66 of the list; "none": none."""
    if span == "none":
        return ()
    first, last = map(int, span.split("-"))
    return tuple((SHARED / "train.list").read_text(encoding="utf-8").split()[first - 1 : last])
