"""Versions of a site's model that are damaged or of the old geometry: they are named, and something stands in."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from support.candidates import candidate
from support.scans import scan
from support.stored_cases import contents

from mtctl.commands.main import main
from mtctl.inference.prediction import Options
from mtctl.inference.report import make_report
from mtctl.inference.segmenter import Segmenter
from mtctl.models.card import ModelError
from mtctl.models.model import find_model, list_models, read_model
from mtctl.models.model_files import CARD
from mtctl.models.site_folder import site_folder
from mtctl.models.store import ModelStore
from mtctl.models.versions import ModelStoreError, Version
from mtctl.system.files import file_sha256
from mtctl.system.staging import read_sealed, write_sealed


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
