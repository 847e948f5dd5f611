"""Whatever stands in a document that is read back: it is read, or refused in words, and nothing else is lost.

In every document each field in turn is replaced by any JSON value, and the whole by any bytes. MTCTL_EXAMPLES: how many
for each document and kind (10); with it they are new ones at every run.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fuzzed_documents import KINDS, DocumentKind, SitePlace, fill

from mtctl.errors import MtctlError
from mtctl.io.manifests import read_manifest
from mtctl.io.results import ResultFiles, finish_interrupted
from mtctl.models import shipped
from mtctl.models.model import Model
from mtctl.system import locks
from mtctl.system.files import file_sha256
from mtctl.system.staging import write_sealed

EXAMPLES = int(os.environ.get("MTCTL_EXAMPLES", "10"))

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(2**63), 2**31, 10**9, 0, -1])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["../x", "/etc/passwd", "a/b", "..", "\udcff", "2026", "running", "f" * 64]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> Iterator[SitePlace]:
    place = SitePlace(tmp_path_factory.mktemp("documents"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "EXPIRY", 0.0)
        patch.setattr(shipped, "MODEL_FOLDERS", (place.folder / "shipped",))
        patch.setenv("MTCTL_MODELS", str(place.folder / "site"))
        fill(place, tiny_model)
        yield place


def spots(document: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all fields of a document, however deep; of a list, to its first item."""
    found = [way] if way else []
    if isinstance(document, dict):
        for name, value in document.items():
            found += spots(value, (*way, name))
    elif isinstance(document, list) and document:
        found += spots(document[0], (*way, 0))
    return found


def with_value(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return changed


def reseal_record(path: Path) -> Callable[[], object]:
    """Let the record beside a changed file name its new checksum; return how to take that back."""
    record = path.parent / "record.json"
    before = record.read_bytes()
    document = json.loads(before)
    document.pop("sha256")
    document["files"][path.name] = file_sha256(path)
    write_sealed(record, document)
    return lambda: record.write_bytes(before)


def try_out(place: SitePlace, kind: DocumentKind, content: bytes, document: Any = None) -> None:
    """Put something in the place of a document, let it be read, and put the document back."""
    path = place.folder / kind.path
    before, undo = path.read_bytes(), list[Callable[[], object]]()
    try:
        if kind.sealed and document is not None:
            write_sealed(path, {name: value for name, value in document.items() if name != "sha256"})
        else:
            path.write_bytes(content)
        if path.name in ("report.json", "review.json"):
            undo.append(reseal_record(path))
        kind.read(place)
    except MtctlError as error:
        assert str(error).strip()
    finally:
        for other in path.parent.glob(".mtctl-lock-*"):
            other.unlink()
        path.write_bytes(before)
        for one in undo:
            one()


FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="MTCTL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", KINDS)
def test_any_value_in_any_field_is_read_or_refused_in_words(place: SitePlace, name: str) -> None:
    kind = KINDS[name]
    good = json.loads((place.folder / kind.path).read_text(encoding="utf-8").splitlines()[0] if name == "event" else (
        place.folder / kind.path
    ).read_text(encoding="utf-8"))  # fmt: skip
    ways = spots(good)

    @FUZZ
    @given(st.sampled_from(ways), VALUES)
    def fuzz(way: tuple[Any, ...], value: Any) -> None:
        document = with_value(good, way, value)
        ending = b"\n" if name == "event" else b""
        try_out(place, kind, json.dumps(document).encode() + ending, document)

    fuzz()


@pytest.mark.parametrize("name", KINDS)
def test_any_bytes_are_refused_in_words(place: SitePlace, name: str) -> None:
    @settings(FUZZ, max_examples=max(EXAMPLES // 4, 1))
    @given(st.binary(max_size=50) | st.integers(0, 300).map(lambda depth: b'{"a":[' * depth) | st.just(b"[" * 150_000))
    def fuzz(content: bytes) -> None:
        try_out(place, KINDS[name], content)

    fuzz()


MANIFEST = [["case", "input", "spacing"], ["1", "a.nrrd", "1 1 2"], ["2", "b, c.nrrd", ""]]
CELLS = st.text(max_size=8) | st.sampled_from(["0.6 0.6 1", "0,5;0,5;1", '"', "input", "../x", "=1", "nan 1 1", "\0"])


@settings(FUZZ, max_examples=5 * EXAMPLES)
@given(st.integers(0, 2), st.integers(0, 2), CELLS, st.sampled_from(",;\t|"), st.sampled_from(["utf-8", "utf-16"]))
def test_any_text_in_any_cell_of_a_manifest_is_an_input_a_spacing_or_refused_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, row: int, column: int, cell: str, delimiter: str, encoding: str
) -> None:
    rows = copy.deepcopy(MANIFEST)
    rows[row][column] = cell
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    path = tmp_path_factory.getbasetemp() / "manifest.csv"
    path.write_bytes(text.getvalue().encode(encoding, "surrogatepass"))
    try:
        listed = read_manifest(path)
    except MtctlError as error:
        assert str(error).startswith(f"{path}: ")
        return
    others = {rows[number][1] for number in (1, 2) if number != row}
    assert others <= {source.name for source in listed}
    assert all(spacing is None or (min(spacing) > 0 and max(spacing) < 1000) for spacing in listed.values())


@settings(FUZZ)
@given(st.binary(max_size=80))
def test_any_bytes_of_a_manifest_are_inputs_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "manifest.csv"
    path.write_bytes(content)
    try:
        listed = read_manifest(path)
    except MtctlError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert all("\0" not in str(source) for source in listed)


@settings(FUZZ)
@given(VALUES)
def test_no_note_of_an_exchange_moves_or_removes_what_is_not_of_its_case(
    tmp_path_factory: pytest.TempPathFactory, names: Any
) -> None:
    out = tmp_path_factory.mktemp("out")
    files = ResultFiles(out, "a")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mtctl.io.results._exchange", killed)
        with suppress(KeyboardInterrupt), files.replacing([]) as fresh:
            (fresh / "a.json").write_text("new")
    (hidden,) = (path for path in out.iterdir() if path.is_dir())
    (hidden / "ready.json").write_text(json.dumps(names))
    (out / "b.json").write_text("other")
    finish_interrupted(out, ["a", "b"])
    assert (out / "b.json").read_text() == "other"
