"""What a module finds of Qt in the stand-in: PythonQt's names and types, the widgets, and the signals."""

from __future__ import annotations

import gc
import pathlib
import sys
import weakref
from functools import partial
from typing import Any

import pytest

pytestmark = pytest.mark.host_self


class TestQtAsPythonQtOffersIt:
    def test_properties_are_attributes_and_not_calls(self, qt: Any) -> None:
        button = qt.QPushButton("Apply")
        button.checkable = True
        assert (button.text, button.checkable, button.size.width() > 0) == ("Apply", True, True)
        with pytest.raises(TypeError):
            button.text()

    def test_unknown_attributes_are_refused(self, qt: Any) -> None:
        with pytest.raises(AttributeError, match="not allowed"):
            qt.QPushButton().colour = "red"
        with pytest.raises(AttributeError):
            qt.QPushButton().colour  # noqa: B018

    def test_keyword_arguments_are_refused(self, qt: Any) -> None:
        with pytest.raises(TypeError):
            qt.QPushButton(text="Apply")
        with pytest.raises(TypeError):
            qt.QPushButton().setText(text="Apply")

    def test_isinstance_of_a_base_class_is_false_and_the_exact_type_holds(self, qt: Any) -> None:
        button = qt.QPushButton()
        assert not isinstance(button, qt.QWidget)
        assert type(button) == qt.QPushButton  # noqa: E721

    def test_enums_are_integers_without_their_scope(self, qt: Any) -> None:
        assert qt.QProcess.Running == 2
        assert isinstance(qt.Qt.AlignLeft | qt.Qt.AlignTop, int)
        with pytest.raises(AttributeError):
            qt.QProcess.ProcessState.Running  # noqa: B018

    def test_lists_come_back_as_tuples(self, qt: Any) -> None:
        box = qt.QWidget()
        layout = qt.QVBoxLayout(box)
        layout.addWidget(qt.QLabel("one"))
        assert isinstance(box.children(), tuple)

    def test_a_signal_blocker_is_no_context_manager(self, qt: Any) -> None:
        with pytest.raises((TypeError, AttributeError)), qt.QSignalBlocker(qt.QLabel()):
            pass

    def test_paths_are_refused_where_qt_wants_text(self, qt: Any) -> None:
        with pytest.raises(ValueError, match="pathlib"):
            qt.QLabel(pathlib.Path("scan.nrrd"))

    def test_custom_signals_are_refused(self, qt: Any) -> None:
        with pytest.raises(AttributeError, match="observer"):
            qt.Signal  # noqa: B018

    def test_dynamic_properties_and_children_are_attributes(self, qt: Any) -> None:
        box = qt.QWidget()
        label = qt.QLabel("one", box)
        label.name = "first"
        label.setProperty("SlicerParameterName", "threshold")
        assert box.first == label
        assert label.SlicerParameterName == "threshold"

    def test_a_class_derived_from_qt_may_override_and_carry_state(self, qt: Any) -> None:
        class Filter(qt.QObject):
            def __init__(self) -> None:
                super().__init__()
                self.seen = 0

            def eventFilter(self, watched: Any, event: Any) -> bool:
                self.seen += 1
                return super().eventFilter(watched, event)

        label, counter = qt.QLabel("text"), Filter()
        label.installEventFilter(counter)
        label.show()
        assert counter.seen > 0

    def test_table_items_are_asked_with_calls(self, qt: Any) -> None:
        table = qt.QTableWidget()
        table.setColumnCount(1)
        table.setRowCount(2)
        table.setItem(0, 0, qt.QTableWidgetItem("first"))
        table.setCurrentCell(0, 0)
        assert (table.rowCount, table.currentRow(), table.item(0, 0).text()) == (2, 0, "first")


