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
CLOSER = 1.15  # the 3-D view's camera


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
    show_a_question(host, module)
    sizes = [picture(host, args.out / "segment-question.png")]
    answer_it(host, module)
    sizes.append(picture(host, args.out / "segment-answer.png"))
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


def show_a_question(host: Any, module: Any) -> None:
    """Show the question whose answer would change most, with the opposite answer in the views."""
    ui, dialogue = module.ui, module.questionPanel._dialogue
    if not host.wait_until(lambda: dialogue.current is not None, PATIENCE):
        raise SystemExit(f"no question: {ui.questionLabel.text}")
    changes = [abs(question.change_ml) for question in dialogue.questions]
    for _ in range(changes.index(max(changes))):
        host.press("N")
    ui.surfaceSelector.currentIndex = 1
    ui.heatmapBox.checked = False
    zoom(host)
    host.window.panel.scroll_to(ui.questionsSection._qt)
    host.wait(1.5)


def answer_it(host: Any, module: Any) -> None:
    """The opposite is right; the views stay there, and below are the numbers with their intervals."""
    ui, dialogue = module.ui, module.questionPanel._dialogue
    host.press("C")
    dialogue.stay()
    ui.correctSection.collapsed = ui.finishSection.collapsed = ui.uncertaintySection.collapsed = True
    ui.measureSection.collapsed = False
    host.wait_until(lambda: not dialogue.asking and not dialogue.answering, PATIENCE)
    host.wait_until(lambda: ui.measureTable.rowCount > 2 and not module.measurePanel._request, PATIENCE)
    host.window.panel.scroll_to(ui.questionLabel._qt)
    host.wait(1.5)


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
