"""The stream of batches: patches drawn from cases, varied and mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtctl.geometry import Triple
from mtctl.networks.distance_map import normalised_distance, signed_distance_mm
from mtctl_train.data.augmentation import (
    Variation,
    as_acquired,
    fixed_box,
    random_box,
    sample_patch,
    vary_contrast,
    vary_intensity,
)
from mtctl_train.data.cases import Scan, TrainingCase
from mtctl_train.recipe import Recipe, Stage


@dataclass(frozen=True)
class Extras:
    """What a method's batches hold besides plain patches; nothing of it is computed where it is not wanted.

    Attributes:
        equal_streams: Unlabelled patches are treated as labelled ones are (phantoms among them, pasted), and neither's
            atrium and wall are varied, for which a label is needed: so that a discriminator cannot tell the two apart
            by that.
        second_views: `Batch.second`.
        exchanges: `Batch.exchanged` and `Batch.box`.
    """

    equal_streams: bool = False
    second_views: bool = False
    exchanges: bool = False


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
        exchanged: (2n, ...) Labelled patches with a box of their unlabelled partner, then the other way round; as
            acquired when they exchange it, varied once afterwards. Or none: see `Extras`.
        box: (n, ...) 1 in the box that each pair has exchanged.
        second: What the student sees (`exchanged`, or `image` and `unlabelled_varied`), as acquired at the same place,
            varied anew. Or none: see `Extras`.
    """

    image: Tensor
    mask: Tensor
    distance: Tensor
    weight: Tensor
    unlabelled: Tensor
    unlabelled_varied: Tensor
    voxel_mm: Triple
    exchanged: Tensor = torch.empty(0)
    box: Tensor = torch.empty(0)
    second: Tensor = torch.empty(0)

    def labelled_only(self) -> Batch:
        """Return the batch without its unlabelled patches, and without what is made of them."""
        none = self.unlabelled[:0]
        return replace(self, unlabelled=none, unlabelled_varied=none, exchanged=none, box=none, second=none)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`, channels last, which is the fastest layout for 3D convolutions."""
        moved: dict[str, Any] = {
            name: tensor.to(device, memory_format=torch.channels_last_3d) if tensor.ndim == 5 else tensor.to(device)
            for name, tensor in vars(self).items()
            if isinstance(tensor, Tensor)
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
        extras: What the method wants of a batch besides.
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
    extras: Extras = Extras()

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
        image, distance, weight = torch.stack([patch for patch, _ in mixed])[:, :, None].unbind(1)
        unlabelled = [self._unlabelled_patch(iteration, item) for item in items if self._has_unlabelled(iteration)]
        none = image.new_zeros(0, 1, *self.patch)
        plain = [(labelled, other) for (_, labelled), (other, _) in zip(mixed, unlabelled, strict=False)]
        exchanged, box, second = none, none, none
        if self.extras.exchanges and plain:
            boxes, pairs = self._exchanged(iteration, items, plain)
            exchanged, box = self._view(iteration, items, pairs, 3), torch.stack(boxes)[:, None]
            plain = pairs
        if self.extras.second_views and plain:
            second = self._view(iteration, items, plain, 4)
        return Batch(
            image=image,
            mask=(distance / min(voxel_mm) + 0.5).clamp(0, 1),
            distance=normalised_distance(distance),
            weight=weight,
            unlabelled=torch.stack([plain for plain, _ in unlabelled])[:, None] if unlabelled else none,
            unlabelled_varied=torch.stack([varied for _, varied in unlabelled])[:, None] if unlabelled else none,
            voxel_mm=voxel_mm,
            exchanged=exchanged,
            box=box,
            second=second,
        )

    def _exchanged(
        self, iteration: int, items: range, plain: list[tuple[Tensor, Tensor]]
    ) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Exchange a box of two thirds of each axis between the patches of each pair; return boxes and pairs."""
        boxes, pairs = [], []
        for item, (labelled, other) in zip(items, plain, strict=True):
            rng = np.random.default_rng((self.seed, iteration, item, 5))
            box = torch.zeros(self.patch)
            box[fixed_box(self.patch, rng)] = 1
            boxes.append(box)
            pairs.append((torch.where(box > 0, other, labelled), torch.where(box > 0, labelled, other)))
        return boxes, pairs

    def _view(self, iteration: int, items: range, plain: list[tuple[Tensor, Tensor]], kind: int) -> Tensor:
        """Return pairs of patches, varied: first the first of each; atria and walls stay, since labels lack."""
        views = []
        for side in (0, 1):
            for item, pair in zip(items, plain, strict=True):
                rng = np.random.default_rng((self.seed, iteration, item, kind, side))
                share = rng.random() < self.intensity_share
                image, voxel_mm = pair[side], self.labelled[0].voxel_mm
                views.append(self._changed(image, None, voxel_mm, rng) if share else image)
        return torch.stack(views)[:, None]

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
        image, voxel_mm = self._unlabelled_image(rng), self.labelled[0].voxel_mm
        if self.extras.equal_streams and rng.random() < self.paste_share:
            partner = np.random.default_rng((self.seed, iteration, (item + 1) % self.batch, 1))
            box = random_box(self.patch, rng)
            image[box] = self._unlabelled_image(partner)[box]
        return image, self._varied(image, None, voxel_mm, iteration, item, rng)

    def _unlabelled_image(self, rng: np.random.Generator) -> Tensor:
        """Draw a patch (z, y, x) of an unlabelled scan or, where the streams are to be equal, of a phantom."""
        cases: Sequence[Scan | TrainingCase] = self.unlabelled
        if self.extras.equal_streams and len(self.phantoms) and rng.random() < self.phantom_share:
            cases = self.phantoms
        scan = cases[int(rng.integers(len(cases)))]
        channels = torch.from_numpy(scan.image[None])
        return sample_patch(channels, scan.voxel_mm, self.patch, self.variation, rng)[0][0]

    def _mixed(self, iteration: int, item: int) -> tuple[Tensor, Tensor]:
        """Draw patch `item` of a batch, (3, z, y, x), and its image before it is varied.

        Each patch has a generator of its own, so that a process need not draw the others.
        """
        rng = np.random.default_rng((self.seed, iteration, item))
        patch = self._patch(rng)
        if rng.random() < self.paste_share:
            partner = np.random.default_rng((self.seed, iteration, (item + 1) % self.batch))
            patch = self._pasted(patch, self._patch(partner), random_box(self.patch, rng))
        plain = patch[0].clone()
        distance = None if self.extras.equal_streams else patch[1]
        patch[0] = self._varied(patch[0], distance, self.labelled[0].voxel_mm, iteration, item, rng)
        return patch, plain

    def _varied(
        self, image: Tensor, distance_mm: Tensor | None, voxel_mm: Triple, iteration: int, item: int,
        rng: np.random.Generator,
    ) -> Tensor:  # fmt: skip
        """Vary tissue contrast, then acquisition, then coils and noise; or nothing, by chance."""
        # A generator of its own: whatever the fraction, everything else of a patch stays what it was.
        varied = np.random.default_rng((self.seed, iteration, item, 2)).random() < self.intensity_share
        if not varied:
            return image
        return self._changed(image, distance_mm, voxel_mm, rng)

    def _changed(self, image: Tensor, distance_mm: Tensor | None, voxel_mm: Triple, rng: np.random.Generator) -> Tensor:
        return vary_intensity(as_acquired(vary_contrast(image, distance_mm, rng), voxel_mm, rng), rng)

    def _pasted(self, patch: Tensor, other: Tensor, box: tuple[slice, ...]) -> Tensor:
        patch[:, *box] = other[:, *box]
        # A patched distance map is wrong along the seam: compute it again.
        voxel_mm = self.labelled[0].voxel_mm
        patch[1] = torch.from_numpy(signed_distance_mm((patch[1] > 0).numpy(), voxel_mm).clip(-99, 99))
        return patch
