"""Pictures of the module MTCTLSegment for the README:

    PYTHONPATH=Testing python Testing/host/screenshots.py [-o Resources/Screenshots]

A phantom is segmented in the window with the model that is the default. Nothing of a real patient is in the pictures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from host import missing_requirement, start

ROOT = Path(__file__).resolve().parents[2]

#: Bytes of the largest picture that the repository takes.
LARGEST = 500_000

PATIENCE = 600.0  # seconds for the segmentation on a busy machine
ZOOM = 0.7  # of the slice views' field of view: the atrium fills them
CLOSER = 1.4  # the 3-D view's camera


def main() -> int:
    """Write the pictures; 1 when one is too large or the host cannot run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "Resources" / "Screenshots")
    args = parser.parse_args()
    if lacking := missing_requirement():
        print(lacking)
        return 1
    args.out.mkdir(parents=True, exist_ok=True)
    host = start()
    host.module(ROOT / "MTCTLSegment" / "MTCTLSegment.py")
    module = host.enter("MTCTLSegment")
    segment_a_phantom(host, module)
    show_the_result(host, module)
    sizes = [picture(host, args.out / "segment-result.png")]
    preview_a_suggestion(host, module)
    sizes.append(picture(host, args.out / "segment-correct.png"))
    return 0 if max(sizes) <= LARGEST else 1


def segment_a_phantom(host: Any, module: Any) -> None:
    """As a person does it."""
    from MTCTLSegmentLib import sample_data

    node = sample_data.phantom(sample_data.SEEDS[0])
    host.process_events()
    module.ui.scanSelector.choose(node.GetName())
    module.ui.applyButton.click()
    host.wait_until(lambda: not module.logic.job.running, PATIENCE)
    if module.currentReview.review is None:
        raise SystemExit(f"no result: {[message.text for message in host.messages]}")


def show_the_result(host: Any, module: Any) -> None:
    """Two regions accepted, and one in the middle of the scan."""
    module.ui.nextButton.click()
    for _ in range(2):
        host.press("A")
    module.ui.regionTable.setCurrentCell(central_rows(module)[0], 0)
    zoom(host)
    host.wait(1.0)


def preview_a_suggestion(host: Any, module: Any) -> None:
    """The suggestion that changes most in regions amid the scan, and the surface coloured by uncertainty."""
    review, ui = module.currentReview.review, module.ui
    sizes = {}
    for row in central_rows(module)[:8]:
        ui.regionTable.setCurrentCell(row, 0)
        host.process_events()
        for name in ("Distance", "Fill"):
            getattr(ui, f"proposal{name}Button").click()
            sizes[review.preview.added_ml + review.preview.removed_ml] = row, name
            ui.discardProposalButton.click()
    row, name = sizes[max(sizes)]
    ui.regionTable.setCurrentCell(row, 0)
    ui.surfaceSelector.currentIndex = 1
    getattr(ui, f"proposal{name}Button").click()
    zoom(host)
    host.window.panel.scroll_to(ui.finishSection._qt)
    host.wait(1.5)


def central_rows(module: Any) -> list[int]:
    """Rows of the list, those farthest from the scan's border first: there is something to see all around."""
    session = module.currentReview.review.session
    geometry = session.maps.geometry
    places = geometry.physical_to_index([region.centroid_lps for region in session.regions]) / geometry.size
    off_centre = abs(places - 0.5).max(axis=1)
    return [int(row) for row in off_centre.argsort()]


def zoom(host: Any) -> None:
    """The views close to the place that they show."""
    import slicer

    camera = host.view("1").renderer.GetActiveCamera()
    camera.Dolly(CLOSER)

    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        x, y, z = node.GetFieldOfView()
        if x > 120:
            node.SetFieldOfView(x * ZOOM, y * ZOOM, z)
    host.process_events()


def picture(host: Any, path: Path) -> int:
    """Write the window, with as many colours as fit; returns the bytes."""
    from PIL import Image

    host.screenshot(path)
    image = Image.open(path).convert("RGB")
    image.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
