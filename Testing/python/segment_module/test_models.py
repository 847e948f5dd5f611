"""Which model segments: the one in use at the site, unless a person chose another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.segment_module import load_scan

from mtctl.models.model import Model
from mtctl.models.site_folder import VARIABLE
from mtctl.models.store import ModelStore
from mtctl.models.verdict import ModelName, Verdict, write_verdict

pytestmark = pytest.mark.host

PATIENCE = 120

Publish = Callable[[], str]


@pytest.fixture
def publish(module: Any, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Publishes the tiny model as the site's next version; returns its id."""
    (tmp_path / "models").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    module.logic.job._client.close()  # The next child process sees this site.
    candidate = tmp_path / "candidate"
    shutil.copytree(tiny_model.folder, candidate)
    write_verdict(candidate, Verdict(ModelName("none", "0", ""), ()))
    return lambda: ModelStore().publish(candidate, "the test needs one").model.id


def titles(module: Any) -> list[str]:
    box = module.ui.modelSelector
    return [box.itemText(index) for index in range(box.count)]


def choose(module: Any, title: str) -> None:
    """Chooses a model from the list by how its title begins."""
    index = next(index for index, each in enumerate(titles(module)) if each.startswith(title))
    module.ui.modelSelector.currentIndex = index
    module.ui.modelSelector.activated.emit(index)


def again(host: Any) -> Any:
    """Another module comes to the front, then this one."""
    host.leave()
    return host.enter("MTCTLSegment")


def in_an_old_scene(module: Any, model: str) -> None:
    """As a scene has it that was saved before there was an entry for the model in use."""
    parameters = module.logic.getParameterNode()
    parameters.model, parameters.modelChosen = model, False


def used(host: Any, module: Any) -> str:
    """The model that the report of the next segmentation names."""
    module.ui.applyButton.click()
    assert host.wait_until(lambda: not module.logic.job.running, PATIENCE), module.ui.progressLabel.text
    return str(module.currentReview.review.report["model"]["id"])


class TestTheModelInUse:
    def test_is_what_was_published_last_also_since_the_module_was_entered(
        self, host: Any, module: Any, publish: Publish
    ) -> None:
        publish()
        module = again(host)
        assert titles(module)[0] == "In use: site-0001" == module.ui.modelSelector.currentText
        load_scan(host, module)
        assert used(host, module) == "site-0001"
        publish()
        assert used(host, module) == "site-0002"
        assert titles(module)[0] == "In use: site-0002" and module._parameterNode.model == ""

    def test_comes_first_then_what_was_published_then_what_was_shipped(
        self, host: Any, module: Any, publish: Publish
    ) -> None:
        publish(), publish()
        ModelStore().rollback("the first was better")
        listed = titles(again(host))
        assert listed[0] == "In use: site-0001"
        assert [title.split()[0] for title in listed[1:]] == ["site-0002", "site-0001", "mtctl-la80", "mtctl-la16"]
        ModelStore().rollback("the shipped one was better still")
        assert titles(again(host))[0] == "In use: mtctl-la80"

    def test_gives_the_number_of_samples_unless_the_person_chose_one(
        self, host: Any, module: Any, publish: Publish
    ) -> None:
        assert module.ui.samplesBox.value == 8
        publish()
        module = again(host)
        assert module.ui.samplesBox.value == 2
        module.ui.samplesBox.value = 5
        assert again(host).ui.samplesBox.value == 5


class TestAnotherModel:
    def test_that_was_chosen_stays_chosen_although_one_is_published(
        self, host: Any, module: Any, publish: Publish
    ) -> None:
        choose(module, "mtctl-la80 ")
        publish()
        module = again(host)
        assert module._parameterNode.model == "mtctl-la80"
        assert module.ui.modelSelector.currentText.startswith("mtctl-la80 ")
        host.clear()
        assert module._parameterNode.model == "mtctl-la80", "the next scene begins with what was chosen last"
        choose(module, "In use")
        assert again(host)._parameterNode.model == ""

    def test_of_the_site_segments(self, host: Any, module: Any, publish: Publish) -> None:
        publish(), publish()
        module = again(host)
        choose(module, "site-0001")
        load_scan(host, module)
        assert used(host, module) == "site-0001"

    def test_that_is_not_here_gives_way_to_the_one_in_use_and_that_is_told(
        self, host: Any, module: Any, publish: Publish
    ) -> None:
        publish()
        module._parameterNode.model, module._parameterNode.modelChosen = "site-0042", True
        module = again(host)
        assert module._parameterNode.model == "" and module.ui.modelSelector.currentText == "In use: site-0001"
        assert "site-0042 is not installed here" in module.ui.modelNoteLabel.text


class TestAnOldScene:
    def test_that_names_the_shipped_default_is_segmented_with_the_model_in_use(
        self, host: Any, module: Any, publish: Publish
    ) -> None:
        publish()
        in_an_old_scene(module, "mtctl-la80")
        module = again(host)
        assert module._parameterNode.model == "" and module.ui.modelSelector.currentText == "In use: site-0001"

    def test_that_names_another_model_keeps_it(self, host: Any, module: Any, publish: Publish) -> None:
        publish()
        in_an_old_scene(module, "mtctl-la16")
        assert again(host)._parameterNode.model == "mtctl-la16"

    def test_of_which_the_settings_remember_the_shipped_default_is_no_choice_either(
        self, host: Any, module: Any, publish: Publish
    ) -> None:
        import qt

        publish()
        qt.QSettings().setValue("MTCTLSegment/model", "mtctl-la80")
        assert again(host)._parameterNode.model == ""
        qt.QSettings().setValue("MTCTLSegment/model", "mtctl-la16")
        assert again(host)._parameterNode.model == "mtctl-la16"


class TestADamagedSite:
    def test_version_is_left_out_and_told(self, host: Any, module: Any, publish: Publish) -> None:
        publish(), publish()
        damage(ModelStore().version(1).folder / "card.json")
        module = again(host)
        assert titles(module)[0] == "In use: site-0002" and not any("site-0001" in title for title in titles(module))
        assert module.ui.modelNoteLabel.isVisible() and "site-0001 cannot be used" in module.ui.modelNoteLabel.text

    def test_version_in_use_is_told_before_and_after_apply(self, host: Any, module: Any, publish: Publish) -> None:
        publish(), publish()
        damage(ModelStore().version(2).folder / "card.json")
        module = again(host)
        assert titles(module)[0] == "In use: site-0002 (damaged)"
        load_scan(host, module)
        module.ui.applyButton.click()
        assert host.wait_until(lambda: not module.logic.job.running, PATIENCE)
        report = module.currentReview.review.report
        assert report["model"]["id"] == "site-0001"
        assert any("site-0002 cannot be used, so site-0001" in warning for warning in report["warnings"])

    def test_pointer_is_told(self, host: Any, module: Any, publish: Publish) -> None:
        publish()
        damage(ModelStore().folder / "current.json")
        module = again(host)
        assert titles(module)[0] == "In use: unknown" and "site-0001" in titles(module)[1]
        assert "current.json" in module.ui.modelNoteLabel.text

    def test_folder_that_is_not_there_is_told(
        self, host: Any, module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path / "not mounted"))
        module = again(host)
        assert titles(module)[0] == "In use: unknown" and "mtctl-la80" in titles(module)[1]
        assert "connect the drive" in module.ui.modelNoteLabel.text


def damage(path: Path) -> None:
    path.write_text(path.read_text("utf-8")[:-9], "utf-8")
