"""Whether the spacing in a scan's header can be true, judged by the size and shape of the atrium found in it.

The challenge's own files carry no spacing (1, 1, 1), its copies and most papers say 0.625 mm between slices that lie
1.25 mm apart. A header that is wrong by a factor along an axis changes how far the atrium spreads along that axis,
by far more than atria differ. A few ways in which headers are wrong are compared with the header as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from mtctl.geometry import Geometry, Mask, Triple, spacing_text
from mtctl.uncertainty.case_score import UsualShape, spread_mm

#: How far left atria spread along LPS x, y, z (`case_score.spread_mm`): median (20.2, 9.6, 15.2 mm) and covariance of
#: the logarithms over the expert masks of cases 1-66 of the left-atrium benchmark with their true spacing of
#: 0.625 x 0.625 x 1.25 mm (over all 80: 103 x 59 x 73 mm from end to end, 37 to 264 mL). What is added to the
#: variances, 5 % of a length, stands for other readers and for masks of a network that sees a wrong spacing. The limit
#: is a chance of 1 in 80: the masks of cases 1-66 reach 2.6, those of cases 67-80 2.5.
ATRIA = UsualShape(
    mean=(3.0057, 2.2666, 2.7207),
    covariance=(
        (0.01108 + 0.0025, 0.00744, 0.00968),
        (0.00744, 0.02597 + 0.0025, 0.00851),
        (0.00968, 0.00851, 0.01475 + 0.0025),
    ),
    limit=3.3,
)

#: By so much the squared distance must fall for another spacing to be called likely: odds of 100 to 1.
_CLEARLY = 2 * math.log(100)

#: Another spacing may leave a larger distance than `ATRIA.limit`: of scans that it sees squashed, a network makes poor
#: masks. Those of mtctl-la16 on cases 67-80, looked at with a height wrong by a factor of two, reach 3.8.
_POOR = 4.5

#: What nobody has reported counts as rarer than what many files have: odds of 7 to 1.
_RARE = 2 * math.log(7)

#: A file that carries no spacing says nothing: odds of 50 to 1 against half of it being true nevertheless.
_UNLIKELY = 2 * math.log(50)

#: Spacing of files that carry none, and the true one of those that are known to.
_NONE_GIVEN = (1.0, 1.0, 1.0)
_CHALLENGE = (0.625, 0.625, 1.25)

_ADJECTIVES = ("wide", "deep", "high")  # along LPS x, y, z


@dataclass(frozen=True)
class LikelySpacing:
    """A header's spacing that cannot be true, and one that can.

    Attributes:
        spacing: The likely one, mm along the file's axes.
        sentence: Text for the person, with the command-line option that corrects the spacing.
    """

    spacing: Triple
    sentence: str


def likely_spacing(mask: Mask, geometry: Geometry, atria: UsualShape = ATRIA) -> LikelySpacing | None:
    """Return another spacing that explains why the mask is not shaped like an atrium; None where none is needed.

    Distances are Mahalanobis distances of the logarithms of the spread along LPS x, y, z, worked out for every
    spacing with the scan's own directions, so that it does not matter along which way it was sliced.

    Args:
        mask: Mask of the atrium (z, y, x); one that the scan's border cuts off tells nothing and must not be passed.
        geometry: Its grid, as the header has it.
        atria: What atria are like.
    """
    if not mask.any():
        return None
    index = np.stack(np.nonzero(mask)[::-1], axis=1).astype(np.float64)
    covariance = np.cov(index.T, bias=True) + np.eye(3) / 12

    def spread(spacing: Triple) -> Triple:
        """Return what `case_score.spread_mm` of the mask would be with that spacing."""
        matrix = geometry.matrix * spacing
        x, y, z = np.sqrt(np.diag(matrix @ covariance @ matrix.T)).tolist()
        return x, y, z

    here = spread(geometry.spacing)
    as_is = atria.distance(here)
    if as_is <= atria.limit:
        return None
    # A scan that is stored turned is explained without another spacing.
    turned = min(atria.distance((here[a], here[b], here[c])) for a, b, c in permutations(range(3))) ** 2
    found: list[tuple[float, Triple]] = []
    for spacing, cost in _hypotheses(geometry.spacing):
        distance = atria.distance(spread(spacing))
        if distance <= _POOR:
            found.append((distance**2 + cost, spacing))
    badness, spacing = min(found, default=(math.inf, geometry.spacing))
    if badness + _CLEARLY > as_is**2 or badness > turned + _CLEARLY:
        return None
    factors = [new / old for new, old in zip(spacing, geometry.spacing, strict=True)]
    axes = tuple(axis for axis, factor in enumerate(factors) if factor != 1)
    sentence = _sentence(geometry, spacing, axes, factors[axes[0]])
    if turned < badness + _RARE:
        sentence += " (or is the scan stored turned?)"
    return LikelySpacing(spacing, sentence)


def suspected_spacing(mask: Mask, geometry: Geometry, atria: UsualShape = ATRIA) -> Triple | None:
    """Return the spacing to segment once more with, where the mask is no atrium and its shape does not tell why.

    A network that sees an atrium at half its height may find a part of it only. What many copies of the benchmark have
    is then worth a try: slices twice as far apart, or for a header that says nothing the challenge's spacing.

    Returns:
        mm along the file's axes; None where the mask is shaped like an atrium, or `likely_spacing` has an answer.
    """
    if not mask.any() or atria.distance(spread_mm(mask, geometry)) <= atria.limit:
        return None
    if likely_spacing(mask, geometry, atria):
        return None
    x, y, z = geometry.spacing
    return _CHALLENGE if _says_nothing(geometry.spacing) else (x, y, 2 * z)


def borne_out(mask: Mask, tried: Geometry, header: Geometry, atria: UsualShape = ATRIA) -> str | None:
    """Return a sentence about the header's spacing if the mask found with another one is shaped like an atrium.

    Args:
        mask: What was found (z, y, x).
        tried: The grid with the spacing that was tried.
        header: The grid as the header has it.
        atria: What atria are like.
    """
    if not mask.any() or atria.distance(spread_mm(mask, tried)) > atria.limit:
        return None
    axes = tuple(axis for axis in range(3) if tried.spacing[axis] != header.spacing[axis])
    return _sentence(header, tried.spacing, axes, tried.spacing[axes[0]] / header.spacing[axes[0]])


def _hypotheses(spacing: Triple) -> Iterator[tuple[Triple, float]]:
    """Yield spacings that may be the true ones, with what is added to the squared distance for their being rare."""

    def scaled(axes: tuple[int, ...], factor: float) -> Triple:
        x, y, z = (value * (factor if axis in axes else 1) for axis, value in enumerate(spacing))
        return x, y, z

    if _says_nothing(spacing):
        yield _CHALLENGE, 0.0
        unit = _UNLIKELY
    else:
        unit = 0.0
    for factor in (2.0, 0.5):
        yield scaled((2,), factor), unit
        for axes in ((0,), (1,), (0, 1)):
            yield scaled(axes, factor), unit + _RARE
    for factor in (10.0, 0.1):  # centimetres or tenths of millimetres
        yield scaled((0, 1, 2), factor), unit + _RARE


def _says_nothing(spacing: Triple) -> bool:
    """Return whether a spacing is what readers assume for files that carry none."""
    return bool(np.allclose(spacing, _NONE_GIVEN, rtol=0, atol=1e-6))


def _sentence(geometry: Geometry, spacing: Triple, axes: tuple[int, ...], factor: float) -> str:
    flag = f"--spacing {spacing_text(spacing)}"
    there, here = spacing_text(spacing).split(","), spacing_text(geometry.spacing).split(",")
    if spacing == _CHALLENGE and _says_nothing(geometry.spacing):
        return (
            f"by the atrium's shape the file's spacing of {' x '.join(here)} mm cannot be true: does it carry none, "
            f"as those of the 2018 challenge, whose spacing is {' x '.join(there)} mm? {flag}"
        )
    if len(axes) == 3:
        size = "a tenth as large" if factor > 1 else "ten times as large"
        return (
            f"the atrium is {size} as atria are: is the spacing {' x '.join(there)} mm instead of "
            f"{' x '.join(here)}, in another unit? {flag}"
        )
    nearest = np.abs(geometry.matrix).argmax(axis=0)
    measures = " and ".join(_ADJECTIVES[lps] for lps in sorted({int(nearest[axis]) for axis in axes}))
    size = "half" if factor > 1 else "twice"
    what = "the slice spacing" if axes == (2,) else "the spacing in the slices"
    if len(axes) == 1 and axes != (2,):
        what = f"the spacing along the file's {'xyz'[axes[0]]}"
    return (
        f"the atrium is {size} as {measures} as atria are: is {what} {there[axes[0]]} mm instead of "
        f"{here[axes[0]]}? {flag}"
    )
