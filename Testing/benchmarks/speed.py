"""How much faster the engine is than the literature's protocol, on the same scan, weights and machine in one process.

    python Testing/benchmarks/speed.py [--case NAME] [--repeat N]

Literature (UA-MT, SASSNet, DTC): float32, windows of 112 x 112 x 80 voxels every 18 x 18 x 4 voxels of the scan as it
is (0.625 x 0.625 x 1.25 mm), uniform averaging; one deterministic and eight dropout passes, each a whole network. Three
windows are timed and scaled up to all windows and passes; the deterministic pass is computed in full for its Dice. Both
sides work on the model's own grid: the windows are as large and as far apart there in mm (70 x 70 x 100 every 11.25 x
11.25 x 5 mm: at 1.25 x 1.25 x 2.5 mm 56 x 56 x 40 voxels every 9 x 9 x 2), so as many, each with an eighth of the
voxels. What the same passes cost on the scan's own voxels, as published, is printed beside it (one window is timed; its
Dice is not known, since the weights are for the model's grid).
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit

from mtctl.evaluation.segmentation_metrics import dice
from mtctl.geometry import Triple
from mtctl.inference.prediction import Options
from mtctl.inference.segmenter import Segmenter
from mtctl.inference.slabs import locator_pass, planes_at_once, sample_passes
from mtctl.inference.test_time_augmentation import VIEWS, View
from mtctl.io.volumes import read_mask, read_volume
from mtctl.masks import solid
from mtctl.models.model import find_model
from mtctl.networks.device import choose_device, describe, to_device
from mtctl.networks.mtctl_net import LocatorNet, MTCTLNet
from mtctl.preprocessing.network_grid import canonical_geometry, pad_to_multiple
from mtctl.preprocessing.normalisation import normalise
from mtctl.preprocessing.resampling import from_grid, to_grid

#: (z, y, x) voxels of the scan as it is.
WINDOW = (80, 112, 112)
STRIDE = (4, 18, 18)
SAMPLES = 8

Three = tuple[int, int, int]


def starts(length: int, window: int, stride: int) -> list[int]:
    """As in the literature's code: every `stride` voxels, the last window flush with the border."""
    count = int(np.ceil((length - window) / stride)) + 1
    return [min(i * stride, length - window) for i in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("MTCTL_SHARED", "../shared")) / "data" / "la2018"
    parser.add_argument("--data", type=Path, default=shared / "train")
    parser.add_argument("--case", help="default: name 67 of train.list")
    parser.add_argument("--model", default="mtctl-la16")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    name = args.case or (shared / "train.list").read_text(encoding="utf-8").split()[66]
    volume = read_volume(args.data / f"{name}.image.nrrd")
    truth = read_mask(args.data / f"{name}.label.nrrd").array > 0
    model, device = find_model(args.model), choose_device(args.device)
    segmenter = Segmenter(model, device)
    grid = canonical_geometry(volume.geometry, model.card.grid_mm)
    array = normalise(*to_grid(volume, grid))
    window, stride = (on_grid(voxels, volume.geometry.spacing, grid.spacing) for voxels in (WINDOW, STRIDE))
    print(f"{name}, {volume.array.shape} voxels, {describe(device)}, {torch.get_num_threads()} threads")

    ours, prediction = [], None
    for _ in range(args.repeat + 1):  # The first is the warm-up.
        began = time.perf_counter()
        prediction = segmenter.predict(volume, Options(samples=SAMPLES))
        ours.append(time.perf_counter() - began)
    assert prediction is not None
    ours_seconds = float(np.median(ours[1:]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)

    network = model.load_network()
    views = VIEWS[: model.card.views]
    forward, sampled, viewed = pass_seconds(
        to_device(model.load_network(), device), array, grid.spacing, device, args.repeat, views
    )

    network = network.to(device)
    padded, inner = pad_window(array, window)
    corners = list(itertools.product(*(starts(n, w, s) for n, w, s in zip(padded.shape, window, stride, strict=True))))
    window_seconds = time_windows(network, padded, corners[:: max(1, len(corners) // 3)][:3], window, device)
    theirs_seconds = window_seconds * len(corners) * (1 + SAMPLES)
    probability = sliding_probability(network, padded, corners, window, device)[inner]
    mask = solid(from_grid(probability, grid, volume.geometry, 0.0) >= 0.5)

    ours_dice, theirs_dice = dice(prediction.segmentation, truth), dice(mask, truth)
    print(f"engine, N = {SAMPLES}: {ours_seconds:.2f} s (median of {args.repeat}), Dice {100 * ours_dice:.2f}")
    print(f"  of it the network: {prediction.seconds['network']:.2f} s; peak memory of the process {peak:.2f} GB")
    print(
        f"literature: {len(corners)} windows x {1 + SAMPLES} passes x {window_seconds:.3f} s = {theirs_seconds:.1f} s "
        f"(3 windows of {' x '.join(map(str, reversed(window)))} voxels measured), Dice {100 * theirs_dice:.2f}"
    )
    print(
        f"ratio: {theirs_seconds / ours_seconds:.1f} times faster, "
        f"Dice difference {100 * (ours_dice - theirs_dice):+.2f}"
    )
    own, _ = pad_window(volume.array.astype(np.float32), WINDOW)
    own_windows = int(np.prod([len(starts(n, w, s)) for n, w, s in zip(own.shape, WINDOW, STRIDE, strict=True)]))
    own_seconds = time_windows(network, own, [(0, 0, 0)], WINDOW, device) * own_windows * (1 + SAMPLES)
    print(
        f"as published, on the scan's own voxels: {own_windows} windows of {' x '.join(map(str, reversed(WINDOW)))} "
        f"voxels, {own_seconds:.0f} s, {own_seconds / ours_seconds:.0f} times the engine's"
    )
    print(
        f"N = {SAMPLES} against one whole-volume forward pass of the V-Net: {sampled / forward:.2f} times its cost in "
        f"one view, {viewed / forward:.2f} times in the {len(views)} that the model's card asks for"
    )
    if device.type == "cuda":
        print(f"GPU memory: {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")
    return 0


def on_grid(voxels: Three, spacing: Triple, grid_mm: Triple) -> Three:
    """So many voxels (z, y, x) of the scan in voxels of the network's grid; both spacings (x, y, z)."""
    z, y, x = (
        max(1, round(n * own / wanted))
        for n, own, wanted in zip(voxels, reversed(spacing), reversed(grid_mm), strict=True)
    )
    return z, y, x


def pass_seconds(
    network: MTCTLNet, array: np.ndarray, grid_mm: Triple, device: torch.device, repeat: int, views: Sequence[View]
) -> tuple[float, ...]:
    """Seconds of one deterministic V-Net pass over the whole volume, and of the engine's with N samples in one view and
    in all."""
    vnet = to_device(LocatorNet(network.architecture.filters), device).eval()
    vnet.load_state_dict(network.state_dict(), strict=False)
    x, y, z = grid_mm
    planes = planes_at_once(device, network.architecture.filters, array.shape)
    seconds = []
    for run in (
        lambda: locator_pass(vnet, array, device, planes),
        lambda: sample_passes(network, array, SAMPLES, 0, device, planes),
        lambda: sample_passes(network, array, SAMPLES, 0, device, planes, views=views, voxel_mm=(z, y, x)),
    ):
        times = []
        for _ in range(repeat + 1):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        seconds.append(float(np.median(times[1:])))
    return tuple(seconds)


def pad_window(array: np.ndarray, window: Three) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Padded to at least one window, with the slices that undo it."""
    missing = [max(0, w - n) for n, w in zip(array.shape, window, strict=True)]
    width = [(m // 2, m - m // 2) for m in missing]
    inner = tuple(slice(before, before + n) for (before, _), n in zip(width, array.shape, strict=True))
    return np.pad(array, width), inner


def window_logits(
    network: MTCTLNet, padded: np.ndarray, corner: tuple[int, ...], window: Three, device: torch.device
) -> np.ndarray:
    """The whole network, in float32, on one window."""
    part = padded[tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))]
    part, inside = pad_to_multiple(part)
    with torch.inference_mode():
        return network(torch.from_numpy(part)[None, None].to(device)).segmentation[0, 0].cpu()[inside].numpy()


def time_windows(
    network: MTCTLNet, padded: np.ndarray, corners: list[tuple[int, ...]], window: Three, device: torch.device
) -> float:
    window_logits(network, padded, corners[0], window, device)
    times = []
    for corner in corners:
        began = time.perf_counter()
        window_logits(network, padded, corner, window, device)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def sliding_probability(
    network: MTCTLNet, padded: np.ndarray, corners: list[tuple[int, ...]], window: Three, device: torch.device
) -> np.ndarray:
    total, count = np.zeros(padded.shape, np.float32), np.zeros(padded.shape, np.float32)
    for corner in corners:
        place_ = tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))
        total[place_] += expit(window_logits(network, padded, corner, window, device))
        count[place_] += 1
    return total / count


if __name__ == "__main__":
    sys.exit(main())
