"""How quick the browser reviewer is, and what memory it takes, on this machine.

    PYTHONPATH=Testing python Testing/benchmarks/reviewer.py [--folder DIR] [--moves 40] [--leak-moves 200]

Prints, for a phantom that is made and segmented first (or for the first case of DIR): from the link to a page that can
be used; from a move of the threshold's slider to the first new picture of any view, and to the last; memory of the
server before and after many moves, and of the child that segments.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page
from support.browser_case import segmented_phantom
from support.chromium import browser
from support.serving import STATE, Served, missing, ready, still

# One move as the slider makes it. Resolves with the milliseconds until the first and until the last picture changed.
MOVE = """(async (value) => {
  const input = document.querySelector('#mt-threshold');
  const start = performance.now(), seen = [];
  const watch = new MutationObserver(() => seen.push(performance.now() - start));
  for (const image of document.querySelectorAll('.mt-view img')) watch.observe(image, {attributeFilter: ['src']});
  input.value = value;
  input.dispatchEvent(new Event('input', {bubbles: true}));
  while (!seen.length && performance.now() - start < 5000) await new Promise(r => setTimeout(r, 1));
  await new Promise(r => setTimeout(r, 900));
  watch.disconnect();
  return [seen[0] ?? 5000, seen.at(-1) ?? 5000];
})(%f)"""

QUICK_MOVES = """(async (count) => {
  const input = document.querySelector('#mt-threshold');
  for (let i = 0; i < count; i++) {
    input.value = 0.3 + 0.5 * Math.abs(Math.sin(i / 7));
    input.dispatchEvent(new Event('input', {bubbles: true}));
    await new Promise(r => setTimeout(r, 60));
  }
  input.dispatchEvent(new Event('change', {bubbles: true}));
})(%d)"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="cases to be reviewed; default: a phantom")
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--leak-moves", type=int, default=200)
    args = parser.parse_args()
    if lacking := missing():
        print(lacking)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or segmented_phantom(Path(scratch))
        started = time.monotonic()
        server = Served(folder, "--device", "cpu")
        print(f"server ready after                     {time.monotonic() - started:6.1f} s")
        try:
            with browser() as context:
                measure(server, context.new_page(), args.moves, args.leak_moves)
        finally:
            server.stop()
    return 0


def measure(server: Served, tab: Page, moves: int, leak_moves: int) -> None:
    time.sleep(3)  # the first case opens meanwhile, as it does while a person reaches for the link
    start = time.monotonic()
    tab.goto(server.link)
    ready(tab)
    print(f"page ready after                       {time.monotonic() - start:6.1f} s   (must: 6)")
    still(tab)
    first, last = zip(*(tab.evaluate(MOVE % (0.3 + 0.5 * (i % 10) / 10)) for i in range(moves)), strict=True)
    print(f"slider to first picture, median        {statistics.median(first):6.0f} ms  (must: 150)")
    print(f"slider to last picture, median         {statistics.median(last):6.0f} ms  (full quality in all views)")
    tab.evaluate(QUICK_MOVES % 20)
    still(tab)
    before = memory_mb(server.process.pid)
    for _ in range(0, leak_moves, 50):
        tab.evaluate(QUICK_MOVES % min(50, leak_moves))
    still(tab)
    after = memory_mb(server.process.pid)
    print(f"server memory                          {before:6.0f} MB  (must: 1200)")
    print(f"after {leak_moves} moves more                   {after:6.0f} MB  ({after - before:+.1f})")
    threshold = tab.evaluate(f"{STATE}.threshold")
    assert 0 <= threshold <= 1


def memory_mb(process: int) -> float:
    """Resident memory of a process."""
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
    return int(listed.stdout) / 1024


if __name__ == "__main__":
    sys.exit(main())
