"""Tiny random-weight models of the real architectures, and a layout that does what it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.infer.florence2 import Florence2
from stream.infer.manifest import Manifest
from stream.infer.siglip import Siglip
from stream.infer.tokens import Vocabulary
from stream.types import Pixels

GOLDENS = Path(__file__).parent / "goldens"


@pytest.fixture(scope="session")
def goldens() -> Path:
    return GOLDENS


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary.load(Manifest.read(GOLDENS / "florence2"), 0, 2, 1)


@pytest.fixture(scope="session")
def load_florence2() -> Callable[..., Florence2]:
    """Loads the golden model once for each set of arguments; its slots are free again after each test."""
    made: dict[tuple[Any, ...], Florence2] = {}

    def load(**given: Any) -> Florence2:
        key = tuple(sorted(given.items()))
        if key not in made:
            made[key] = Florence2.load(GOLDENS / "florence2", provider="cpu", threads=1, **given)
        made[key].decoding.abandon()
        return made[key]

    return load


@pytest.fixture(scope="session")
def siglip() -> Siglip:
    return Siglip.load(GOLDENS / "siglip", provider="cpu", threads=1)


def picture(seed: int, width: int = 120, height: int = 90) -> Pixels:
    """Coloured rectangles: unlike noise, different pictures give different features."""
    rng = np.random.default_rng(seed)
    rgb = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(4):
        x, y = rng.integers(0, width - 20), rng.integers(0, height - 20)
        rgb[y : y + rng.integers(8, 60), x : x + rng.integers(8, 60)] = rng.integers(0, 256, 3)
    return rgb
