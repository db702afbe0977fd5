"""What a source looks like when nothing happens, and how much a pixel must differ from it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate.picture import Plane
from stream.gate.settings import Tuning

Field = NDArray[np.float32]
"""(rows, columns) float32."""

_FIELD_OFFSET = 6.0  # keeps ratios of dark pixels finite
_BRIGHT = 245  # a pixel as bright as this may be brighter than the camera can say
_SLOPE_GRID = 8  # stride of the sample that a light change is fitted on


class Background:
    """Running mean of the pixels that show no object, with a threshold for each pixel.

    `seen` is the mean as uint8, `limit` the threshold; both are read by the detector in every frame.
    """

    def __init__(self, picture: Plane, tuning: Tuning, threshold: int) -> None:
        self.mean: Field = picture.astype(np.float32)
        self.seen: Plane = picture.copy()
        self.limit: Plane = np.full(picture.shape, threshold, np.uint8)
        self.deviation: Field = np.ones(picture.shape, np.float32)
        self.sigma = 1.0
        self._threshold = float(threshold)
        self._tuning = tuning
        self._glares = False  # whether a mean is brighter than white: light was too much for the camera there
        self._fresh = False  # whether the deviation is learnt in this frame: every other one is enough

    def learn(self, picture: Plane, weight: float, keep: Plane | None) -> None:
        """Mix the picture in, not where `keep` is set, nor where it is overexposed and says nothing of the ground."""
        if self._glares:
            glare = cv2.compare(self.mean, 255.0, cv2.CMP_GT)
            self._glares = bool(cv2.countNonZero(glare))
            glare = cv2.bitwise_and(glare, cv2.compare(picture, _BRIGHT, cv2.CMP_GE))
            keep = glare if keep is None else cv2.bitwise_or(keep, glare)  # type: ignore[assignment]
        if keep is None:
            cv2.accumulateWeighted(picture, self.mean, weight)
        else:
            cv2.accumulateWeighted(picture, self.mean, weight, cv2.bitwise_not(keep))
        cv2.convertScaleAbs(self.mean, dst=self.seen)

    def deviate(self, difference: Plane, weak: Plane | None, weight: float) -> None:
        """Learn how much pixels differ that show nothing."""
        self._fresh = not self._fresh
        if self._fresh:
            if weak is None:
                cv2.accumulateWeighted(difference, self.deviation, weight)
            else:
                cv2.accumulateWeighted(difference, self.deviation, weight, cv2.bitwise_not(weak))

    def measure_noise(self, difference: Plane) -> None:
        """Global noise from the lowest 70 % of a sample of differences; .47 is their mean at sigma 1 (half normal)."""
        sample = np.sort(difference[1::6, 1::6], axis=None)
        if len(sample):
            found = float(sample[: max(1, int(0.7 * len(sample)))].mean()) / 0.47
            self.sigma += 0.2 * (min(8.0, max(0.2, found)) - self.sigma)

    def rebuild(self, activity: Field | None) -> None:
        """New thresholds from noise, deviation and the activity that foliage showed."""
        floor = min(255.0, max(self._threshold, self._tuning.noise_sigmas * self.sigma))
        self.limit = cv2.max(cv2.convertScaleAbs(self.deviation, alpha=self._tuning.deviation), round(floor))  # type: ignore[assignment]
        if activity is not None:
            cv2.max(self.limit, cv2.convertScaleAbs(activity), dst=self.limit)

    def replace(self, picture: Plane, where: Plane | None = None) -> None:
        """Take the picture as it is, everywhere or where `where` is set."""
        if where is None:
            self.mean = picture.astype(np.float32)
            self.seen = picture.copy()
        else:
            np.copyto(self.mean, picture, where=where > 0)
            np.copyto(self.seen, picture, where=where > 0)

    def absorb(self, picture: Plane, box: tuple[slice, slice], share: float = 1.0) -> None:
        """Take a part of the picture, or move towards it by `share`."""
        part = self.mean[box]
        part += (picture[box] - part) * np.float32(share)
        self.seen[box] = np.clip(part + 0.5, 0, 255).astype(np.uint8)

    def relight(self, picture: Plane, changed: float) -> bool:
        """Follow a change of light over the whole picture: a gain and an offset, fitted on what did not move.

        `changed` is the share of pixels over their threshold. False: no such change explains the picture.
        """
        sample = picture[4::_SLOPE_GRID, 4::_SLOPE_GRID].ravel().astype(np.float32)
        known = self.mean[4::_SLOPE_GRID, 4::_SLOPE_GRID].ravel()
        fit = trimmed_line(known, sample)
        if fit is None:
            return False
        gain, offset = fit
        limit = self.limit[4::_SLOPE_GRID, 4::_SLOPE_GRID].ravel()
        explained = float((np.abs(sample - np.clip(gain * known + offset, 0, 255)) < limit).mean())
        if explained <= max(0.6, 1 - 0.5 * changed):  # two vans are as large, but no light explains them
            return False
        self.mean = cv2.min(cv2.max(cv2.addWeighted(self.mean, gain, self.mean, 0, offset), 0.0), 255.0)  # type: ignore[assignment]
        cv2.convertScaleAbs(self.mean, dst=self.seen)
        self.deviation = cv2.max(self.deviation, min(6.0, 2.3 + abs(offset) * 0.02))  # type: ignore[assignment]
        return True

    def reshade(self, picture: Plane) -> tuple[Field, Plane]:
        """Follow light that differs over the picture (clouds, headlights): a coarse field of ratios, median filtered.

        Returns the mean and seen before, to put back with `restore` if it did not help.
        """
        before = (self.mean, self.seen)
        rows, columns = picture.shape
        grid = (max(1, round(columns / 9)), max(1, round(rows / 9)))
        known = np.where(picture >= _BRIGHT, self.seen, self.mean) if self._glares else self.seen
        now, was = (
            cv2.resize(plane, grid, interpolation=cv2.INTER_AREA).astype(np.float32) + _FIELD_OFFSET
            for plane in (picture, known)
        )
        ratio = cv2.blur(cv2.medianBlur(now / was, 5), (3, 3))
        ratio = cv2.resize(ratio, (columns, rows))
        shaded = cv2.multiply(self.mean + np.float32(_FIELD_OFFSET), ratio) - np.float32(_FIELD_OFFSET)
        self.mean = cv2.max(shaded, 0.0)  # type: ignore[assignment]
        self._glares = self._glares or float(self.mean.max()) > 255
        self.seen = cv2.convertScaleAbs(self.mean)  # type: ignore[assignment]
        return before

    def restore(self, before: tuple[Field, Plane]) -> None:
        """Undo `reshade`."""
        self.mean, self.seen = before


def trimmed_line(known: Field, sample: Field) -> tuple[float, float] | None:
    """Gain and offset with sample = gain * known + offset for most of the points; None with too few usable ones.

    Starts from matched quantiles or the median shift, then trimmed least squares: moving objects are outliers.
    """
    usable = (sample > 4) & (sample < 250)
    if usable.sum() < 80:
        return None
    p, q = sample[usable], known[usable]
    gain, offset = 1.0, float(np.median(p - q))
    q_low, q_high = np.percentile(q, (15, 85))
    p_low, p_high = np.percentile(p, (15, 85))
    if q_high - q_low > 8:
        steep = float((p_high - p_low) / (q_high - q_low))
        shift = float(np.median(p - steep * q))
        if np.median(np.abs(p - steep * q - shift)) < np.median(np.abs(p - q - offset)):
            gain, offset = steep, shift
    for _ in range(3):
        error = np.abs(p - gain * q - offset)
        near = error <= max(3.0, 2.0 * float(np.median(error)))
        if near.sum() < 60:
            break
        q_mean, p_mean = float(q[near].mean()), float(p[near].mean())
        variance = float(((q[near] - q_mean) ** 2).mean())
        gain = float(((q[near] - q_mean) * (p[near] - p_mean)).mean()) / variance if variance >= 4 else 1.0
        offset = p_mean - gain * q_mean
    return gain, offset
