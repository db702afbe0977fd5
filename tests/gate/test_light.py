"""Light that is no motion: shadows that come in at the side, and patches too bright for the camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.gate import MotionGate
from stream.gate.background import Background
from stream.gate.settings import DEFAULT
from stream.types import Box
from tests.gate.scenes import HEIGHT, WIDTH, frames, person, run, wall
from tests.gate.test_motion import covered

Image = NDArray[np.float32]


def shadows(seed: int) -> Image:
    """What soft shadows leave of the light over three pictures' width, .62 to 1."""
    random = np.random.default_rng(seed)
    cover = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT // 2, 3 * WIDTH // 2)).astype(np.float32), (0, 0), 14)
    cover = cv2.resize(cover / cover.std(), (3 * WIDTH, HEIGHT))
    return 1 - 0.38 * np.clip(0.9 * cover + 0.3, 0, 1).astype(np.float32)


def drift(image: Image, index: int, share: Image) -> None:
    """The shadows move to the left, 1.25 px a frame; they come up from frame 30 to 90."""
    left = max(0, round(1.25 * (index - 40)))
    image *= 1 - (1 - share[:, left : left + WIDTH]) * min(1.0, max(0, index - 30) / 60)


def test_shadows_of_clouds_that_come_in_at_the_side_admit_nothing() -> None:
    for seed in (3, 4, 5):
        share = shadows(seed)
        said = run(MotionGate(), frames(200, lambda image, index, share=share: drift(image, index, share), seed=seed))
        assert not any(s.admitted for s in said[3:]), seed


def test_who_walks_in_while_shadows_drift_is_boxed_from_the_first() -> None:
    share = shadows(2)

    def paint(image: Image, index: int) -> None:
        if index >= 100:
            person(image, 2 * (index - 100) - 14, 90)
        drift(image, index, share)

    said = run(MotionGate(), frames(180, paint, seed=2))
    assert not any(s.admitted for s in said[3:100])
    hits = [covered(said[i], Box(2 * i - 214, 90, 2 * i - 200, 130)) >= 0.5 for i in range(112, 180)]
    assert sum(hits) >= 0.97 * len(hits)


def test_a_patch_too_bright_for_the_camera_leaves_nothing_behind() -> None:
    base = wall(3)
    base[60:120, 130:190] += 80  # a pale wall with a joint
    base[84:88, 130:190] += 25
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)

    def sweep(image: Image, index: int) -> None:
        step = (index - 40) % 80
        if index >= 40 and step < 35:
            near = np.exp(-(((xs - 14 * step + 60) / 45) ** 2 + ((ys - 100) / 30) ** 2))
            image += near * (0.35 * image + 15)

    said = run(MotionGate(), frames(170, sweep, seed=3, base=base))
    assert not any(s.admitted for s in said[3:])


def test_ground_under_an_overexposed_patch_is_not_forgotten() -> None:
    ground = np.full((HEIGHT, WIDTH), 180, np.uint8)
    ground[:, 100:104] = 230
    back = Background(ground, DEFAULT, 8)
    for gain in (1.1, 1.2, *[1.4] * 12, 1.2, 1.1, 1.0, 1.0):
        lit = np.clip(ground * gain, 0, 255).astype(np.uint8)
        back.reshade(lit)
        back.learn(lit, 0.3, None)
    assert int(cv2.absdiff(back.seen, ground).max()) <= 8
