"""Whether a blob is only light: a cloud's shadow, headlights, an insect out of focus before the lens.

The border of an object is sharp, and an object hides the texture behind it. Light is soft, and the texture goes on in
it: what it adds (a lamp) or the factor it multiplies by (a shadow) has no edges of its own. Both are tried. What is small
and reaches the picture's side may have its border outside: it is light only if the ground's own edges are still seen in it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from stream.gate.background import Background
from stream.gate.picture import Plane
from stream.gate.settings import Tuning

_LARGE = 80  # pixels from which a factor can be told from noise
_SMALL_AT_BORDER = 60
_DARK = 6.0  # keeps ratios of dark pixels finite
_GOES_ON = 0.6  # correlation of gradients from which the ground is still seen


def is_light(
    rect: tuple[int, int, int, int], picture: Plane, difference: Plane, weak: Plane, back: Background, tuning: Tuning
) -> bool:
    """Whether hardly a pixel of the blob lies on an edge that the background does not have.

    In the lab the 95th percentile of the gradient, as a share of the mean difference, is below .38 for insects, clouds
    and headlights, above .46 for people of any contrast; 1 % of the blobs of real streets are below .40.
    """
    x1, y1, x2, y2 = rect
    rows, columns = weak.shape
    around = (slice(max(0, y1 - 1), min(rows, y2 + 1)), slice(max(0, x1 - 1), min(columns, x2 + 1)))
    inside = weak[around]
    pixels = cv2.countNonZero(inside)
    now, known = picture[around], back.seen[around]
    at_side = x1 <= 0 or y1 <= 0 or x2 >= columns or y2 >= rows
    if at_side and pixels < _SMALL_AT_BORDER and not _ground_seen(now, known, inside):
        return False  # the sharp side of what comes in may still be outside
    allowed = tuning.soft_share * pixels
    (across, down), (known_across, known_down) = cv2.spatialGradient(now), cv2.spatialGradient(known)
    slope = cv2.max(cv2.absdiff(across, known_across), cv2.absdiff(down, known_down))  # of what was added
    if _sharp(slope, cv2.mean(difference[around], inside)[0], inside, tuning.soft_edge) < allowed:
        return True
    if pixels < _LARGE:
        return False
    factor = cv2.divide(cv2.add(now, _DARK, dtype=cv2.CV_32F), cv2.add(known, _DARK, dtype=cv2.CV_32F))
    change = cv2.mean(cv2.absdiff(factor, np.ones_like(factor)), inside)[0]
    slope = cv2.max(np.abs(cv2.Sobel(factor, cv2.CV_32F, 1, 0)), np.abs(cv2.Sobel(factor, cv2.CV_32F, 0, 1)))
    return _sharp(slope, change, inside, tuning.soft_edge) < allowed


def _ground_seen(now: Plane, known: Plane, inside: Plane) -> bool:
    """Whether the edges of the background go on under a blob: what stands there hides the ground, light does not."""
    part = (inside > 0).astype(np.float32)
    gx, gy, hx, hy = (slope * part for plane in (now, known) for slope in cv2.spatialGradient(plane.copy()))
    own, ground = cv2.sumElems(gx * gx + gy * gy)[0], cv2.sumElems(hx * hx + hy * hy)[0]
    return cv2.sumElems(gx * hx + gy * hy)[0] > _GOES_ON * math.sqrt(own * ground)


def _sharp(slope: np.ndarray, mean: float, inside: Plane, share: float) -> int:  # type: ignore[type-arg]
    """Pixels inside where changes, of which `mean` is the mean amount, have a gradient above their share."""
    sharp = cv2.compare(slope, 8 * share * mean, cv2.CMP_GT)
    return cv2.countNonZero(cv2.bitwise_and(sharp, inside))
