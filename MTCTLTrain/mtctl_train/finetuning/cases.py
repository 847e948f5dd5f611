"""The cases of a fine-tuning run as the trainer wants them: from the case store, replayed ones, phantoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtctl.cases.store import CaseStore, StoredCase
from mtctl.geometry import Mask, Triple, Volume
from mtctl.io.labelled import DataError, LabelledVolume, load_labelled
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.resampling import to_grid
from mtctl_train.data.case_cache import AnyCase, CaseCache, ReportUnusable, SourceGoneError, was_refused
from mtctl_train.data.cases import Scan, TrainingCase, case_of, phantom_case, scan_of
from mtctl_train.data.sampler import Sampler
from mtctl_train.finetuning.plan import Plan
from mtctl_train.finetuning.region import surroundings
from mtctl_train.finetuning.run_folder import PREPARED
from mtctl_train.finetuning.weighting import Weighting, trusted
from mtctl_train.recipe import Recipe, Stage

#: Synthetic cases that are replayed against forgetting; each takes a second or two when it is first drawn.
PHANTOMS = 6
_FIRST_PHANTOM_SEED = 3000

#: The folder of the corrected cases, learnt from or held out.
_CORRECTED = "corrected"


@dataclass(frozen=True)
class Replay:
    """Labelled cases of an earlier training that are shown again.

    Attributes:
        folder: Holds <case>.image.nrrd and <case>.label.nrrd.
        names: Names of the cases.
    """

    folder: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class HeldOut:
    """A corrected case to judge models by: the scan, the mask, and where that is to be believed, (z, y, x)."""

    labelled: LabelledVolume
    trusted: Mask


@dataclass(frozen=True)
class FoldCases:
    """The cases of one fold; a `trainer.Source`."""

    labelled: CaseCache[TrainingCase]
    unlabelled: CaseCache[Scan]
    replay: CaseCache[TrainingCase]
    phantoms: CaseCache[TrainingCase]
    held_out: CaseCache[TrainingCase]
    versions: tuple[int, ...]
    weighting: Weighting

    @property
    def validation(self) -> Sequence[TrainingCase]:
        return self.held_out.usable()

    def names(self) -> dict[str, list[str]]:
        """Return case names by role, and the versions of the corrected ones."""
        named = {role: list(cache.names) for role, cache in vars(self).items() if isinstance(cache, CaseCache)}
        versions = [str(version) for version in self.versions]
        return named | {"versions": versions, "weighting": [repr(self.weighting)]}

    def sampler(self, recipe: Recipe, stage: Stage) -> Sampler:
        """Return the stream of batches of a stage; all cases are on the network's grid already."""
        return Sampler.of(recipe, stage, self.labelled, self.unlabelled, self.phantoms, self.replay)


@dataclass(frozen=True)
class FineTuningCases:
    """The cases of all folds of a run.

    Attributes:
        store: Where the cases are.
        plan: Which of them.
        replay: Cases to show again; None: phantoms alone.
        weighting: Weights of the corrected cases' voxels.
        grid_mm: Size (x, y, z) of the network's voxels, mm.
        folder: Folder of the run.
        report_unusable: Called with each case that cannot be used.
    """

    store: CaseStore
    plan: Plan
    replay: Replay | None
    weighting: Weighting
    grid_mm: Triple
    folder: Path
    report_unusable: ReportUnusable

    def of_fold(self, fold: int) -> FoldCases:
        """Return the cases of a fold, each read when it is first needed."""
        learnt, replay = self.plan.learnt(fold), self.replay
        phantoms = [str(_FIRST_PHANTOM_SEED + number) for number in range(PHANTOMS)]
        return FoldCases(
            labelled=self._cache(TrainingCase, _CORRECTED, learnt, self._corrected),
            unlabelled=self._cache(Scan, "unlabelled", self.plan.unlabelled, self._scan),
            replay=self._cache(TrainingCase, "replay", replay.names if replay else (), self._replayed),
            phantoms=self._cache(TrainingCase, "phantoms", phantoms, self._phantom),
            held_out=self._cache(TrainingCase, _CORRECTED, self.plan.folds[fold], self._corrected),
            versions=tuple(self.plan.labelled[id] for id in learnt),
            weighting=self.weighting,
        )

    def learnt(self, fold: int) -> list[str]:
        """Return the corrected cases that a fold has learnt from: those of the plan that could be used."""
        return [id for id in self.plan.learnt(fold) if not was_refused(self._prepared(_CORRECTED), id)]

    def held_out(self, id: str) -> HeldOut:
        """Return a corrected case as it is in the store.

        Raises:
            CaseError: Its files cannot be used.
        """
        case, version = self._case(id), self.plan.labelled[id]
        return HeldOut(LabelledVolume(id, case.scan(), _mask(case, version)), trusted(case, version))

    def _corrected(self, id: str) -> TrainingCase:
        case, version = self._case(id), self.plan.labelled[id]
        volume, mask = case.scan(), _mask(case, version)
        box = surroundings(case, mask)
        weights = self.weighting.of(case, version)
        plain = case_of(LabelledVolume(id, volume, mask), self.grid_mm, box)
        if weights is None:
            return plain
        grid = canonical_geometry(volume.geometry, self.grid_mm, box)
        return replace(plain, weight=to_grid(Volume(weights, volume.geometry), grid)[0])

    def _case(self, id: str) -> StoredCase:
        if not self.store.folder.is_dir():
            raise SourceGoneError(
                f"{self.store.folder}: the case store cannot be reached; connect its drive or share, and resume"
            )
        return self.store.case(id)

    def _scan(self, id: str) -> Scan:
        case = self._case(id)
        volume, box = case.scan(), surroundings(case)
        return scan_of(id, volume, self.grid_mm, box)

    def _phantom(self, seed: str) -> TrainingCase:
        return phantom_case(int(seed), self.grid_mm)

    def _replayed(self, name: str) -> TrainingCase:
        assert self.replay is not None
        return case_of(load_labelled(self.replay.folder, name), self.grid_mm)

    def _cache(
        self, kind: type[AnyCase], role: str, names: Sequence[str], prepare: Callable[[str], AnyCase]
    ) -> CaseCache[AnyCase]:
        return CaseCache(kind, names, prepare, self._prepared(role), self.report_unusable)

    def _prepared(self, role: str) -> Path:
        return self.folder / PREPARED / role


def _mask(case: StoredCase, version: int) -> Mask:
    """Return a version's mask.

    Raises:
        DataError: It is empty or full; distances to a missing surface would make the loss not a number.
    """
    mask = case.corrected_mask(version)
    if mask.any() and not mask.all():
        return mask
    raise DataError(f"{case.id}: its corrected mask is {'full' if mask.any() else 'empty'}; reject the case instead")
