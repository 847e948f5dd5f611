"""What a reader should know about a result as a whole: warnings, any of which flags the case, and remarks."""

from __future__ import annotations

import numpy as np

from mtctl.geometry import Geometry, Mask
from mtctl.masks import touched_sides
from mtctl.preprocessing.normalisation import IntensityRemark
from mtctl.uncertainty.case_score import UsualShape, spread_mm
from mtctl.uncertainty.plausible_spacing import likely_spacing

#: Left atria that are not in doubt by their volume alone. The masks of the 80 training scans span 37 to 264 mL; their
#: logarithms have a mean of 101 mL and a standard deviation of 0.354: these are four of them either way.
_PLAUSIBLE_ML = (25.0, 400.0)

#: Where the mask meets the scan's border in at least this fraction of its largest section, the atrium is cut off.
#: Of the expert masks of cases 1-30 four reach the top slice, with at most 0.22: these are veins that go on.
_CUT_SHARE = 0.25


#: From this share of a scan's voxels on, what is left out of its grey levels is told.
_WORTH_SAYING = 0.002


def plausibility_remarks(mask: Mask, source: Geometry) -> list[str]:
    """Return what is common and yet worth a look; arguments as for `plausibility_warnings`."""
    grazed = [side for side, share in touched_sides(mask, source).items() if share < _CUT_SHARE]
    return [f"the segmentation just reaches the {', '.join(grazed)} border of the scan"] if grazed else []


def intensity_remarks(remark: IntensityRemark) -> list[str]:
    """Return what a person should know about grey levels that normalisation left out."""
    remarks = []
    if remark.padding >= _WORTH_SAYING:
        remarks.append(f"{_percent(remark.padding)} of the scan is padding (one value over whole patches): left out")
    if remark.cut_off >= _WORTH_SAYING:
        remarks.append(
            f"{_percent(remark.cut_off)} of the voxels lie far outside the scan's other grey levels: cut off; look for "
            "damaged slices or metal"
        )
    return remarks


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.02 else f"{100 * share:.1f} %"


def plausibility_warnings(
    mask: Mask, source: Geometry, usual: UsualShape | None, window: tuple[slice, ...] | None = None
) -> list[str]:
    """Return why a segmentation may be wrong as a whole.

    Where another spacing than the header's explains its size and shape, only that is said of them.

    Args:
        mask: (z, y, x) on the scan's grid.
        source: The scan's grid.
        usual: What good results are shaped like, where that is known.
        window: The part (z, y, x) of the mask that was looked at; None: all of it. The shape of an atrium that the
            border of this part cuts off tells nothing about the spacing.
    """
    if not mask.any():
        return ["no atrium was found: check the scan, or draw the region (--roi)"]
    warnings = []
    cut = cut_sides(mask, source)
    if cut:
        sides = ", ".join(cut)
        warnings.append(f"the {sides} border of the scan cuts the segmentation off: a part of the atrium is missing")
    elif (window is None or not cut_sides(mask[window], source)) and (likely := likely_spacing(mask, source)):
        return [likely.sentence]
    volume = float(mask.sum()) * source.voxel_ml
    if not _PLAUSIBLE_ML[0] <= volume <= _PLAUSIBLE_ML[1]:
        warnings.append(f"{volume:.0f} mL is unusual for a left atrium: check the scan, or draw the region (--roi)")
    spread = spread_mm(mask, source)
    if usual and usual.distance(spread) > usual.limit:
        lengths, expected = (" x ".join(f"{value:.0f}" for value in s) for s in (spread, np.exp(usual.mean)))
        warnings.append(
            f"the segmentation spreads {lengths} mm along x, y, z (usual: {expected}), unlike a left atrium: check "
            "what the scan shows and whether it is stored turned"
        )
    return warnings


def cut_sides(mask: Mask, source: Geometry) -> list[str]:
    """Return the sides at which the end of the array cuts through the atrium, not only through a vein."""
    return [side for side, share in touched_sides(mask, source).items() if share >= _CUT_SHARE]
