"""A segmented phantom, its reviewer, and the page in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page
from support.browser_case import segmented_phantom
from support.chromium import browser
from support.serving import Served, missing, ready


@pytest.fixture(scope="session")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a phantom and its results; to be copied, not changed."""
    if lacking := missing():
        pytest.skip(lacking)
    return segmented_phantom(tmp_path_factory.mktemp("segmented"), "result", "--samples", "2")


@pytest.fixture
def folder(segmented: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(segmented, tmp_path / "cases"))


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    """A reviewer of that folder."""
    server = Served(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[BrowserContext]:
    """One browser for the tests of a file, which open their own tabs; no longer, as other tests need `asyncio.run`."""
    if lacking := missing():
        pytest.skip(lacking)
    with browser() as context:
        yield context


@pytest.fixture
def tab(served: Served, chromium: BrowserContext) -> Iterator[Page]:
    """The reviewer's page, ready."""
    with chromium.new_page() as page:
        page.goto(served.link)
        yield ready(page)
