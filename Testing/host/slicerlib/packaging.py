"""slicer.packaging (new in Slicer 5.12) and slicer.util.pip_install, without touching this Python's packages.

What a module asks to install is recorded (``host.installed``); a test may make installing fail
(``host.fail_installing``).
"""

from __future__ import annotations

import importlib.metadata
import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer
from packaging.requirements import Requirement

__all__ = ["load_requirements", "pip_check", "pip_ensure", "pip_install", "pip_uninstall"]


@dataclass
class Installer:
    """What was asked for; ``error`` is raised instead when a test sets it, as offline."""

    installed: list[str] = field(default_factory=list)
    error: Exception | None = None

    def install(self, requirements: list[str]) -> None:
        """Records a request."""
        if self.error is not None:
            raise self.error
        self.installed += requirements


installer = Installer()
Requirements = str | Requirement | Sequence[str | Requirement]


def _listed(requirements: Requirements) -> list[Requirement]:
    if isinstance(requirements, str):
        return [Requirement(each) for each in shlex.split(requirements)]
    if isinstance(requirements, Requirement):
        return [requirements]
    return [each if isinstance(each, Requirement) else Requirement(each) for each in requirements]


def load_requirements(path: str | Path) -> list[Requirement]:
    """The requirements in a requirements.txt."""
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pip_check(requirements: Requirements) -> bool:
    """Whether everything is installed."""
    return all(map(_is_installed, _listed(requirements)))


def pip_ensure(
    requirements: Requirements,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> None:
    """Installs what is missing, after asking.

    Raises:
        RuntimeError: when the user declines.
    """
    missing = [each for each in _listed(requirements) if not _is_installed(each)]
    if not missing:
        return
    if skip_in_testing and slicer.app.testingEnabled():
        logging.info("Testing mode is enabled: skipping pip_ensure for %s", missing)
        return
    question = f"{len(missing)} Python packages need to be installed."
    if prompt_install and not slicer.util.confirmOkCancelDisplay(question, f"{requester} - Install Python Packages"):
        raise RuntimeError("User declined package installation")
    pip_install([str(each) for each in missing])


def pip_install(requirements: str | list[str], *_: Any, **__: Any) -> None:
    """Records the request."""
    installer.install(shlex.split(requirements) if isinstance(requirements, str) else list(requirements))


def pip_uninstall(requirements: str | list[str], *_: Any, **__: Any) -> None:
    """Nothing is uninstalled."""


def _is_installed(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return importlib.metadata.version(requirement.name) in requirement.specifier
    except importlib.metadata.PackageNotFoundError:
        return False
