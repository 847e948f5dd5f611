"""Candidate models with a verdict, to be published in a site's folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from mtctl.models.card import Card
from mtctl.models.model import find_model, save_model
from mtctl.models.verdict import Compared, ModelName, Verdict, write_verdict
from mtctl.networks.mtctl_net import MTCTLNet

BASE = ModelName("base", "1", "0" * 64)


def name_of(card: Card) -> ModelName:
    return ModelName(card.id, card.version, card.sha256)


def better(base: ModelName, **changes: object) -> Verdict:
    cases = (Compared("a", 0.90, 0.92, {"hd95_mm": (4.0, 3.0)}), Compared("b", 0.88, 0.87))
    return dataclasses.replace(Verdict(base, cases, calibration=(0.05, 0.04), data={"a": "f" * 64}), **changes)  # type: ignore[arg-type]


def candidate(folder: Path, seed: int = 1, **changes: object) -> Path:
    """A model that differs from the one in use, with its verdict against that."""
    used = find_model(None).card
    torch.manual_seed(seed)
    card = dataclasses.replace(used, id="candidate", version=f"2026.{seed}")
    save_model(folder, card, MTCTLNet(used.architecture).state_dict())
    write_verdict(folder, better(name_of(used), **changes))
    return folder
