"""Folders of results and expert masks, for `mtctl evaluate`."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mtctl.commands import evaluate

SHAPE = (16, 17, 18)
SPACING = (0.7, 0.8, 2.0)  # x, y, z


def ball(radius: float, centre: tuple[float, float, float] = (7, 8, 9)) -> np.ndarray:
    offsets = np.indices(SHAPE) - np.reshape(centre, (3, 1, 1, 1))
    return np.sqrt((offsets**2).sum(axis=0)) <= radius


def write(path: Path, array: np.ndarray, origin: tuple[float, float, float] = (5.0, -3.0, 1.0)) -> None:
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array)
    image.SetSpacing(SPACING)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))


def evaluate_command(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    args = parser.parse_args(["evaluate", *map(str, arguments)])
    return int(args.run(args))


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def add_maps(results: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    uncertainty, probability = (rng.random(SHAPE, dtype=np.float32) for _ in range(2))
    write(results / f"case{number}.uncertainty.nrrd", uncertainty)
    write(results / f"case{number}.probability.nrrd", probability)
    return uncertainty, probability
