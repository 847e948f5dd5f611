"""The Chromium of this machine, driven by Playwright, and what the tests of the reviewer do in its pages."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import BrowserContext, JSHandle, Locator, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def program() -> str | None:
    """Return the Chromium of this machine; None where there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


@contextmanager
def browser(width: int = 1440, height: int = 900) -> Iterator[BrowserContext]:
    """Start a browser with a profile of its own; its pages share cookies, and end with it.

    An event loop runs in this thread meanwhile: `asyncio.run` fails until the browser is closed.
    """
    flags = ["--disable-gpu", "--disable-quic"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program(), args=flags) as started,
        started.new_context(viewport={"width": width, "height": height}) as context,
    ):
        context.set_default_timeout(60_000)
        # pytest shows it with a test that fails.
        context.on("console", lambda message: print(f"{message.type}: {message.text}"))
        yield context


def wait(page: Page, expression: str, seconds: float = 20.0) -> JSHandle:
    """Wait until a JavaScript expression is true; one that fails is not true yet, as while the page loads."""
    found = f"() => {{ try {{ return {expression} }} catch {{ return null }} }}"
    return page.wait_for_function(found, timeout=1000 * seconds, polling=50)


def box(page: Page, selector: str) -> tuple[float, float, float, float]:
    """Return left, top, width and height of an element, in pixels of the page."""
    found = page.locator(selector).bounding_box()
    assert found, f"{selector} is not visible"
    return found["x"], found["y"], found["width"], found["height"]


def drag(page: Page, points: list[tuple[float, float]], pause: float = 0.03) -> None:
    """Press the mouse at the first point, move over the others with pauses in seconds, release at the last."""
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        time.sleep(pause)
        page.mouse.move(*point)
    time.sleep(pause)
    page.mouse.up()


def pixels(shown: Page | Locator) -> NDArray[np.uint8]:
    """Return what a page or an element looks like: (rows, columns, 3)."""
    return np.asarray(Image.open(io.BytesIO(shown.screenshot())).convert("RGB"))
