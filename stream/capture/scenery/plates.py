"""Number plates: a stroke font, the geometry of a plate, and how it is drawn."""

from __future__ import annotations

import cv2
import numpy as np

from stream.capture.scenery.canvas import Canvas, Point
from stream.capture.scenery.objects import Plate, quad_box
from stream.capture.scenery.palette import RGB, shade

ALPHABET = "0123456789ACEHKLPTXY"
"""The characters of plates: digits, and letters that no digit resembles."""

MIN_PLATE_PX = 14.0
"""Plates are drawn from this height on; below it a character is narrower than the models' finest cell."""

_PITCH, _GLYPH_WIDTH, _PLATE_HEIGHT, _MARGIN = 0.84, 0.62, 1.42, 0.42
"""In character heights: distance between characters, width of one, height of the plate, both side margins together."""

_SIX = [(3.6, 0.4), (2.5, 0), (1, 0.4), (0, 2), (0, 5), (0.8, 6), (3.2, 6), (4, 5), (4, 3.6), (3.2, 2.8), (0.8, 2.8),
        (0, 3.6)]  # fmt: skip
_GLYPHS: dict[str, list[list[Point]]] = {
    "0": [[(0.6, 0), (3.4, 0), (4, 0.8), (4, 5.2), (3.4, 6), (0.6, 6), (0, 5.2), (0, 0.8), (0.6, 0)]],
    "1": [[(0.8, 1.2), (2.2, 0), (2.2, 6)], [(0.8, 6), (3.6, 6)]],
    "2": [[(0, 1.2), (0.7, 0), (3.3, 0), (4, 1), (4, 2), (0, 6), (4, 6)]],
    "3": [[(0, 0), (4, 0), (2, 2.5), (3.4, 2.6), (4, 3.6), (4, 5), (3.2, 6), (0.8, 6), (0, 5)]],
    "4": [[(3, 6), (3, 0), (0, 4.2), (4, 4.2)]],
    "5": [[(3.8, 0), (0.4, 0), (0.2, 2.6), (3, 2.4), (4, 3.4), (4, 5), (3.2, 6), (0.8, 6), (0, 5.2)]],
    "6": [_SIX],
    "7": [[(0, 0), (4, 0), (1.5, 6)]],
    "8": [
        [(1, 0), (3, 0), (3.7, 0.8), (3.7, 2.1), (3, 2.8), (1, 2.8), (0.3, 2.1), (0.3, 0.8), (1, 0)],
        [(1, 2.8), (3, 2.8), (4, 3.7), (4, 5.1), (3.2, 6), (0.8, 6), (0, 5.1), (0, 3.7), (1, 2.8)],
    ],
    "9": [[(4 - x, 6 - y) for x, y in _SIX]],
    "A": [[(0, 6), (2, 0), (4, 6)], [(0.7, 4), (3.3, 4)]],
    "C": [[(4, 1), (3.2, 0), (0.8, 0), (0, 1), (0, 5), (0.8, 6), (3.2, 6), (4, 5)]],
    "E": [[(4, 0), (0, 0), (0, 6), (4, 6)], [(0, 3), (3.2, 3)]],
    "H": [[(0, 0), (0, 6)], [(4, 0), (4, 6)], [(0, 3), (4, 3)]],
    "K": [[(0, 0), (0, 6)], [(4, 0), (0, 3.4)], [(1.2, 2.4), (4, 6)]],
    "L": [[(0, 0), (0, 6), (4, 6)]],
    "P": [[(0, 6), (0, 0), (3, 0), (4, 0.8), (4, 2.4), (3, 3.2), (0, 3.2)]],
    "T": [[(0, 0), (4, 0)], [(2, 0), (2, 6)]],
    "X": [[(0, 0), (4, 6)], [(4, 0), (0, 6)]],
    "Y": [[(0, 0), (2, 2.8), (4, 0)], [(2, 2.8), (2, 6)]],
}

_STYLES: tuple[tuple[RGB, RGB], ...] = (
    ((245, 245, 240), (20, 20, 25)),
    ((245, 205, 60), (20, 20, 25)),
    ((240, 242, 250), (25, 45, 140)),
    ((35, 50, 120), (245, 245, 245)),
)
"""Ground and ink."""

_OVERSAMPLE = 6
"""Plates are drawn this much larger and shrunk, so that strokes stay crisp at a character height of 10 pixels."""


