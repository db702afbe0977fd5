"""Labels for the auxiliary heads that look at single image tokens."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.train.tasks import bins
from stream.capture.scenery import CLASSES, COLORS, SIZE_PX, Plate, Scene
from stream.capture.scenery.objects import MIN_VISIBLE, Box, clip_box, quad_box, visible_share
from stream.capture.scenery.plates import ALPHABET, character_boxes

Labels = npt.NDArray[np.int64]

GRID = 12
"""Image tokens along a side."""
FINE = 24
"""Cells along a side of the vision tower's first stage: about one plate character each."""

PLATE_CLASS = 1 + len(CLASSES)
IGNORE = -100
MAX_INDEX = 4

_COLORS = tuple(COLORS)
_CELL_PX = SIZE_PX / FINE


class DenseLabels(NamedTuple):
    """Labels of one scene; IGNORE (boxes: -1) where there is nothing to learn."""

    classes: Labels
    """(GRID, GRID): 0 nothing, 1.. CLASSES, then plate."""
    colors: Labels
    """(GRID, GRID)"""
    boxes: Labels
    """(GRID, GRID, 4) location bins"""
    characters: Labels
    """(FINE, FINE): 0 nothing, 1.. ALPHABET."""
    positions: Labels
    """(FINE, FINE): index of the character in its plate."""


def dense_labels(scene: Scene) -> DenseLabels:
    """The labels of a scene."""
    labels = DenseLabels(
        np.zeros((GRID, GRID), np.int64),
        np.full((GRID, GRID), IGNORE, np.int64),
        np.full((GRID, GRID, 4), -1, np.int64),
        np.zeros((FINE, FINE), np.int64),
        np.full((FINE, FINE), IGNORE, np.int64),
    )
    for thing in scene.objects:  # the nearer ones, which come later, overwrite the farther
        if visible_share(thing.box) >= MIN_VISIBLE:
            _mark_object(labels, clip_box(thing.box), 1 + CLASSES.index(thing.label), _COLORS.index(thing.color))
    for plate in scene.plates:
        _mark_plate(labels, plate)
    return labels


def _mark_object(labels: DenseLabels, box: Box, class_index: int, color_index: int) -> None:
    x1, y1, x2, y2 = (v / SIZE_PX * GRID for v in box)
    a, b = max(0, math.floor(x1 + 0.2)), min(GRID, math.ceil(x2 - 0.2))
    c, d = max(0, math.floor(y1 + 0.2)), min(GRID, math.ceil(y2 - 0.2))
    around = labels.classes[c:d, a:b]
    around[around == 0] = IGNORE
    a, b = _core(x1, x2)
    c, d = _core(y1, y2)
    labels.classes[c:d, a:b] = class_index
    labels.colors[c:d, a:b] = color_index
    labels.boxes[c:d, a:b] = bins(box)


def _core(low: float, high: float) -> tuple[int, int]:
    """The cells under the middle half of an extent."""
    middle, quarter = (low + high) / 2, (high - low) / 4
    return min(GRID - 1, int(middle - quarter)), min(GRID - 1, int(middle + quarter)) + 1


def _mark_plate(labels: DenseLabels, plate: Plate) -> None:
    box = quad_box(plate.quad)
    x1, y1, x2, y2 = (v / SIZE_PX * GRID for v in box)
    columns = slice(int(x1 + 0.5), max(int(x1 + 0.5) + 1, int(x2 + 0.5)))
    rows = slice(int(y1 + 0.5), max(int(y1 + 0.5) + 1, int(y2 + 0.5)))
    labels.classes[rows, columns] = PLATE_CLASS
    labels.colors[rows, columns] = IGNORE
    labels.boxes[rows, columns] = bins(box)
    a, b = max(0, int(box[0] / _CELL_PX)), math.ceil(box[2] / _CELL_PX)
    c, d = max(0, int(box[1] / _CELL_PX)), math.ceil(box[3] / _CELL_PX)
    labels.characters[c:d, a:b] = IGNORE  # the borders of characters belong to nobody
    characters = character_boxes(plate)
    for index, (character, x, y, width, height) in enumerate(characters):
        inside = (_inner(y, height), _inner(x, width))
        labels.characters[inside] = 1 + ALPHABET.index(character)
        labels.positions[inside] = min(index, MAX_INDEX)
    for index, (character, x, y, _, _) in enumerate(characters):  # the cell with the centre, always
        cell = min(FINE - 1, int(y / _CELL_PX)), min(FINE - 1, int(x / _CELL_PX))
        labels.characters[cell] = 1 + ALPHABET.index(character)
        labels.positions[cell] = min(index, MAX_INDEX)


def _inner(center: float, extent: float) -> slice:
    return slice(int((center - 0.3 * extent) / _CELL_PX + 0.5), int((center + 0.3 * extent) / _CELL_PX + 0.5))