class TestWidgets:
    def test_a_collapsible_button_folds_what_is_inside_and_nothing_else(self, host: Any, qt: Any) -> None:
        import ctk

        button, shown, hidden = ctk.ctkCollapsibleButton(), qt.QLabel("shown"), qt.QLabel("hidden")
        layout = qt.QVBoxLayout(button)
        layout.addWidget(shown)
        layout.addWidget(hidden)
        hidden.hide()
        button.show()
        button.collapsed = True
        assert (shown.isVisible(), button.checked) == (False, False)
        button.collapsed = False
        assert (shown.isVisible(), hidden.isVisible()) == (True, False)

    def test_a_collapsible_button_is_never_narrower_than_its_contents_ask_for(self, host: Any, qt: Any) -> None:
        """As CTK's: a message in a wrapped label widens the page and the panel, unless the label ignores its hint."""
        import ctk

        page = qt.QWidget()
        column = qt.QVBoxLayout(page)
        button = ctk.ctkCollapsibleButton(page)
        column.addWidget(button)
        label = qt.QLabel("short", button)
        label.setWordWrap(True)
        qt.QVBoxLayout(button).addWidget(label)
        page.show()
        narrow = page.minimumSizeHint.width()
        label.text = "a message of several sentences that somebody wrote without a thought of how wide it becomes " * 3
        host.process_events()
        assert page.minimumSizeHint.width() > narrow + 100
        label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
        host.process_events()
        assert page.minimumSizeHint.width() == narrow
        page.deleteLater()

    def test_a_slider_keeps_to_its_range_and_signals_once(self, host: Any, qt: Any) -> None:
        import ctk

        slider, received = ctk.ctkSliderWidget(), []
        slider.maximum = 1.0
        slider.singleStep = 0.01
        slider.connect("valueChanged(double)", received.append)
        slider.value = 0.25
        slider.value = 0.25
        slider.value = 3.0
        assert received == [0.25, 1.0]

    def test_paths_signal_what_is_chosen_and_nothing_for_an_empty_one(self, host: Any) -> None:
        import ctk

        edit, button, received = ctk.ctkPathLineEdit(), ctk.ctkDirectoryButton(), []
        edit.currentPathChanged.connect(received.append)
        edit.currentPath = "/tmp/scan.nrrd"
        edit.currentPath = ""
        button.directoryChanged.connect(received.append)
        button.directory = "/tmp"
        assert received == ["/tmp/scan.nrrd", "/tmp"]
        assert pathlib.Path(ctk.ctkDirectoryButton().directory).is_absolute()


class TestSignals:
    def test_new_style_passes_checked_and_old_style_what_it_names(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.checkable = True
        button.clicked.connect(lambda i=5: received.append(i))
        button.connect("clicked()", lambda i=5: received.append(i))
        button.connect("clicked(bool)", lambda checked: received.append(checked))
        button.click()
        assert received == [True, 5, True]

    def test_a_function_without_parameters_gets_none(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.clicked.connect(lambda: received.append("clicked"))
        button.click()
        assert received == ["clicked"]

    def test_a_partial_gets_all_that_the_signal_carries(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.clicked.connect(partial(received.append))
        button.click()
        assert received == [False]

    def test_a_bound_method_keeps_its_owner_until_it_is_disconnected(self, qt: Any) -> None:
        class Owner:
            calls = 0

            def called(self) -> None:
                Owner.calls += 1

        button, owner = qt.QPushButton(), Owner()
        alive = weakref.ref(owner)
        button.clicked.connect(owner.called)
        method = owner.called
        del owner
        gc.collect()
        button.click()
        assert (Owner.calls, alive() is not None) == (1, True)
        button.clicked.disconnect(method)
        del method
        gc.collect()
        assert alive() is None

    def test_connecting_twice_calls_twice(self, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        function = lambda: received.append(1)  # noqa: E731
        button.clicked.connect(function)
        button.clicked.connect(function)
        button.click()
        button.clicked.disconnect(function)
        button.click()
        assert len(received) == 3

    def test_an_unknown_signal_is_printed_and_false_returned(self, qt: Any, capsys: pytest.CaptureFixture[str]) -> None:
        assert qt.QPushButton().connect("pressedHard()", print) is False
        assert "pressedHard" in capsys.readouterr().err

    def test_a_failing_slot_is_printed_and_recorded_and_the_rest_goes_on(self, host: Any, qt: Any) -> None:
        button, received = qt.QPushButton(), []
        button.clicked.connect(lambda: 1 / 0)
        button.clicked.connect(lambda: received.append(1))
        button.click()
        assert received == [1]
        assert [type(failure.exception) for failure in host.failures] == [ZeroDivisionError]
        host.failures.clear()

    def test_a_failing_observer_of_the_scene_is_recorded(self, host: Any, slicer: Any) -> None:
        tag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.NodeAddedEvent, lambda *_: 1 / 0)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
        slicer.mrmlScene.RemoveObserver(tag)
        assert [type(failure.exception) for failure in host.failures] == [ZeroDivisionError]
        host.failures.clear()

    def test_signals_of_qt_5_carry_the_text(self, qt: Any) -> None:
        box, received = qt.QComboBox(), []
        box.addItems(["a", "b"])
        box.connect("currentIndexChanged(QString)", received.append)
        box.currentIndex = 1
        assert received == ["b"]

    def test_a_timer_fires_once_without_being_kept(self, host: Any, qt: Any) -> None:
        received: list[int] = []
        qt.QTimer.singleShot(0, lambda: received.append(1))
        assert host.wait_until(lambda: received, 2)

    def test_a_process_is_read_through_old_style_signals(self, host: Any, qt: Any) -> None:
        process, output, ended = qt.QProcess(), [], []
        process.connect("readyReadStandardOutput()", lambda: output.append(process.readAllStandardOutput().data()))
        process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append((code, status)))
        process.start(sys.executable, ["-c", "print('hello')"])
        assert host.wait_until(lambda: ended, 20)
        assert b"".join(output).strip() == b"hello"
        assert ended == [(0, qt.QProcess.NormalExit)]
