"""The case figure, looked at: colours where they belong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from support.scans import scan

from mtctl.figures.case_figure import CasePicture, write_case_figure


@pytest.fixture
def view() -> CasePicture:
    image = scan((60, 70, 90)).array
    z, y, x = np.meshgrid(*[np.arange(n) - n / 2 for n in image.shape], indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    uncertainty = np.exp(-0.5 * ((radius - 20) / 2) ** 2).astype(np.float32)
    return CasePicture(image, radius < 20, uncertainty, "entropy", "a $case$_$ 50 mL", "likely Dice 0.90-0.95")


def drawn(view: CasePicture, path: Path) -> np.ndarray:
    write_case_figure(view, path)
    return imread(path)[..., :3]


def near(pixels: np.ndarray, colour: tuple[float, float, float]) -> int:
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) < 0.12).sum())


def test_the_outline_is_red_the_certain_purple_and_the_uncertain_yellow(view: CasePicture, tmp_path: Path) -> None:
    pixels = drawn(view, tmp_path / "case.png")
    left, right = pixels[:, : pixels.shape[1] // 3], pixels[:, 2 * pixels.shape[1] // 3 : -140]
    assert near(left, (1.0, 0.30, 0.30)) > 500
    assert near(right, (0.27, 0.0, 0.33)) > 20000
    assert near(right, (0.99, 0.91, 0.14)) > 1000
    assert near(left, (0.99, 0.91, 0.14)) == 0


def test_without_uncertainty_nothing_is_yellow_but_the_scale(view: CasePicture, tmp_path: Path) -> None:
    pixels = drawn(replace(view, uncertainty=np.zeros_like(view.uncertainty)), tmp_path / "case.png")
    assert near(pixels[:, :-150], (0.99, 0.91, 0.14)) == 0
    assert near(pixels[:, -150:], (0.99, 0.91, 0.14)) > 50


def test_an_empty_mask_and_a_flat_image_are_drawn_too(view: CasePicture, tmp_path: Path) -> None:
    empty = replace(view, mask=np.zeros_like(view.mask), image=np.ones_like(view.image))
    assert drawn(empty, tmp_path / "empty.png").mean() > 0.01


def test_a_name_with_a_byte_that_is_no_text_is_drawn(view: CasePicture, tmp_path: Path) -> None:
    odd, plain = (drawn(replace(view, title=title), tmp_path / "case.png") for title in ("a\udcff", "a?"))
    assert (odd == plain).all()
