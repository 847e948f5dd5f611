"""Pictures of the reviewer for the README:

    PYTHONPATH=Testing python Testing/browser/screenshots.py [-o Resources/Screenshots]

A phantom is made and segmented; one of its questions is shown and answered. Nothing of a real patient is in them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page
from support.browser_case import segmented_phantom
from support.chromium import browser, pixels, wait
from support.serving import STATE, Served, missing, ready, still

ROOT = Path(__file__).resolve().parents[2]

QUESTIONS = f"{STATE}.questions"

#: Seconds for the child to start, to look for questions, and to measure, on a busy machine.
PATIENCE = 300

#: Bytes of the largest picture that the repository takes.
LARGEST = 600_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "Resources" / "Screenshots")
    parser.add_argument("--folder", type=Path, help="cases to show; default: a phantom")
    args = parser.parse_args()
    if lacking := missing():
        print(lacking)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or segmented_phantom(Path(scratch))
        server = Served(folder, "--device", "cpu", asks=True)
        try:
            with browser(1280, 840) as context:
                tab = context.new_page()
                tab.goto(server.link)
                show_a_question(ready(tab))
                sizes = [picture(tab, args.out / "reviewer-question.png")]
                answer_it(tab)
                sizes.append(picture(tab, args.out / "reviewer-answer.png"))
        finally:
            server.stop()
    return 0 if max(sizes) <= LARGEST else 1


def show_a_question(tab: Page) -> None:
    """The second of the questions, with its opposite in the views; the numbers with their intervals; no heatmap."""
    wait(tab, f"{QUESTIONS}.at === 0", PATIENCE)
    tab.click("#mt-measure")
    wait(tab, f"{STATE}.measures.rows.length === 6", PATIENCE)
    tab.evaluate("document.querySelector('.mt-panel').scrollTop = 0")
    for key in "hnf":
        tab.keyboard.press(key)
    settle(tab)


def answer_it(tab: Page) -> None:
    """The opposite is right; who moves a slice meanwhile stays there, and sees what came of it and the numbers."""
    tab.keyboard.press("c")
    tab.evaluate(f"window.trame.trigger('slice', [{STATE}.at, 'Axial', {STATE}.slices.Axial.value])")
    wait(tab, f"{STATE}.shown.undo === 'answer'", PATIENCE)
    wait(tab, f"/to answer|Nothing/.test({QUESTIONS}.text)", PATIENCE)
    settle(tab)


def settle(tab: Page) -> None:
    """Wait until numbers and views are there, with the mouse out of the way."""
    tab.mouse.move(900, 20)
    wait(tab, f"!{STATE}.measures.busy", PATIENCE)
    tab.wait_for_timeout(3000)  # On a busy machine a view may take a second between two of its pictures.
    still(tab)


def picture(tab: Page, path: Path) -> int:
    """Write the page; return the bytes."""
    Image.fromarray(pixels(tab)).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
