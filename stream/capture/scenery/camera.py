"""A synthetic camera: it films the drawn driveway, and knows what it sees."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from stream.capture.scenery.background import draw_background
from stream.capture.scenery.canvas import Image
from stream.capture.scenery.captions import caption
from stream.capture.scenery.objects import Box, Scene
from stream.capture.scenery.palette import PLACES, SIZE_PX
from stream.capture.scenery.render import render
from stream.capture.scenery.script import HORIZON, brightness, cast, is_night

_NOISE = 4.0


class CameraFrame(NamedTuple):
    """One picture of the camera and the truth about it."""

    rgb: Image
    """(H, W, 3) uint8."""
    truth: list[tuple[str, str, Box]]
    """(label, color, box xyxy in picture pixels) of every object with at least 35 % of its box in the picture."""
    caption: str
    """What the bundled models are trained to say."""
    plates: tuple[str, ...]
    """Texts of the number plates that can be read."""
    pts_s: float
    """Seconds since the camera was switched on."""


class DrivewayCamera:
    """Films a scripted day and night of 240 s, over and over with other colours; the same seed gives the same pixels.

    A red car drives by in the first ten seconds; later a person, a dog, a courier with a package, a bicycle, a car that
    parks with a readable plate, a cat; then night falls. In between nothing moves but the sensor noise. The picture is
    square, and between 192 and 1920 pixels wide. Things enter and leave through the picture's edges.
    """

    def __init__(self, seed: int, size_px: int = 576, fps: float = 5.0, place: str = "driveway") -> None:
        if place not in PLACES:
            raise ValueError(f"place {place!r} is not drawn; take one of {', '.join(PLACES)}")
        if not SIZE_PX <= size_px <= 10 * SIZE_PX or fps <= 0:
            raise ValueError(f"size {size_px} px at {fps} frames/s: take 192 to 1920 px and a positive rate")
        self.seed, self.size_px, self.fps, self.place = seed, size_px, fps, place
        self._scale = size_px / SIZE_PX
        self._background = lru_cache(maxsize=2)(self._draw_background)

    def _draw_background(self, night: bool) -> Image:
        return draw_background(self.seed, self.place, night, HORIZON, self._scale)

    def __iter__(self) -> Iterator[CameraFrame]:
        """Frames from the start, without end and without waiting."""
        index = 0
        while True:
            yield self.at(index / self.fps)
            index += 1

    def at(self, seconds: float) -> CameraFrame:
        """The frame at that time since the camera was switched on; any order of times is fine."""
        scene = self.scene_at(seconds)
        picture = render(scene, self._scale, self._background(scene.night))
        truth = [(label, color, tuple(v * self._scale for v in box)) for label, color, box in scene.truth()]
        plates = tuple(plate.text for plate in scene.reading_order())
        return CameraFrame(picture, truth, caption(scene), plates, seconds)  # type: ignore[arg-type]

    def scene_at(self, seconds: float) -> Scene:
        """The scene behind the frame at that time."""
        if seconds < 0:
            raise ValueError(f"second {seconds} is before the camera was switched on")
        things, plates = cast(self.seed, seconds)
        frame = round(seconds * self.fps)
        noise_seed = int(np.random.SeedSequence((self.seed, frame)).generate_state(1)[0])
        return Scene(
            self.place,
            is_night(seconds),
            HORIZON,
            self.seed,
            noise_seed,
            brightness(seconds),
            _NOISE,
            tuple(things),
            tuple(plates),
        )
