"""People and vehicles of the gate lab: textured, shaded, with walking legs and soft shadows, and their true boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from bench.lab.scenery import HEIGHT, WIDTH, Gray

Truth = tuple[int, int, int, int]
"""x1, y1, x2, y2 in source pixels; the visible part of one object."""

_SHIFT = 4  # sub-pixel bits of OpenCV's drawing
_PAD = 6  # room round a sprite for its soft edge, px


@dataclass
class Actor:
    """One moving thing. (x, y) is the middle of its feet at `enters`; speeds are px a frame, times are frames."""

    random: np.random.Generator
    kind: str  # "person" or "car"
    height: int
    x: float
    y: float
    vx: float
    vy: float = 0.0
    enters: int = 0
    leaves: int = 1 << 30
    contrast: tuple[float, float] = (35, 200)  # least and largest difference to the ground behind it
    pause: tuple[int, int] | None = None  # frames after `enters`, and for how many
    shadow: bool = False
    shades: list[float] | None = None  # drawn at first sight, against the ground, when not given
    _texture: Gray | None = field(default=None, repr=False)
    _phase: float = 0.0

    def __post_init__(self) -> None:
        self._phase = self.random.uniform(0, 6)

    @property
    def width(self) -> int:
        return int(self.height * (0.42 if self.kind == "person" else 2.2))

    def place(self, frame: int) -> tuple[float, float, float, bool]:
        """x, y, distance walked in frames, and whether it stands."""
        walked = frame - self.enters
        stands = False
        if self.pause:
            start, length = self.pause
            stands = start <= walked < start + length
            walked = walked if walked < start else max(start, walked - length)
        return self.x + self.vx * walked, self.y + self.vy * walked, walked, stands

    def draw(self, image: Gray, frame: int, ground: Gray) -> tuple[Truth, bool] | None:
        """Paint into `image`; the box of what can be seen, and whether that is at least a third of it."""
        if not self.enters <= frame < self.leaves:
            return None
        x, y, walked, stands = self.place(frame)
        left, top = int(np.floor(x - self.width / 2)) - _PAD, int(np.floor(y - self.height)) - _PAD
        color, alpha = self._sprite(x - self.width / 2 - left, y - self.height - top, walked, stands, ground, (x, y))
        if self.shadow:
            self._cast(image, x, y)
        rows, columns = alpha.shape
        x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + columns), min(HEIGHT, top + rows)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        seen = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        image[y0:y1, x0:x1] = image[y0:y1, x0:x1] * (1 - alpha[seen]) + color[seen]
        solid = alpha[seen] > 0.5
        if not solid.any():
            return None
        ys, xs = np.where(solid)
        box = (x0 + int(xs.min()), y0 + int(ys.min()), x0 + int(xs.max()) + 1, y0 + int(ys.max()) + 1)
        return box, bool(solid.sum() >= max(12, 0.3 * (alpha > 0.5).sum()))

    def _shade(self, ground: Gray, at: tuple[float, float]) -> list[float]:
        if self.shades is None:
            x = int(np.clip(at[0] if 0 < at[0] < WIDTH else WIDTH / 2, 20, WIDTH - 20))
            y = int(np.clip(at[1] - self.height / 2, 20, HEIGHT - 20))
            level = float(ground[max(0, y - 40) : y + 40, max(0, x - 200) : x + 200].mean())
            low, high = self.contrast
            found: list[float] = []
            while len(found) < 4:
                tries = self.random.uniform(15, 235, 50)
                fit = tries[(np.abs(tries - level) >= low) & (np.abs(tries - level) <= high)]
                found.append(
                    float(fit[0]) if len(fit) else float(np.clip(level + (low if level < 128 else -low), 5, 245))
                )
            self.shades = found
        return self.shades

    def _sprite(
        self, ox: float, oy: float, walked: float, stands: bool, ground: Gray, at: tuple[float, float]
    ) -> tuple[Gray, Gray]:
        """Premultiplied color and alpha, each (height + 2 pad, width + 2 pad)."""
        shades = self._shade(ground, at)
        rows, columns = self.height + 2 * _PAD + 1, self.width + 2 * _PAD + 1
        color, alpha = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
        for points, shade in self._shapes(shades, walked, stands):
            corners = np.array([(ox + px * self.width, oy + py * self.height) for px, py in points]) * (1 << _SHIFT)
            for canvas, value in ((color, shade), (alpha, 1.0)):
                cv2.fillPoly(canvas, [corners.astype(np.int32)], value, cv2.LINE_8, _SHIFT)
        alpha, color = cv2.GaussianBlur(alpha, (0, 0), 0.7), cv2.GaussianBlur(color, (0, 0), 0.7)
        if self._texture is None:
            texture = self.random.normal(0, 1, (rows, columns)).astype(np.float32)
            texture = cv2.GaussianBlur(texture, (0, 0), max(1.0, self.height / 30))
            strength = 6 if max(shades) > 70 else 2
            self._texture = texture * (strength / max(1e-3, float(texture.std())))
        return color + self._texture * alpha, alpha

    def _shapes(
        self, shades: Sequence[float], walked: float, stands: bool
    ) -> list[tuple[list[tuple[float, float]], float]]:
        if self.kind == "car":
            body = [(0, 0.45), (0.02, 0.85), (0.98, 0.85), (1, 0.5), (0.85, 0.42), (0.7, 0.02), (0.3, 0), (0.17, 0.4)]
            glass = [(0.32, 0.1), (0.68, 0.1), (0.78, 0.4), (0.24, 0.4)]
            wheels = [(_round(x, 0.85, 0.14 / 2.2, 0.14), 20.0) for x in (0.2, 0.8)]
            return [(body, shades[0]), (glass, shades[1]), *wheels]
        swing = 0.1 if stands else 0.38 * float(np.sin(self._phase + walked * abs(self.vx) / max(self.height, 1) * 6))
        legs = [([(0.38, 0.5), (0.62, 0.5), (0.6 + s, 1.0), (0.38 + s, 1.0)], shades[1]) for s in (swing, -swing)]
        torso = ([(0.22, 0.17), (0.78, 0.17), (0.72, 0.55), (0.28, 0.55)], shades[0])
        head = (_round(0.5, 0.085, 0.06 / 0.42, 0.08), shades[2])
        arms = [
            ([(0.2, 0.2), (0.32, 0.2), (0.4 + 0.9 * s, 0.5), (0.28 + 0.9 * s, 0.5)], shades[0] * 0.9)
            for s in (swing, -swing)
        ]
        return [*legs, torso, head, *arms]

    def _cast(self, image: Gray, x: float, y: float) -> None:
        mask = np.zeros((max(8, self.height // 3), int(self.width * 1.5) + 4), np.float32)
        rows, columns = mask.shape
        cv2.ellipse(mask, (columns // 2, rows // 2), (columns // 2 - 2, rows // 2 - 2), 0, 0, 360, 0.3, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), max(1.0, self.height / 40))
        left, top = int(x - self.width * 0.5), int(y - self.height * 0.12)
        x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + columns), min(HEIGHT, top + rows)
        if x1 > x0 and y1 > y0:
            image[y0:y1, x0:x1] *= 1 - mask[y0 - top : y1 - top, x0 - left : x1 - left]


def _round(x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in np.linspace(0, 2 * np.pi, 17)[:-1]]


def person(
    random: np.random.Generator, height: float, enters: int, speed: float | None = None, **more: object
) -> Actor:
    """Someone who walks in from the left or the right; `speed` in px a frame, by default a walking pace."""
    tall = int(height)
    pace = (speed or random.uniform(0.025, 0.045) * tall + 1) * (1 if random.random() < 0.5 else -1)
    y = random.uniform(max(tall + 20, HEIGHT * 0.45), HEIGHT - 15)
    x = -tall * 0.2 if pace > 0 else WIDTH + tall * 0.2
    drift = random.uniform(-0.1, 0.1) * abs(pace) * 0.5
    return Actor(random, "person", tall, x, y, pace, drift, int(enters), **more)  # type: ignore[arg-type]


def car(random: np.random.Generator, height: float, enters: int, speed: float, **more: object) -> Actor:
    """A vehicle that drives through from the left or the right; `speed` in px a frame."""
    tall = int(height)
    pace = speed * (1 if random.random() < 0.5 else -1)
    y = random.uniform(max(tall + 30, HEIGHT * 0.5), HEIGHT - 15)
    return Actor(
        random, "car", tall, -tall * 1.1 if pace > 0 else WIDTH + tall * 1.1, y, pace, 0.0, int(enters), **more
    )  # type: ignore[arg-type]
