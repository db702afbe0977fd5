"""The pictures that the bundled models are trained and measured on: drawn scenes as the product would see them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from stream.capture.scenery import SIZE_PX, STANDARD_MIX, Scene, make_scene, render

CAMERA_SHARE = 0.25
"""Share of pictures that go the way of a camera frame: drawn larger, JPEG, reduced with a bicubic filter."""


def through_camera(rng: np.random.Generator, scene: Scene) -> npt.NDArray[np.uint8]:
    """The scene drawn at 2 to 3 times the size, compressed as JPEG (quality 70..95) and reduced to 192x192."""
    large = Image.fromarray(render(scene, float(rng.choice((2.0, 2.5, 3.0)))))
    packed = io.BytesIO()
    large.save(packed, "JPEG", quality=int(rng.integers(70, 96)))
    small = Image.open(packed).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    return np.asarray(small)


def frame(rng: np.random.Generator, mix: Mapping[str, float]) -> tuple[Scene, npt.NDArray[np.uint8]]:
    """A scene of a mode drawn from `mix` (mode to share), and its picture (192, 192, 3) uint8 RGB."""
    shares = np.array(list(mix.values()))
    scene = make_scene(rng, str(rng.choice(list(mix), p=shares / shares.sum())))
    if rng.random() < CAMERA_SHARE:
        return scene, through_camera(rng, scene)
    return scene, render(scene)


def held_out(seed: int, count: int) -> Iterator[tuple[Scene, npt.NDArray[np.uint8]]]:
    """`count` pictures of the standard mixture. Training uses seeds below 1000 only."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield frame(rng, STANDARD_MIX)
