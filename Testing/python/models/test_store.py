"""The site's models: published only when not worse, never overwritten, revertible, and used for the next case."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from support.candidates import candidate, name_of
from support.scans import scan
from support.stored_cases import contents

from mtctl.commands.main import main
from mtctl.errors import MtctlError
from mtctl.inference.test_time_augmentation import VIEWS
from mtctl.models.card import MOST_VIEWS, ModelError, write_card
from mtctl.models.model import find_model, list_models, read_model, save_locator
from mtctl.models.model_files import CARD
from mtctl.models.store import ModelStore
from mtctl.models.verdict import VerdictError, read_verdict, write_verdict
from mtctl.models.versions import ModelStoreError, NotBetterError
from mtctl.networks.architecture import Architecture, locator_shapes, network_shapes
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet
from mtctl.system.files import WriteError, file_sha256
from mtctl.system.staging import read_sealed, write_sealed
from mtctl.worker.engine import Engine

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
