"""The stream of batches: patches drawn from cases, varied and mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mtctl.geometry import Triple
from mtctl.networks.distance_map import normalised_distance, signed_distance_mm
from mtctl_train.data.augmentation import (
    Variation,
    as_acquired,
    random_box,
    sample_patch,
    vary_contrast,
    vary_intensity,
)
from mtctl_train.data.cases import Scan, TrainingCase
from mtctl_train.recipe import Recipe, Stage


@dataclass(frozen=True)
class Batch:
    """Patches (n, 1, z, y, x) float32.

    Attributes:
        image: z-scored intensities.
        mask: Soft target in [0, 1]: the fraction of the voxel inside the surface, estimated from the distance.
        distance: pi(y), normalised signed distance.
        weight: How much each voxel of the three counts.
        unlabelled: z-scored intensities of scans without truth, as many patches or none.
        unlabelled_varied: The same patches with their intensities varied like those of `image`.
        voxel_mm: (z, y, x) size of a voxel.
    """

    image: Tensor
    mask: Tensor
    distance: Tensor
    weight: Tensor
    unlabelled: Tensor
    unlabelled_varied: Tensor
    voxel_mm: Triple

    def labelled_only(self) -> Batch:
        """Return the batch without its unlabelled patches."""
        return replace(self, unlabelled=self.unlabelled[:0], unlabelled_varied=self.unlabelled[:0])

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`, channels last, which is the fastest layout for 3D convolutions."""
        moved = {
            name: getattr(self, name).to(device, memory_format=torch.channels_last_3d)
            for name in ("image", "mask", "distance", "weight", "unlabelled", "unlabelled_varied")
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Sampler:
    """Draws batches from cases; batch `iteration` is the same whenever it is drawn.

    Attributes:
        labelled: Real cases.
        unlabelled: Scans without truth; none: batches hold no unlabelled patches.
        phantoms: Synthetic cases, drawn with probability `phantom_share` instead of a real one.
        patch: (z, y, x) voxels.
        paste_share: Probability that a random box of a patch comes from the batch's next patch (copy-paste).
        intensity_share: Probability that a patch's contrast, resolution and intensities are varied (`augmentation`).
        unlabelled_share: Share of the batches that hold unlabelled patches, where there are such scans.
        replay: Real cases of an earlier training, drawn with probability `replay_share` instead of a labelled one.
    """

    labelled: Sequence[TrainingCase]
    unlabelled: Sequence[Scan]
    phantoms: Sequence[TrainingCase]
    patch: tuple[int, int, int]
    batch: int
    phantom_share: float
    paste_share: float
    seed: int
    unlabelled_share: float = 1.0
    replay: Sequence[TrainingCase] = ()
    replay_share: float = 0.0
    intensity_share: float = 1.0
    variation: Variation = Variation()

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        stage: Stage,
        labelled: Sequence[TrainingCase],
        unlabelled: Sequence[Scan],
        phantoms: Sequence[TrainingCase],
        replay: Sequence[TrainingCase] = (),
    ) -> Sampler:
        """Return the sampler of a stage; all cases are on the recipe's grid already."""
        return cls(
            labelled,
            unlabelled,
            phantoms,
            patch=stage.patch,
            batch=recipe.batch,
            phantom_share=recipe.phantom_share,
            paste_share=recipe.paste_share,
            seed=recipe.seed,
            unlabelled_share=recipe.unlabelled_share,
            replay=replay,
            replay_share=recipe.replay_share,
            intensity_share=recipe.intensity_share,
        )

    def draw(self, iteration: int, items: range | None = None) -> Batch:
        """Draw batch `iteration`, or only its `items`: the part of one process of a team."""
        items = range(self.batch) if items is None else items
        mixed = [self._mixed(iteration, item) for item in items]
        voxel_mm = self.labelled[0].voxel_mm
        image, distance, weight = torch.stack(mixed)[:, :, None].unbind(1)
        unlabelled = [self._unlabelled_patch(iteration, item) for item in items if self._has_unlabelled(iteration)]
        none = image.new_zeros(0, 1, *self.patch)
        return Batch(
            image=image,
            mask=(distance / min(voxel_mm) + 0.5).clamp(0, 1),
            distance=normalised_distance(distance),
            weight=weight,
            unlabelled=torch.stack([plain for plain, _ in unlabelled])[:, None] if unlabelled else none,
            unlabelled_varied=torch.stack([varied for _, varied in unlabelled])[:, None] if unlabelled else none,
            voxel_mm=voxel_mm,
        )

    def _has_unlabelled(self, iteration: int) -> bool:
        """Return whether the batch has unlabelled patches; a fraction of 0.5 gives them to every second batch."""
        before, after = (int((iteration + one) * self.unlabelled_share) for one in (0, 1))
        return after > before and bool(self.unlabelled)

    def _patch(self, rng: np.random.Generator) -> Tensor:
        """Draw image, distance in mm and weight, (3, z, y, x)."""
        cases = self.labelled
        if len(self.phantoms) and rng.random() < self.phantom_share:
            cases = self.phantoms
        elif len(self.replay) and rng.random() < self.replay_share and self.replay:
            cases = self.replay
        case = cases[int(rng.integers(len(cases)))]
        weight = np.ones_like(case.image) if case.weight is None else case.weight
        channels = torch.from_numpy(np.stack([case.image, case.distance_mm, weight]))
        sampled, zoom = sample_patch(channels, case.voxel_mm, self.patch, self.variation, rng)
        sampled[1] *= zoom
        return sampled

    def _unlabelled_patch(self, iteration: int, item: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, iteration, item, 1))
        scan = self.unlabelled[int(rng.integers(len(self.unlabelled)))]
        channels = torch.from_numpy(scan.image[None])
        sampled, _ = sample_patch(channels, scan.voxel_mm, self.patch, self.variation, rng)
        return sampled[0], self._varied(sampled[0], None, scan.voxel_mm, iteration, item, rng)

    def _mixed(self, iteration: int, item: int) -> Tensor:
        """Draw patch `item` of a batch; each has a generator of its own, so that a process need not draw the others."""
        rng = np.random.default_rng((self.seed, iteration, item))
        patch = self._patch(rng)
        if rng.random() < self.paste_share:
            partner = np.random.default_rng((self.seed, iteration, (item + 1) % self.batch))
            patch = self._pasted(patch, self._patch(partner), random_box(self.patch, rng))
        patch[0] = self._varied(patch[0], patch[1], self.labelled[0].voxel_mm, iteration, item, rng)
        return patch

    def _varied(
        self, image: Tensor, distance_mm: Tensor | None, voxel_mm: Triple, iteration: int, item: int,
        rng: np.random.Generator,
    ) -> Tensor:  # fmt: skip
        """Vary tissue contrast, then acquisition, then coils and noise; or nothing, by chance."""
        # A generator of its own: whatever the fraction, everything else of a patch stays what it was.
        varied = np.random.default_rng((self.seed, iteration, item, 2)).random() < self.intensity_share
        if not varied:
            return image
        return vary_intensity(as_acquired(vary_contrast(image, distance_mm, rng), voxel_mm, rng), rng)

    def _pasted(self, patch: Tensor, other: Tensor, box: tuple[slice, ...]) -> Tensor:
        patch[:, *box] = other[:, *box]
        # A patched distance map is wrong along the seam: compute it again.
        voxel_mm = self.labelled[0].voxel_mm
        patch[1] = torch.from_numpy(signed_distance_mm((patch[1] > 0).numpy(), voxel_mm).clip(-99, 99))
        return patch
