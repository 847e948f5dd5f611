"""The site's models: published only when not worse, never overwritten, revertible, and used for the next case."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.scans import scan
from support.stored_cases import contents

from mtctl.commands.main import main
from mtctl.errors import MtctlError
from mtctl.inference.prediction import Options
from mtctl.inference.report import make_report
from mtctl.inference.segmenter import Segmenter
from mtctl.inference.test_time_augmentation import VIEWS
from mtctl.models import shipped
from mtctl.models.card import MOST_VIEWS, Card, ModelError, write_card
from mtctl.models.model import Model, find_model, list_models, read_model, save_locator, save_model
from mtctl.models.model_files import CARD
from mtctl.models.site_folder import site_folder
from mtctl.models.store import ModelStore
from mtctl.models.verdict import Compared, ModelName, Verdict, VerdictError, read_verdict, write_verdict
from mtctl.models.versions import ModelStoreError, NotBetterError, Version
from mtctl.networks.architecture import Architecture, locator_shapes, network_shapes
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet
from mtctl.system.files import WriteError, file_sha256
from mtctl.system.staging import read_sealed, write_sealed
from mtctl.worker.engine import Engine


@pytest.fixture
def store(tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """An empty store of a site whose shipped model is the tiny one."""
    came = tmp_path / "shipped"
    shutil.copytree(tiny_model.folder, came / "tiny")
    write_card(came / "tiny", dataclasses.replace(tiny_model.card, default=True))
    monkeypatch.setattr(shipped, "MODEL_FOLDERS", (came,))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("MTCTL_MODELS", str(site))
    return ModelStore()


def name_of(card: Card) -> ModelName:
    return ModelName(card.id, card.version, card.sha256)


def better(base: ModelName, **changes: object) -> Verdict:
    cases = (Compared("a", 0.90, 0.92, {"hd95_mm": (4.0, 3.0)}), Compared("b", 0.88, 0.87))
    return dataclasses.replace(Verdict(base, cases, calibration=(0.05, 0.04), data={"a": "f" * 64}), **changes)  # type: ignore[arg-type]


def candidate(folder: Path, seed: int = 1, **changes: object) -> Path:
    """A model that differs from the one in use, with its verdict against that."""
    used = find_model(None).card
    torch.manual_seed(seed)
    card = dataclasses.replace(used, id="candidate", version=f"2026.{seed}")
    save_model(folder, card, MTCTLNet(used.architecture).state_dict())
    write_verdict(folder, better(name_of(used), **changes))
    return folder


# The rule


BASE = ModelName("base", "1", "0" * 64)


@pytest.mark.parametrize(
    ("cases", "calibration", "reason"),
    [
        ([(0.90, 0.90)], (0.05, 0.05), None),
        ([(0.90, 0.88), (0.80, 0.82)], (0.05, 0.05), None),
        ([(0.90, 0.8999)], (0.05, 0.05), "mean Dice is lower: 89.99, was 90.00"),
        ([(0.90, 0.8799), (0.80, 0.90)], (0.05, 0.05), r"case 0 loses 2\.0 points of Dice"),
        ([(0.90, math.nan)], (0.05, 0.05), "mean Dice is lower"),
        ([(0.90, 0.92)], (0.05, 0.051), "its probabilities are off by 0.051, were by 0.050"),
        ([(0.90, 0.92)], (0.05, math.nan), "its probabilities are off"),
        ([(0.90, 0.92)], None, "its calibration was not measured"),
        ([], (0.05, 0.05), "it was compared on no case"),
    ],
)
def test_a_candidate_may_be_published_when_it_is_not_worse(
    cases: list[tuple[float, float]], calibration: tuple[float, float] | None, reason: str | None
) -> None:
    compared = tuple(Compared(str(number), old, new) for number, (old, new) in enumerate(cases))
    against = Verdict(BASE, compared, calibration).against
    if reason is None:
        assert against == ()
    else:
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(against)


def test_a_verdict_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    verdict = better(BASE, p_value=0.03, held_out="2 folds", recipe={"minutes": 20}, uncertainty={"auroc": (0.8, 0.9)})
    write_verdict(tmp_path, verdict)
    assert read_verdict(tmp_path) == verdict


def test_a_verdict_that_was_changed_by_hand_or_torn_or_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match=r"holds no verdict\.json: the model was never compared"):
        read_verdict(tmp_path)
    write_verdict(tmp_path, better(BASE))
    path = tmp_path / "verdict.json"
    text = path.read_text()
    path.write_text(text.replace("0.87", "0.97"))
    with pytest.raises(VerdictError, match="was changed by hand"):
        read_verdict(tmp_path)
    path.write_text(text[:50])
    with pytest.raises(VerdictError, match="cut off or damaged"):
        read_verdict(tmp_path)


# Publishing and going back


def test_a_better_candidate_becomes_the_default_and_the_shipped_one_stays(store: ModelStore, tmp_path: Path) -> None:
    source = candidate(tmp_path / "out")
    before = contents(source)
    version = store.publish(source)
    assert (version.number, version.model.id, version.override) == (1, "site-0001", "")
    assert version.parent == name_of(read_model(tmp_path / "shipped" / "tiny").card)
    assert store.current() == version
    assert find_model(None).folder == version.folder
    assert find_model("site-0001") == find_model(None)
    assert find_model("tiny").card.default
    assert [model.id for model in list_models()] == ["site-0001", "tiny"]
    assert contents(source) == before
    find_model(None).load_network()


def test_a_worse_candidate_is_refused_and_nothing_changes(store: ModelStore, tmp_path: Path) -> None:
    source = candidate(tmp_path / "out", calibration=(0.04, 0.06))
    with pytest.raises(
        NotBetterError, match=r"its probabilities are off.*To publish it even so, give a reason"
    ) as caught:
        store.publish(source)
    assert caught.value.reasons == ("its probabilities are off by 0.060, were by 0.040",)
    assert store.current() is None and store.versions() == [] and contents(store.folder) == {}
    assert find_model(None).id == "tiny"


def test_an_override_is_recorded_with_its_reason(store: ModelStore, tmp_path: Path) -> None:
    source = candidate(tmp_path / "out", calibration=None)
    version = ModelStore().publish(source, override=" the new scanner only ")
    assert version.override == "the new scanner only"
    assert store.version(1).override == "the new scanner only"
    assert [step.reason for step in store.history()] == ["the new scanner only"]


def test_a_candidate_that_was_compared_with_an_older_model_is_refused(store: ModelStore, tmp_path: Path) -> None:
    first, second = candidate(tmp_path / "a", 1), candidate(tmp_path / "b", 2)  # both made from the shipped one
    store.publish(first)
    with pytest.raises(NotBetterError, match=r"compared with tiny 1, but site-0001 2026\.1 is in use"):
        store.publish(second)
    assert store.publish(candidate(tmp_path / "c", 3)).number == 2


def test_rolling_back_goes_one_further_each_time_until_the_shipped_model(store: ModelStore, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        store.publish(candidate(tmp_path / str(seed), seed))
    before = contents(store.folder / "versions")
    assert store.rollback("too bright").number == 2  # type: ignore[union-attr]
    assert store.publish(candidate(tmp_path / "4", 4)).number == 4
    assert find_model(None).id == "site-0004"
    for number in (2, 1):
        version = store.rollback()
        assert version is not None and version.number == number and find_model(None).folder == version.folder
    assert store.rollback() is None
    assert find_model(None).id == "tiny"
    with pytest.raises(ModelStoreError, match="there is nothing to go back to"):
        store.rollback()
    assert [(step.version, step.action) for step in store.history()] == [
        (1, "publish"), (2, "publish"), (3, "publish"), (2, "rollback"), (4, "publish"), (2, "rollback"),
        (1, "rollback"), (None, "rollback"),
    ]  # fmt: skip
    assert before.items() <= contents(store.folder / "versions").items()
    assert store.history()[3].reason == "too bright"


def test_the_running_worker_takes_the_new_version_for_the_next_case(store: ModelStore, tmp_path: Path) -> None:
    events: list[dict[str, object]] = []
    engine = Engine(lambda event, **content: events.append({"event": event, **content}))
    volume = scan((32, 32, 32))
    np.save(tmp_path / "scan.npy", volume.array)
    request = {
        "id": 1,
        "input": str(tmp_path / "scan.npy"),
        "output": str(tmp_path),
        "geometry": volume.geometry.to_json(),
        "options": {"device": "cpu", "region": "none"},
    }
    used = []
    for action in (lambda: None, lambda: store.publish(candidate(tmp_path / "out")), store.rollback):
        action()
        engine.segment(request)
        used.append(events[-1]["report"]["model"]["id"])  # type: ignore[index]
    assert used == ["tiny", "site-0001", "tiny"]


def test_what_is_no_candidate_is_refused_in_words(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match="holds no verdict"):
        store.publish(tmp_path)
    source = candidate(tmp_path / "out")
    (source / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="is not the file of this model's card"):
        store.publish(source)
    (source / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: is missing"):
        store.publish(source)
    assert contents(store.folder) == {}


def test_a_locator_that_is_missing_or_another_is_noticed_before_anything_is_published(
    store: ModelStore, tmp_path: Path
) -> None:
    source = candidate(tmp_path / "out")
    save_locator(read_model(source), 2, (4.0, 4.0, 4.0), LocatorNet(2).state_dict())
    locator = source / "locator.safetensors"
    whole = locator.read_bytes()
    locator.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ModelError, match=r"locator\.safetensors: is not the file of this model's card"):
        store.publish(source)
    locator.unlink()
    with pytest.raises(ModelError, match=r"locator\.safetensors: is missing, but this model's card names it"):
        store.publish(source)
    assert contents(store.folder) == {}
    locator.write_bytes(whole)
    write_verdict(source, read_verdict(source))
    assert (store.publish(source).folder / "locator.safetensors").read_bytes() == whole


def test_a_version_that_cannot_be_put_in_use_is_not_kept(store: ModelStore, tmp_path: Path) -> None:
    store.publish(candidate(tmp_path / "a"))
    second = candidate(tmp_path / "b", 2)
    (store.folder / "current.json").write_text("{")
    before = contents(store.folder)
    with pytest.raises(ModelStoreError, match=r"current\.json: is cut off or damaged"):
        store.publish(second, override="the new scanner only")
    assert contents(store.folder) == before and store.numbers() == [1]


def test_a_full_disk_leaves_the_store_as_it_was(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(candidate(tmp_path / "a"))
    second, before, flush = candidate(tmp_path / "b", 2), contents(store.folder), os.fsync
    for after in range(4):
        calls = [0]

        def fsync(descriptor: int, calls: list[int] = calls, after: int = after) -> None:
            calls[0] += 1
            if calls[0] > after:
                raise OSError(errno.ENOSPC, "No space left on device")
            flush(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(WriteError, match="the disk is full"):
                store.publish(second)
        assert contents(store.folder) == before and store.current() == store.version(1)
    assert store.publish(second).number == 2


def with_card(folder: Path, changes: Mapping[str, object], missing: Sequence[str] = ()) -> Path:
    """Change the card in a folder by hand, and let the verdict be of what lies there then."""
    values = json.loads((folder / CARD).read_text(encoding="utf-8")) | changes
    (folder / CARD).write_text(json.dumps({n: v for n, v in values.items() if n not in missing}), encoding="utf-8")
    write_verdict(folder, read_verdict(folder))
    return folder


@pytest.mark.parametrize(
    ("changes", "missing", "reason"),
    [
        ({}, ["version"], "'version' is missing"),
        ({"views": -1}, [], "'views' is -1; a number from 1 to 5 is needed"),
        ({"views": 0}, [], "'views' is 0; a number from 1 to 5 is needed"),
        ({"views": "5"}, [], "'views' is 5; a whole number is needed"),
        ({"sharpness": 3}, [], "made by a later version of this program .it says 'sharpness'"),
        ({"architecture": {"filters": 4, "uncertainty_filters": 2, "depth": 6}}, [], "a later version .* 'depth'"),
        ({"architecture": {"filters": 100_000}}, [], r"'architecture\.filters' is 100000; a number from 1 to 64"),
        ({"architecture": {"filters": 8, "uncertainty_filters": 2}}, [], "has the shape .*, the card's network"),
        ({"grid_mm": [1.25, 1.25]}, [], "'grid_mm' is a list of 2; a list of 3 is needed"),
        ({"grid_mm": [1.25, 1.25, 1e9]}, [], r"'grid_mm\[2\]'"),
        ({"voxel_calibration": {"slope": math.nan}}, [], r"'voxel_calibration\.slope' is NaN; a finite number"),
        ({"threshold": 1.5}, [], "'threshold' is 1.5; a number from 0 to 1 is needed"),
        ({"samples": True}, [], "'samples' is true; a whole number is needed"),
        ({"mask_samples_share": -0.1}, [], "'mask_samples_share'"),
        ({"usual_shape": {"mean": [1, 1, 1], "covariance": [[0] * 3] * 3, "limit": 4}}, [], "positive definite"),
        ({"data": {"labelled": 5}}, [], r"'data\.labelled' is 5; a list is needed"),
        ({"sha256": "0" * 64}, [], "is not the file of this model's card"),
    ],
)
def test_what_this_version_cannot_use_is_never_published(
    store: ModelStore, tmp_path: Path, changes: dict[str, object], missing: list[str], reason: str
) -> None:
    source = with_card(candidate(tmp_path / "out"), changes, missing)
    for override in ("", "tried on the ward"):
        with pytest.raises(MtctlError, match=reason):
            store.publish(source, override)
    assert contents(store.folder) == {} and find_model(None).id == "tiny" and find_model(None).remark == ""


@pytest.mark.parametrize("damage", ["a tensor less", "a tensor more", "not a number", "text"])
def test_weights_that_the_network_cannot_take_are_never_published(
    store: ModelStore, tmp_path: Path, damage: str
) -> None:
    source = candidate(tmp_path / "out")
    path = source / "weights.safetensors"
    tensors = load_file(path)
    if damage == "a tensor less":
        del tensors["encoder.blocks.0.0.weight"]
    elif damage == "a tensor more":
        tensors["head"] = tensors["encoder.blocks.0.0.weight"].clone()
    else:
        tensors["encoder.blocks.0.0.weight"][0] = math.nan
    save_file(tensors, path)
    if damage == "text":
        path.write_text("no weights")
    with_card(source, {"sha256": file_sha256(path)})
    with pytest.raises(ModelError, match=r"weights\.safetensors: not the weights of an MT-CTL network"):
        store.publish(source, "tried on the ward")
    assert contents(store.folder) == {}


def test_the_tensors_that_a_card_promises_are_those_of_the_networks() -> None:
    for architecture in (Architecture(4, 2), Architecture(3, 5)):
        state = MTCTLNet(architecture).state_dict()
        assert {name: tuple(tensor.shape) for name, tensor in state.items()} == network_shapes(architecture)
    state = LocatorNet(2).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == locator_shapes(2)
    assert len(VIEWS) == MOST_VIEWS


@pytest.mark.parametrize("changed", ["weights", "card"])
def test_a_verdict_beside_another_model_is_published_only_with_a_reason(
    store: ModelStore, tmp_path: Path, changed: str
) -> None:
    source, other = candidate(tmp_path / "a"), candidate(tmp_path / "b", 2)
    if changed == "weights":
        for name in (CARD, "weights.safetensors"):
            shutil.copyfile(other / name, source / name)
    else:
        write_card(source, dataclasses.replace(read_model(source).card, threshold=0.1))
    with pytest.raises(NotBetterError, match="its verdict is of another model: card or weights were changed since"):
        store.publish(source)
    assert contents(store.folder) == {}
    assert store.publish(source, "calibrated since").override == "calibrated since"


def test_a_verdict_that_does_not_say_of_which_model_it_is_needs_a_reason(store: ModelStore, tmp_path: Path) -> None:
    source = candidate(tmp_path / "a")
    document = read_sealed(source / "verdict.json", 1)
    del document["candidate"]
    write_sealed(source / "verdict.json", document)
    with pytest.raises(NotBetterError, match="does not say of which model it is: an earlier version wrote it"):
        store.publish(source)
    assert store.publish(source, "made last month").number == 1


def test_a_folder_of_a_number_that_no_version_has_is_named(store: ModelStore, tmp_path: Path) -> None:
    (store.folder / "versions" / "999999999").mkdir(parents=True)
    assert store.publish(candidate(tmp_path / "a")).number == 1_000_000_000
    (store.folder / "versions" / ("9" * 18)).mkdir()
    with pytest.raises(ModelStoreError, match=r"9{18}: is not of this program; delete it"):
        store.publish(candidate(tmp_path / "b", 2))
    assert find_model(None).id == "site-1000000000"


# Damage


def test_where_the_version_in_use_is_damaged_the_one_before_it_stands_in_and_every_report_says_so(
    store: ModelStore, tmp_path: Path
) -> None:
    store.publish(candidate(tmp_path / "a"))
    version = store.publish(candidate(tmp_path / "b", 2))
    card = version.folder / "card.json"
    card.write_text(card.read_text().replace("0.5", "0.6"))
    with pytest.raises(ModelStoreError, match=r"card\.json: is damaged .*mtctl models rollback"):
        store.current()
    used = find_model(None)
    assert used.id == "site-0001"
    said = r"site-0002 cannot be used, so site-0001, .*card\.json: is damaged .*mtctl models rollback"
    assert re.search(said, used.remark)
    options = Options(region="none")
    prediction = Segmenter(used, torch.device("cpu")).predict(scan((32, 32, 32)), options)
    assert used.remark in make_report(prediction, used.card, options, "entropy", None).report["warnings"]
    assert [one.number for one in store.versions()] == [1]
    assert find_model("tiny").id == "tiny"
    assert store.rollback() == store.version(1)
    assert find_model(None).id == "site-0001"


def test_going_back_passes_over_what_is_damaged(store: ModelStore, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        store.publish(candidate(tmp_path / str(seed), seed))
    shutil.rmtree(store.version(2).folder)
    assert store.rollback().number == 1  # type: ignore[union-attr]
    assert store.rollback() is None


def test_weights_that_were_changed_are_noticed_before_they_are_used(store: ModelStore, tmp_path: Path) -> None:
    version = store.publish(candidate(tmp_path / "a"))
    weights = version.folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="damaged or not the one of this model"):
        find_model("site-0001").load_network()
    used = find_model(None)
    assert used.id == "tiny" and "weights.safetensors: is not the file of this model's card" in used.remark


@pytest.mark.parametrize(
    "content",
    [b"{", b"[" * 200_000, b'{"history": [{"version": -1}]}', None],
    ids=["torn", "deep", "another document", "a folder"],
)
def test_where_nobody_can_tell_which_model_is_in_use_it_is_the_shipped_one_and_going_back_is_possible(
    store: ModelStore, tmp_path: Path, content: bytes | None
) -> None:
    version = store.publish(candidate(tmp_path / "a"))
    pointer = store.folder / "current.json"
    pointer.unlink()
    pointer.write_bytes(content) if content is not None else pointer.mkdir()
    used = find_model(None)
    assert used.id == "tiny" and "current.json: " in used.remark
    assert store.rollback("complaints") is None
    assert find_model(None).remark == "" and (store.folder / "current.damaged-1.json").exists()
    assert [step.reason for step in store.history()] == ["complaints; current.damaged-1.json was damaged"]
    assert store.versions() == [version]
    assert store.publish(candidate(tmp_path / "b", 2)).number == 2
    assert store.rollback() is None


def test_a_site_folder_that_is_not_there_is_an_error_and_not_the_shipped_model(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTCTL_MODELS", str(tmp_path / "not mounted"))
    with pytest.raises(ModelStoreError, match=r"\$MTCTL_MODELS\) is not there; connect the drive"):
        find_model(None)
    assert find_model("tiny").id == "tiny"


@pytest.mark.parametrize(
    ("platform", "variable", "place"),
    [("linux", "XDG_DATA_HOME", ""), ("win32", "LOCALAPPDATA", ""), ("darwin", "HOME", "Library/Application Support")],
)
def test_without_a_site_folder_models_lie_in_the_users_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str, place: str
) -> None:
    monkeypatch.delenv("MTCTL_MODELS")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert site_folder() == tmp_path / place / "mtctl" / "models"


# At once


@pytest.mark.slow
def test_of_many_that_publish_at_once_one_wins_and_the_others_are_told(store: ModelStore, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mtctl.models import shipped\n"
        "from mtctl.models.store import ModelStore, NotBetterError\n"
        f"shipped.MODEL_FOLDERS = (Path({str(tmp_path / 'shipped')!r}),)\n"
        "sys.stdin.readline()\n"
        "try: print(ModelStore().publish(Path(sys.argv[1])).number)\n"
        "except NotBetterError as error: print('refused', error)"
    )
    sources = [candidate(tmp_path / str(seed), seed) for seed in range(1, 5)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for source in sources
    ]
    said = [process.communicate("\n", timeout=60)[0] for process in processes]
    assert sorted(words.split()[0] for words in said) == ["1", "refused", "refused", "refused"]
    assert all("but site-0001" in words for words in said if words.startswith("refused"))
    assert [version.number for version in store.versions()] == [1] and len(store.history()) == 1


# At the command line


def test_publish_list_and_roll_back_at_the_command_line(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "publish", str(candidate(tmp_path / "a"))]) == 0
    said = capsys.readouterr().out
    assert "mean Dice 89.00 before, 89.50 now" in said and "worst case b: 88.00 before, 87.00 now" in said
    assert "published as site-0001, the default from now on" in said
    assert main(["models", "list"]) == 0
    _, first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert (first[0], first[2], second[0], second[2]) == ("site-0001", "default", "tiny", "-")
    worse = candidate(tmp_path / "b", 2, calibration=None)
    assert main(["models", "publish", str(worse)]) == 1
    assert "is not published: its calibration was not measured" in capsys.readouterr().err
    assert main(["models", "publish", str(worse), "--override", "tried on the ward"]) == 0
    assert main(["models", "rollback", "--reason", "complaints"]) == 0
    assert "site-0001 is the default again" in capsys.readouterr().out
    assert main(["models", "rollback"]) == 0
    assert "the shipped model is the default again" in capsys.readouterr().out
    assert main(["models", "rollback"]) == 1
    assert "nothing to go back to" in capsys.readouterr().err


def test_list_names_a_damaged_version_and_shows_the_others(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = store.publish(candidate(tmp_path / "a"))
    (version.folder / "verdict.json").unlink()
    assert main(["models", "list"]) == 1
    out, err = capsys.readouterr()
    assert "tiny" in out and "site-0001" not in out
    assert "verdict.json: is missing" in err


def with_the_old_geometry(folder: Path) -> Path:
    """Make the card in `folder` one of an older program."""
    values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    del values["grid_mm"]
    (folder / CARD).write_text(json.dumps(values | {"spacing_mm": 1.25}), encoding="utf-8")
    return folder


def published_before_the_true_geometry(store: ModelStore, source: Path) -> Version:
    """A version of the site whose card is one of an older program."""
    version = store.publish(source)
    with_the_old_geometry(version.folder)
    document = read_sealed(version.folder / "version.json", 1)
    document["files"][CARD] = file_sha256(version.folder / CARD)
    write_sealed(version.folder / "version.json", document)
    return store.version(version.number)


def test_a_candidate_of_the_old_geometry_is_refused_with_the_reason_that_reading_it_gives(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = with_the_old_geometry(candidate(tmp_path / "a"))
    with pytest.raises(ModelError, match="it fails on correctly stored scans") as read:
        read_model(source)
    for override in ("", "tried on the ward"):
        with pytest.raises(ModelError) as published:
            store.publish(source, override)
        assert str(published.value) == str(read.value)
    assert main(["models", "publish", str(source)]) == 1
    assert str(read.value) in capsys.readouterr().err
    assert contents(store.folder) == {} and find_model(None).id == "tiny"


def test_a_site_s_model_of_the_old_geometry_is_listed_as_refused_and_the_others_as_ever(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = candidate(tmp_path / "b", 2)
    published_before_the_true_geometry(store, candidate(tmp_path / "a"))
    store.publish(second, override="the first of this version")
    assert [model.id for model in list_models()] == ["site-0002", "tiny"]
    assert main(["models", "list"]) == 0
    out, err = capsys.readouterr()
    rows = {words[0]: words[2] for words in map(str.split, out.splitlines()[1:])}
    assert rows == {"site-0002": "default", "tiny": "-", "site-0001": "refused"}
    assert "it fails on correctly stored scans" in err and str(store.folder) in err
    with pytest.raises(ModelError, match="it fails on correctly stored scans"):
        find_model("site-0001")


def test_where_the_model_in_use_is_of_the_old_geometry_it_is_said_how_to_go_back(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published_before_the_true_geometry(store, candidate(tmp_path / "a"))
    assert re.search(r"it fails on correctly stored scans.*mtctl models rollback", find_model(None).remark)
    assert main(["models", "list"]) == 0
    assert "site-0001" in capsys.readouterr().out
    assert main(["models", "rollback"]) == 0
    assert find_model(None).id == "tiny"


def test_another_folder_can_be_named(store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = candidate(tmp_path / "a")
    assert main(["models", "publish", str(source), "--site", str(tmp_path / "other")]) == 0
    assert ModelStore(tmp_path / "other").current() is not None and store.current() is None
    assert main(["models", "list", "--site", str(tmp_path / "other")]) == 0
    assert "site-0001" in capsys.readouterr().out


def test_a_published_version_is_not_calibrated(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = store.publish(candidate(tmp_path / "a"))
    before = contents(version.folder)
    assert main(["models", "calibrate", "site-0001", "--like", "tiny"]) == 1
    assert "is published and never changes" in capsys.readouterr().err
    assert contents(version.folder) == before
    assert json.loads(before["card.json"])["id"] == "site-0001"
