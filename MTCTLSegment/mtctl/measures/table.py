"""A case as a row of the table of a cohort."""

from __future__ import annotations

import re

from mtctl.measures.document import CaseMeasures, IntervalEstimate


def columns_of(measures: CaseMeasures) -> dict[str, object]:
    """Return the numbers of a case by the names of their columns; each with its 90 % interval, _low and _high."""
    x, y, z = measures.extent_mm
    body, wall = measures.body, measures.wall
    row: dict[str, object] = {"case": measures.case, **_three("volume_ml", measures.volume_ml)}
    row |= _three("volume_ml_per_m2", measures.volume_ml_per_m2)
    row |= {
        "height_cm": body.height_cm if body else None,
        "weight_kg": body.weight_kg if body else None,
        "body_surface_m2": measures.body_surface_m2,
    }
    row |= _three("area_cm2", measures.area_cm2)
    row |= _three("right_left_mm", x) | _three("front_back_mm", y) | _three("foot_head_mm", z)
    row |= _three("sphericity", measures.sphericity)
    if wall:
        row |= {
            "wall_cm2": wall.body_cm2,
            "veins": wall.veins,
            "mitral_valve": wall.mitral_valve,
            "blood_mean": wall.blood_mean,
            "blood_sd": wall.blood_sd,
        }
        for share in wall.shares:
            row |= _three(f"percent_{_plain(share.threshold)}", share.percent)
    return row | {"settled_percent": measures.settled_percent, "warnings": "; ".join(measures.warnings)}


def _three(name: str, measured: IntervalEstimate | None) -> dict[str, object]:
    low, high, value = (measured.low, measured.high, measured.value) if measured else (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _plain(threshold: str) -> str:
    """Return a threshold's name for a column: "IIR > 0.97" gives "iir_0.97"."""
    return re.sub(r"[^a-z0-9.]+", "_", threshold.lower()).strip("_")
