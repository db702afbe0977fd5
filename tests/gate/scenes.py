"""Small seeded scenes for the gate's tests: a textured wall, noise, boxes that move over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate import MotionGate
from stream.types import Admission, Frame

Luma = NDArray[np.uint8]
START = datetime(2026, 5, 3, 12, tzinfo=UTC)
HEIGHT, WIDTH = 180, 320
FPS = 10.0


def wall(seed: int = 1, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.float32]:
    """A still background with texture and a few edges, levels about 60 to 180."""
    random = np.random.default_rng(seed)
    image = cv2.GaussianBlur(random.normal(0, 1, shape).astype(np.float32), (0, 0), 4)
    image = 115 + image / max(1e-6, float(image.std())) * 14
    for _ in range(6):
        y, x = int(random.integers(0, shape[0])), int(random.integers(0, shape[1]))
        image[y : y + shape[0] // 6, x : x + shape[1] // 6] += random.uniform(-25, 25)
    return image.astype(np.float32)


def noisy(image: NDArray[np.float32], random: np.random.Generator, sigma: float = 1.5) -> Luma:
    return np.clip(image + random.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def person(
    image: NDArray[np.float32], x: float, y: float = 80, width: int = 14, height: int = 40, shade: float = 30
) -> None:
    """A dark figure with a light head, its top left corner at (x, y), cut off at the picture's edges."""
    left, top = round(x), round(y)
    for (a, b, c, d), level in (((0, 10, width, height), shade), ((4, 0, width - 4, 10), 210.0)):
        rows, columns = slice(max(0, top + b), max(0, top + d)), slice(max(0, left + a), max(0, left + c))
        image[rows, columns] = level


def frames(
    count: int,
    paint: Callable[[NDArray[np.float32], int], object] = lambda image, index: None,
    *,
    seed: int = 1,
    sigma: float = 1.5,
    base: NDArray[np.float32] | None = None,
) -> Iterator[Luma]:
    """`count` noisy pictures of the wall; `paint(image, index)` changes each in place before the noise."""
    random = np.random.default_rng(seed + 100)
    ground = wall(seed) if base is None else base
    for index in range(count):
        image = ground.copy()
        paint(image, index)
        yield noisy(image, random, sigma)


def frame(luma: Luma, index: int, *, at_s: float | None = None, scale: int = 1, pts_s: float | None = None) -> Frame:
    """A live frame of that luma; the source is `scale` times as large."""
    height, width = luma.shape[:2]
    captured_at = START + timedelta(seconds=index / FPS if at_s is None else at_s)

    def pixels() -> Luma:
        raise AssertionError("the gate must not decode")

    return Frame("e", "cam", index, captured_at, width * scale, height * scale, luma, pixels, pts_s)


def run(gate: MotionGate, pictures: Iterator[Luma] | list[Luma], start: int = 0, scale: int = 1) -> list[Admission]:
    """What the gate says of pictures that are 0.1 s apart."""
    return [gate.admit(frame(luma, start + i, scale=scale)) for i, luma in enumerate(pictures)]
