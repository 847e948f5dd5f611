"""The guidance network that came with the program: its card, its weights, and what works with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from mtctl.geometry import Triple
from mtctl.guidance.questions import ChanceModel, QuestionFinder
from mtctl.guidance.refinement import Refiner
from mtctl.models.card import ModelError
from mtctl.models.shipped import MODEL_FOLDERS
from mtctl.models.weight_files import load_weights, save_weights
from mtctl.networks.architecture import Filters
from mtctl.networks.device import to_device
from mtctl.networks.guidance_net import GuidanceNet
from mtctl.preprocessing.network_grid import GRID_MM
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import Longest, Within, read_as
from mtctl.system.files import write_json

#: What the folder of a guidance network holds. Not `card.json`: it is no model that segments.
CARD = "guidance.json"
WEIGHTS = "guidance.safetensors"

#: Where the shipped one lies, in the folder of the shipped models.
SHIPPED = "mtctl-guidance"

_Millimetres = Annotated[float, Within(0.1, 20.0)]


@dataclass(frozen=True)
class GuidanceCard:
    """What is known of a guidance network beside its weights.

    Attributes:
        version: Version of the weights.
        sha256: SHA-256 of the weights file.
        filters: Number of filters at its first level.
        grid_mm: Size (x, y, z) of the voxels that it sees, mm.
        chances: How likely a reader says "change".
        data: The cases that it, or one before it, learnt from (`labelled`), those that its chances were fitted on
            (`chances_from`), and the models whose drafts they were.
        recipe: Training settings.
        command: Command that made it.
        validation: Figures, and the command that prints them.
    """

    version: Annotated[str, Longest(200)]
    sha256: Annotated[str, Longest(128)]
    filters: Filters = 16
    grid_mm: tuple[_Millimetres, _Millimetres, _Millimetres] = GRID_MM
    chances: ChanceModel = ChanceModel()
    data: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    validation: dict[str, Any] = field(default_factory=dict)

    @property
    def known_cases(self) -> set[str]:
        """Names of the cases that it learnt from or that its chances were fitted on: its figures there are too good."""
        named = (self.data.get(key) for key in ("labelled", "chances_from"))
        return {str(name) for names in named if isinstance(names, list) for name in names}


@dataclass(frozen=True)
class Guidance:
    """A guidance network's card and the folder that it was read from."""

    folder: Path
    card: GuidanceCard

    @property
    def grid_mm(self) -> Triple:
        """Size (x, y, z) of the voxels that it sees, mm."""
        return self.card.grid_mm

    def network(self) -> GuidanceNet:
        """Load the weights.

        Raises:
            ModelError: They are missing, damaged, or not those of the card.
        """
        network = GuidanceNet(self.card.filters)
        return load_weights(network, self.folder / WEIGHTS, self.card.sha256, "the guidance network")

    def finder(self, device: torch.device) -> QuestionFinder:
        """Load the weights, and return what finds questions with them.

        Raises:
            ModelError: As `network`.
        """
        return QuestionFinder(Refiner(to_device(self.network(), device), device), self.card.chances)


def find_guidance(folder: Path | None = None) -> Guidance:
    """Return the guidance network in a folder; None: the one that came with the program.

    Raises:
        ModelError: There is none, or its card cannot be read.
    """
    if folder is None:
        folders = [parent / SHIPPED for parent in MODEL_FOLDERS]
        folder = next((one for one in folders if (one / CARD).is_file()), folders[-1])
    try:
        return Guidance(folder, read_as(GuidanceCard, read_object(folder / CARD), str(folder / CARD)))
    except FileNotFoundError:
        raise ModelError(f"{folder}: holds no guidance network ({CARD}); install the program again") from None
    except DocumentError as error:
        raise ModelError(f"{folder / CARD}: not a readable card of a guidance network: {error}") from error


def save_guidance(folder: Path, card: GuidanceCard, state: dict[str, Tensor]) -> Guidance:
    """Write weights (float16) and card into `folder`; the card gets the hash of the weights and is written last.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card = replace(card, sha256=save_weights(folder / WEIGHTS, state))
    write_json(folder / CARD, asdict(card))
    return Guidance(folder, card)
