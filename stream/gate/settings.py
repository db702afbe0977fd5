"""What a user may set about the gate of one source."""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import Misconfigured

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) relative to the picture, 0 to 1 from the top left; at least three."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Settings of one source's gate. Sizes are shares of the picture's area, places are relative to the picture."""

    zones: tuple[Polygon, ...] = ()  # only objects that stand in one of these count; none: everywhere
    masks: tuple[Polygon, ...] = ()  # nothing in these is looked at
    min_size: float = 0.0  # smaller objects do not count; 0: whatever can be told from noise (about 0.02 %)
    max_size: float = 1.0  # larger ones do not either
    interval_s: float = 0.0  # heartbeat: look at least this often; 0: never without a cause
    hold_s: float = 60.0  # an object that stands still is known for this long, then it belongs to the scene
    threshold: int = 8  # least difference in luma levels that counts, 1 to 255; noise raises it by itself
    every_frame: bool = False  # admit all, with reason `forced`: no gate

    def __post_init__(self) -> None:
        for name, polygons in (("zones", self.zones), ("masks", self.masks)):
            for index, polygon in enumerate(polygons):
                if len(polygon) < 3:
                    raise Misconfigured(f"gate {name}[{index}] has {len(polygon)} corners; a polygon needs at least 3")
                if any(not (0 <= x <= 1 and 0 <= y <= 1) for x, y in polygon):
                    raise Misconfigured(
                        f"gate {name}[{index}] leaves the picture; corners are (x, y) shares of its width and height, 0 to 1"
                    )
        if not 0 <= self.min_size <= self.max_size <= 1:
            raise Misconfigured(
                f"gate sizes are shares of the picture with min_size <= max_size, got {self.min_size} and {self.max_size}"
            )
        if self.interval_s < 0 or self.hold_s <= 0:
            raise Misconfigured("gate interval_s must be 0 (off) or more, hold_s more than 0 seconds")
        if not 1 <= self.threshold <= 255:
            raise Misconfigured(f"gate threshold is in luma levels, 1 to 255, got {self.threshold}")


@dataclass(frozen=True, slots=True)
class Tuning:
    """Constants of the detector, found in the gate lab (docs/gate.md). Lengths are px of the reduced picture."""

    pixels: int = 57_600  # the picture is reduced to so many: 720p and 1080p become 320 x 180
    noise_sigmas: float = 6.0  # threshold over the global noise
    deviation: float = 4.0  # threshold over a pixel's own mean deviation
    learn_s: float = 5.0  # time constant of the background
    slow_s: float = 0.8  # thresholds, activity and held objects are revised this often
    min_area: int = 9  # bounding box of the smallest object
    min_peak: int = 4  # an object's strongest pixel exceeds its threshold by this
    confirm_frames: int = 2  # an object is seen this often before it counts ...
    solid_area: int = 90  # ... unless it is at least this large and filled
    soft_edge: float = 0.38  # a gradient above this share of the mean difference is an edge ...
    soft_share: float = 0.05  # ... and light has fewer of them than this share of its pixels
    still_s: float = 1.2  # a blob that never moved is part of the scene after this
    toggle_s: float = 0.6  # a pixel that changes for no longer than this at a time may be foliage
    toggle_rate: float = 0.06  # share of time that a foliage pixel changes
    clutter: float = 0.4  # small blobs a frame in one cell of the grid from which it rains or snows there
    fill: float = 0.7  # boxes that are filled less than this are split where that saves area
    most_blobs: int = 60  # larger blobs first


DEFAULT = Tuning()
