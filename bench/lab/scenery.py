"""Backgrounds and noise of the gate lab, all drawn from a random generator that the caller seeds."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.float32]
"""(HEIGHT, WIDTH) float32 luma, 0 to 255."""

WIDTH, HEIGHT = 1280, 720


def background(random: np.random.Generator) -> Gray:
    """A street-like field: two planes, texture at four scales, blocks and lines with hard edges."""
    image = np.full((HEIGHT, WIDTH), random.uniform(80, 130), np.float32)
    image[: int(HEIGHT * random.uniform(0.25, 0.4))] += random.uniform(20, 60)
    for scale, strength in ((120, 40), (30, 22), (8, 14), (2.5, 10)):
        texture = random.normal(0, 1, (HEIGHT // 2, WIDTH // 2)).astype(np.float32)
        texture = cv2.GaussianBlur(texture, (0, 0), scale / 2)
        image += strength * 0.5 * cv2.resize(texture / texture.std(), (WIDTH, HEIGHT))
    for _ in range(14):
        x, y = int(random.integers(0, WIDTH - 60)), int(random.integers(0, HEIGHT - 60))
        width, height = int(random.integers(20, 220)), int(random.integers(20, 160))
        image[y : y + height, x : x + width] += random.uniform(-50, 50)
    for _ in range(10):
        ends = random.integers(0, [WIDTH, HEIGHT], (2, 2))
        line = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.line(line, ends[0].tolist(), ends[1].tolist(), 1, int(random.integers(2, 8)), cv2.LINE_AA)
        image += line * float(random.uniform(-40, 40))
    return np.clip(cv2.GaussianBlur(image, (0, 0), 0.8), 12, 235).astype(np.float32)


@lru_cache(maxsize=1)
def _noise_bank() -> list[Gray]:
    random = np.random.default_rng(11)
    return [random.normal(0, 1, (HEIGHT + 80, WIDTH + 120)).astype(np.float32) for _ in range(4)]


def noise(random: np.random.Generator) -> Gray:
    """White noise of sigma 1, cut from a bank at a random place: drawing it anew would cost more than the frame."""
    bank = _noise_bank()[int(random.integers(4))]
    y, x = int(random.integers(80)), int(random.integers(120))
    return bank[y : y + HEIGHT, x : x + WIDTH]


def night(base: Gray) -> Gray:
    """The same place at a mean level of 12: what a camera without infrared sees."""
    return (base * (12.0 / base.mean())).astype(np.float32)


def infrared(random: np.random.Generator, base: Gray) -> Gray:
    """The same place after the infrared filter switched: half of the picture's structure is another one."""
    other = background(random)
    image = 0.5 * (base - base.mean()) * random.uniform(0.6, 1.2) + 0.5 * (other - other.mean()) + 95
    return np.clip(image, 10, 245).astype(np.float32)
