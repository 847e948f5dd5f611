"""Section 6: numbers of the case in view as `mtctl measure` has them, the wall, the report and the surfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.segment_module import arrive, dab, keep_place, load_scan

from mtctl.geometry import Volume
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.measures.document import CaseMeasures
from mtctl.measures.measuring import measure
from mtctl.measures.reading import CORRECTED, REVIEW, MaskFile, read_case
from mtctl.review.document import write_review

pytestmark = pytest.mark.host

PATIENCE = 60


@pytest.fixture(autouse=True)
def closed_again(module: Any) -> Iterator[None]:
    """The section is as it was found: the page lives longer than a test."""
    ui, boxes = module.ui, (module.ui.outwardBox, module.ui.inwardBox)
    before = [box.value for box in boxes]
    yield
    ui.measureSection.collapsed = True
    module.measurePanel._rest.setInterval(800)
    for box, value in zip(boxes, before, strict=True):
        box.value = value
    for box in (ui.vtpBox, ui.stlBox):
        box.checked = box is ui.vtpBox


@pytest.fixture
def measured(host: Any, stored_here: None, module: Any, case: Any) -> Any:
    """The review of a case whose section "Measure" was opened, and that was measured since."""
    open_section(host, module)
    return case


def open_section(host: Any, module: Any) -> None:
    module.measurePanel._rest.setInterval(0)
    module.ui.measureSection.collapsed = False
    assert done(host, module)


def numbers(module: Any) -> CaseMeasures:
    shown = module.measurePanel._shown
    assert shown is not None, module.ui.measureLabel.text
    measures: CaseMeasures = shown[1]
    return measures


def done(host: Any, module: Any) -> bool:
    panel = module.measurePanel
    return bool(host.wait_until(lambda: not panel._is_due() and panel._request is None, PATIENCE))


def written(host: Any, module: Any) -> bool:
    return bool(host.wait_until(lambda: module.exportPanel._request is None, PATIENCE))


def rows(module: Any) -> dict[str, tuple[str, str]]:
    """Value and interval by name, as the table shows them."""
    table = module.ui.measureTable
    return {
        table.item(row, 0).text(): (table.item(row, 1).text(), table.item(row, 2).text())
        for row in range(table.rowCount)
    }


def errors(host: Any) -> list[str]:
    return [message.text for message in host.messages if message.kind == "error"]


def as_files(review: Any, folder: Path) -> MaskFile:
    """The case in view as `mtctl segment` and a review of its results would have left it."""
    maps = review.session.maps
    write_segmentation(Volume(maps.segmentation.astype(np.uint8), maps.geometry), folder / "a.seg.nrrd")
    write_segmentation(Volume(review.mask.astype(np.uint8), maps.geometry), folder / f"a{CORRECTED}")
    write_volume(Volume(maps.uncertainty, maps.geometry), folder / "a.uncertainty.nrrd")
    write_review(folder / f"a{REVIEW}", review.session)
    return MaskFile.of(folder / "a.seg.nrrd")


class TestTheNumbers:
    def test_are_those_of_mtctl_measure_for_the_corrected_case(
        self, host: Any, module: Any, measured: Any, tmp_path: Path
    ) -> None:
        keep_place(module)
        assert done(host, module)
        here, files = numbers(module), read_case(as_files(measured, tmp_path))
        there = measure("a", files.mask, settled_percent=files.settled_percent).measures
        assert here.volume_ml == there.volume_ml and here.extent_mm == there.extent_mm
        assert here.area_cm2 == there.area_cm2 and here.sphericity == there.sphericity
        assert here.settled_percent == there.settled_percent > 0

    def test_are_shown_with_units_and_intervals(self, module: Any, measured: Any) -> None:
        shown, here = rows(module), numbers(module)
        assert list(shown) == [
            "Volume", "Closed surface", "Extent right to left", "Extent front to back", "Extent foot to head",
            "Sphericity",
        ]  # fmt: skip
        assert shown["Volume"] == (
            f"{here.volume_ml.value:.1f} mL", f"{here.volume_ml.low:.1f} to {here.volume_ml.high:.1f}"
        )  # fmt: skip
        assert all(interval for _, interval in shown.values())
        assert "For research only" in module.ui.measureNoteLabel.text

    def test_follow_an_edit_without_being_asked(self, host: Any, module: Any, measured: Any) -> None:
        before = numbers(module).volume_ml.value
        dab(host, module)
        assert done(host, module) and numbers(module).volume_ml.value > before

    def test_are_not_made_while_the_section_is_closed(self, host: Any, module: Any, case: Any) -> None:
        module.measurePanel._rest.setInterval(0)
        host.process_events()
        assert module.measurePanel._request is None and rows(module) == {}

    def test_come_from_a_real_child_process(self, host: Any, module: Any, case: Any) -> None:
        open_section(host, module)
        assert numbers(module).volume_ml.value > 0

    def test_of_another_patient_are_gone_at_once(self, host: Any, module: Any, measured: Any) -> None:
        module.ui.heightBox.value, module.ui.weightBox.value = 175, 80
        other = load_scan(host, module, "other")
        assert rows(module) == {}
        module.measurePanel._rest.setInterval(10_000)
        arrive(host, module, other)
        assert rows(module) == {} and module.ui.heightBox.value == module.ui.weightBox.value == 0

    def test_of_a_closed_scene_are_gone_while_they_are_made(
        self, host: Any, stored_here: None, module: Any, case: Any
    ) -> None:
        import slicer

        module.ui.measureButton.click()
        slicer.mrmlScene.Clear(0)
        host.process_events()
        assert module.measurePanel._request is None and rows(module) == {} and errors(host) == []

    def test_can_be_cancelled(self, host: Any, stored_here: None, module: Any, case: Any) -> None:
        module.ui.measureButton.click()
        assert module.ui.measureButton.text == "Cancel" and module.ui.measureLabel.text == "Measuring ..."
        module.ui.measureButton.click()
        assert (module.ui.measureButton.text, module.ui.measureLabel.text) == ("Measure", "Cancelled.")
        assert rows(module) == {}

    def test_that_cannot_be_made_are_answered_in_words_and_tried_once(
        self, host: Any, module: Any, case: Any, stored_here: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mtctl.measures import process

        tried = []

        def fail(*_: Any) -> None:
            tried.append(1)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(process, "measure_handed", fail)
        open_section(host, module)
        assert done(host, module)
        assert len(tried) == 1 and "Not measured: " in module.ui.measureLabel.text
        assert "space" in module.ui.measureLabel.text.lower()

    def test_keep_the_width_of_the_panel(self, host: Any, module: Any, measured: Any) -> None:
        module.ui.wallButton.click()
        assert done(host, module)
        module.ui.heightBox.value, module.ui.weightBox.value = 1.75, 80
        host.process_events()
        assert len(set(host.panel_widths)) == 1


class TestThePersonsSize:
    def test_gives_the_volume_by_body_surface(self, module: Any, measured: Any) -> None:
        module.ui.heightBox.value, module.ui.weightBox.value = 175, 80
        area = 0.007184 * 175**0.725 * 80**0.425  # DuBois
        value, interval = rows(module)["Volume by body surface"]
        assert value == f"{numbers(module).volume_ml.value / area:.1f} mL/m²" and " to " in interval

    @pytest.mark.parametrize(
        ("height", "weight", "words"), [(1.75, 80, "metres"), (1750, 80, "millimetres"), (175, 1, "weight")]
    )
    def test_in_other_units_is_asked_about_in_words(
        self, host: Any, module: Any, measured: Any, height: float, weight: float, words: str
    ) -> None:
        module.ui.heightBox.value, module.ui.weightBox.value = height, weight
        assert words in module.ui.measureLabel.text and "Volume by body surface" not in rows(module)
        assert "Volume" in rows(module) and errors(host) == []


class TestTheWall:
    def test_has_a_percentage_with_its_interval_for_each_threshold(self, host: Any, module: Any, measured: Any) -> None:
        module.ui.wallButton.click()
        assert done(host, module)
        shown = rows(module)
        names = ("IIR > 0.97", "IIR > 1.20", "IIR > 1.32", "blood + 2 SD", "blood + 3.3 SD")
        for name in names:
            value, interval = shown[f"Enhanced wall, {name}"]
            assert value.endswith(" %") and " to " in interval
        assert "no proof of fibrosis" in module.ui.measureNoteLabel.text

    def test_is_looked_for_where_the_person_says(self, host: Any, module: Any, measured: Any) -> None:
        module.ui.outwardBox.value, module.ui.inwardBox.value = 2.0, 0.0
        module.ui.wallButton.click()
        assert done(host, module)
        wall = numbers(module).wall
        assert wall is not None and (wall.outward_mm, wall.inward_mm) == (2.0, 0.0)

    def test_that_cannot_be_measured_costs_no_other_number(self, host: Any, module: Any, measured: Any) -> None:
        module.ui.outwardBox.value = module.ui.inwardBox.value = 0.0
        module.ui.wallButton.click()
        assert done(host, module)
        assert numbers(module).wall is None and "Volume" in rows(module)
        assert "the wall was not measured" in module.ui.measureLabel.text


class TestTheReport:
    @pytest.mark.slow
    def test_is_written_where_the_person_says(
        self, host: Any, module: Any, case: Any, stored_here: None, tmp_path: Path
    ) -> None:
        host.answer(str(tmp_path / "Zoë 1"))
        module.ui.reportButton.click()
        assert module.ui.reportButton.text == "Cancel" and not module.ui.surfaceButton.enabled
        assert written(host, module) and errors(host) == []
        assert (tmp_path / "Zoë 1.pdf").read_bytes().startswith(b"%PDF")
        assert str(tmp_path / "Zoë 1.pdf") in module.ui.exportLabel.text and module.ui.reportButton.enabled

    def test_is_not_written_where_no_file_was_chosen(self, host: Any, module: Any, case: Any) -> None:
        host.answer("")
        module.ui.reportButton.click()
        assert module.exportPanel._request is None and module.ui.exportLabel.text == ""

    def test_that_cannot_be_written_is_said_with_its_file(
        self, host: Any, module: Any, case: Any, stored_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mtctl.figures import report_process

        monkeypatch.setattr(report_process, "case_page", refuse)
        host.answer(str(tmp_path / "gone" / "a.pdf"))
        module.ui.reportButton.click()
        assert written(host, module)
        (said,) = errors(host)
        assert "a.pdf was not written: " in said and "too little" in said and module.ui.reportButton.enabled


def refuse(*_: Any, **__: Any) -> None:
    from mtctl.errors import MtctlError

    raise MtctlError("there is too little room; free some")


class TestSurfaces:
    @pytest.fixture
    def write(self, host: Any, module: Any, case: Any, stored_here: None, tmp_path: Path) -> Callable[..., list[str]]:
        def write(*answers: Any) -> list[str]:
            host.answer(str(tmp_path), *answers)
            module.ui.surfaceButton.click()
            assert written(host, module)
            return sorted(path.name for path in tmp_path.iterdir())

        return write

    def test_are_written_closed_and_open_in_the_ticked_formats(
        self, module: Any, write: Callable[..., list[str]]
    ) -> None:
        module.ui.stlBox.checked = True
        names = write()
        assert names == [f"scan.{e}" for e in ("closed.stl", "closed.vtp", "open.stl", "open.vtp", "openings.json")]
        assert "triangles" in module.ui.exportLabel.text

    def test_that_are_there_are_replaced_only_when_the_person_agrees(
        self, module: Any, write: Callable[..., list[str]], tmp_path: Path
    ) -> None:
        (tmp_path / "scan.open.vtp").write_text("mine")
        assert write(False) == ["scan.open.vtp"] and (tmp_path / "scan.open.vtp").read_text() == "mine"
        write(True)
        assert (tmp_path / "scan.open.vtp").read_text() != "mine"

    def test_need_a_format(self, host: Any, module: Any, case: Any) -> None:
        module.ui.vtpBox.checked = False
        module.ui.surfaceButton.click()
        assert module.exportPanel._request is None and "tick VTP" in errors(host)[0]


def test_what_a_case_is_called_in_files_is_a_name_on_every_system() -> None:
    from MTCTLSegmentLib.review.measure_requests import case_name

    def scan(name: str, case: str | None = None) -> Any:
        return SimpleNamespace(GetName=lambda: name, GetAttribute=lambda _: case)

    assert case_name(scan("6: LGE axial/3D ")) == "6- LGE axial-3D"
    assert case_name(scan("anything", "case-7")) == "case-7"
    assert case_name(scan("...")) == "case" and case_name(scan("con")) == "scan-con"