def plate_ratio(characters: int) -> float:
    """Width of a plate over its height."""
    return (characters * _PITCH + _MARGIN) / _PLATE_HEIGHT


def new_plate(
    rng: np.random.Generator, center: Point, height: float, characters: int, night: bool, tilt: float = 0.6
) -> Plate:
    """A plate with random text; `tilt` scales its rotation and shear (at 1, up to 4 degrees and 8 %)."""
    width = height * plate_ratio(characters)
    angle, shear = rng.uniform(-0.07, 0.07) * tilt, rng.uniform(-0.08, 0.08) * tilt
    text = "".join(ALPHABET[i] for i in rng.integers(0, len(ALPHABET), characters))
    style, lit, bold = int(rng.integers(len(_STYLES))), float(rng.uniform(0.55, 0.95)), float(rng.uniform(0.13, 0.18))
    return Plate(
        text, plate_quad(center, width, height, angle, shear), height, width, style, lit if night else 1.0, bold
    )


def plate_quad(
    center: Point, width: float, height: float, angle: float, shear: float
) -> tuple[tuple[float, float], ...]:
    """The corners of a plate, from the upper left clockwise."""
    corners = []
    for u, v in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        x, y = u * width, v * height + shear * u * width * 0.5
        corners.append((float(center[0] + x - angle * y), float(center[1] + y + angle * x)))
    return tuple(corners)


def character_boxes(plate: Plate) -> list[tuple[str, float, float, float, float]]:
    """(character, centre x, centre y, width, height) in scene pixels, from left to right."""
    total = len(plate.text) * _PITCH + _MARGIN
    height = plate.height / _PLATE_HEIGHT
    boxes = []
    for i, character in enumerate(plate.text):
        x, y = _on_plate(plate, (_MARGIN / 2 + (i + 0.5) * _PITCH) / total, 0.5)
        boxes.append((character, x, y, height * _PITCH, height))
    return boxes


def draw_plate(canvas: Canvas, plate: Plate, dim: float) -> None:
    """Draw the plate onto a picture that has been dimmed already."""
    height, width = canvas.image.shape[:2]
    box = quad_box(plate.quad)
    a, b = max(0, int((box[0] - 3) * canvas.scale)), max(0, int((box[1] - 3) * canvas.scale))
    c = min(width, int((box[2] + 4) * canvas.scale))
    d = min(height, int((box[3] + 4) * canvas.scale))
    if c - a < 4 or d - b < 4:
        return
    zoom = max(2, round(_OVERSAMPLE / canvas.scale))
    large = cv2.resize(canvas.image[b:d, a:c], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    window = Canvas(large, canvas.scale * zoom, (a / canvas.scale, b / canvas.scale))
    _draw_face(window, plate, max(dim, plate.lit) if dim < 0.75 else dim)
    canvas.image[b:d, a:c] = cv2.resize(large, (c - a, d - b), interpolation=cv2.INTER_AREA)


def _draw_face(window: Canvas, plate: Plate, light: float) -> None:
    ground, ink = (shade(color, light) for color in _STYLES[plate.style])
    total = len(plate.text) * _PITCH + _MARGIN
    character_height = plate.height / _PLATE_HEIGHT
    window.polygon(plate.quad, ground)
    rim = [_on_plate(plate, u, v) for u, v in ((0.012, 0.04), (0.988, 0.04), (0.988, 0.96), (0.012, 0.96))]
    window.path(rim, ink, character_height * 0.05, closed=True)
    for i, character in enumerate(plate.text):
        left = _MARGIN / 2 + (i + 0.5) * _PITCH
        for stroke in _GLYPHS[character]:
            points = [
                _on_plate(
                    plate,
                    (left + (x / 4 - 0.5) * (_GLYPH_WIDTH - plate.bold)) / total,
                    0.5 + (y / 6 - 0.5) * (1 - plate.bold) / _PLATE_HEIGHT,
                )
                for x, y in stroke
            ]
            window.path(points, ink, character_height * plate.bold)


def _on_plate(plate: Plate, u: float, v: float) -> Point:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = plate.quad
    x = (1 - v) * ((1 - u) * ax + u * bx) + v * ((1 - u) * dx + u * cx)
    y = (1 - v) * ((1 - u) * ay + u * by) + v * ((1 - u) * dy + u * cy)
    return x, y
