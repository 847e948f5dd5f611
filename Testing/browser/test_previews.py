"""What the present question would change is drawn on the page, in its colour and nowhere else, as long as it is asked.

Real are the page, the server, the views and the dialogue; only what the child process would ask is made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page
from support.browser_case import write_case
from support.chromium import pixels, wait
from support.serving import STATE, Served, missing, ready, still

from mtctl.geometry import Volume
from mtctl.io.volumes import read_scan, write_volume

pytestmark = pytest.mark.browser

QUESTIONS = f"{STATE}.questions"
SLICES = ("axial", "coronal", "sagittal")
PATIENCE = 60

#: Pixels around the middle of a view, where the present question is; what would change is smaller.
AROUND = 130


@pytest.fixture
def asked_tab(tmp_path: Path, chromium: BrowserContext) -> Iterator[Page]:
    """A page that asks where a ball goes on and where it ends too late; its heatmap is hidden."""
    if lacking := missing():
        pytest.skip(lacking)
    write_case(tmp_path)
    darken(tmp_path / "ball.image.nrrd")
    server = Served(tmp_path, asks=True, program="support.asked_reviewer")
    try:
        with chromium.new_page() as page:
            page.goto(server.link)
            wait(ready(page), f"{QUESTIONS}.at === 0", PATIENCE)
            page.keyboard.press("h")
            wait(page, f"!{STATE}.heatmap", PATIENCE)
            yield page
    finally:
        server.stop()


def darken(path: Path) -> None:
    """Brighten a corner that no view shows: the window goes by it, and the ball is dark grey."""
    volume = read_scan(path, None).volume
    voxels = np.array(volume.array)
    voxels[:6, :6, :6] = 4 * voxels.max()
    write_volume(Volume(voxels, volume.geometry), path)


def pictures(tab: Page) -> list[NDArray[np.int64]]:
    """The slice views once nothing moves any more, (rows, columns, 3) each."""
    tab.mouse.move(2, 2)
    still(tab)
    return [pixels(tab.locator(f".mt-{name}")).astype(np.int64) for name in SLICES]


def middle(picture: NDArray[np.int64]) -> NDArray[np.int64]:
    rows, columns = (size // 2 for size in picture.shape[:2])
    return picture[rows - AROUND : rows + AROUND, columns - AROUND : columns + AROUND]


def blue(picture: NDArray[np.int64]) -> int:
    """How many pixels are drawn as what would be added."""
    return int(((picture[..., 2] > picture[..., 0] + 60) & (picture[..., 2] > 150)).sum())


def white(picture: NDArray[np.int64]) -> int:
    """How many pixels are white, as the border of what would be taken away; nothing of the ball is."""
    return int((picture.min(axis=2) > 245).sum())


def assert_drawn(tab: Page, side: str) -> None:
    """In all slices, in the middle, in the colour of this side; the strip has the same."""
    assert tab.evaluate(f"{QUESTIONS}.side") == side
    own, other = (blue, white) if side == "inside" else (white, blue)
    for name, picture in zip(SLICES, pictures(tab), strict=True):
        assert own(middle(picture)) > 150, f"{name}: not drawn"
        assert own(picture) - own(middle(picture)) < 20, f"{name}: drawn elsewhere, too"
        assert other(middle(picture)) < 20, f"{name}: drawn in the other colour"
    strip = "getComputedStyle(document.querySelector('#mt-question')).borderLeftColor"
    assert tab.evaluate(strip) == ("rgb(89, 191, 255)" if side == "inside" else "rgb(255, 255, 255)")


def assert_nothing_drawn(tab: Page) -> None:
    assert tab.evaluate(f"{QUESTIONS}.side") == ""
    assert [blue(picture) + white(picture) < 20 for picture in pictures(tab)] == [True] * 3


def test_what_would_be_added_is_blue_and_what_would_go_is_white_until_it_is_answered_and_again_after_an_undo(
    asked_tab: Page,
):
    tab, keys = asked_tab, asked_tab.keyboard
    assert tab.evaluate(f"{QUESTIONS}.count") == 2
    assert_drawn(tab, "inside")
    keys.press("n")
    wait(tab, f"{QUESTIONS}.at === 1", PATIENCE)
    assert_drawn(tab, "outside")
    keys.press("c")
    wait(tab, f"{STATE}.shown.undo === 'answer' && {QUESTIONS}.count === 1 && {QUESTIONS}.at === 0", PATIENCE)
    assert_drawn(tab, "inside")
    keys.press("k")
    wait(tab, f"{QUESTIONS}.text === 'Nothing to ask.'", PATIENCE)
    assert_nothing_drawn(tab)
    keys.press("z")
    wait(tab, f"{QUESTIONS}.at === 0", PATIENCE)
    assert_drawn(tab, "inside")
    keys.press("z")
    wait(tab, f"{QUESTIONS}.count === 2 && !{STATE}.shown.undo", PATIENCE)
    keys.press("p")
    wait(tab, f"{QUESTIONS}.at === 1", PATIENCE)
    assert_drawn(tab, "outside")
