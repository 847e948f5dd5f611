"""Pictures of the reviewer for the README:

    PYTHONPATH=Testing python Testing/browser/screenshots.py [-o Resources/Screenshots]

A phantom is made and segmented; the first region is visited and a proposal previewed.
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
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or segmented_phantom(Path(scratch))
        server = Served(folder, "--device", "cpu")
        try:
            with browser(1280, 840) as context:
                tab = context.new_page()
                tab.goto(server.link)
                show(ready(tab))
                picture = Image.fromarray(pixels(tab))
        finally:
            server.stop()
    path = args.out / "reviewer.png"
    picture.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return 0 if path.stat().st_size <= LARGEST else 1


def show(tab: Page) -> None:
    """What the picture is to show: two regions accepted, a proposal for the third, all of the scan."""
    for key in ("n", "a", "a", "f"):
        tab.keyboard.press(key)
        still(tab)
    tab.click("[data-proposal='distance map']")
    tab.mouse.move(900, 20)
    wait(tab, f"{STATE}.preview")
    still(tab)


if __name__ == "__main__":
    sys.exit(main())
