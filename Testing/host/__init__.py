"""A stand-in for the Slicer application, for tests: the real MRML scene, logics and rendering of slicer-core, with Qt's
side on PySide6.

    from host import missing_requirement, start

    host = start()                                   # once per process
    host.module("MTCTLSegment/MTCTLSegment.py")      # loads a module as the application would
    widget = host.enter("MTCTLSegment")              # the module's Python widget
    widget.ui.applyButton.click()
    assert host.wait_until(lambda: ..., seconds=30)
    assert not host.failures
    host.screenshot("window.png")

Nothing in a module may know of it. The parts:

- requirements.py: says what to install before VTK could crash; fixtures.py: pytest's fixtures
- driving.py: what a test does with the application; heartbeat.py, dialogs.py: what it measures and answers
- application/: scene and logics, reading and writing, views, layouts, main window, modules
- pythonqt/: PySide6 seen as PythonQt shows Qt; widgets/: stand-ins for CTK's and Slicer's widgets, in plain PySide6,
  where names in snake_case are for tests and not in the application
- slicerlib/: ScriptedLoadableModule, parameterNodeWrapper, packaging, i18n, SampleData

Not here: the application's other panels, drawn tables, mouse interaction with plots, DICOM, CLI modules, Segment
Editor effects other than Paint and Erase, mouse interaction with 3-D views, parameter packs and lists in parameter
nodes. Qt is version 6: what Qt 5 alone has is missing, and what Qt 6 alone has would work here and not in the
application.
"""

from .requirements import HostUnavailableError, missing_requirement

__all__ = ["HostUnavailableError", "missing_requirement", "start"]


def start():  # type: ignore[no-untyped-def]
    """Starts the application, or returns the one that runs in this process.

    Returns:
        The :class:`host.driving.Host`.

    Raises:
        HostUnavailableError: saying what to install.
    """
    missing = missing_requirement()
    if missing is not None:
        raise HostUnavailableError(missing)
    from .driving import running_host  # imports VTK: not before the check

    return running_host()
