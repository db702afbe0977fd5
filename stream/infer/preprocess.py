"""Pictures become model inputs, as `preprocessor_config.json` says: Pillow and numpy, uint8 as long as possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stream.errors import BadModel
from stream.types import Box, Pixels

_CROP_MARGIN = 0.1
"""A region is looked at with a tenth of its size around it: the towers were trained on things in their place."""
_SMALLEST_CROP_PX = 48.0


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes a model's input."""

    width: int
    height: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: int = Image.Resampling.BICUBIC
    shortest_edge: int | None = None  # CLIP: scale this edge, then cut the middle; None stretches

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Preprocess:
        """From preprocessor_config.json. Raises BadModel when it has no usable size."""
        size, crop = said.get("size", {}), said.get("crop_size")
        edge = None
        if isinstance(size, int):
            size = {"height": size, "width": size}
        if "shortest_edge" in size:
            edge = int(size["shortest_edge"])
            size = crop if said.get("do_center_crop", True) and crop else {"height": edge, "width": edge}
            size = {"height": size, "width": size} if isinstance(size, int) else size
        mean, std = said.get("image_mean", [0.5] * 3), said.get("image_std", [0.5] * 3)
        try:
            width, height = int(size["width"]), int(size["height"])
            resample = int(said.get("resample", Image.Resampling.BICUBIC))
        except (KeyError, TypeError, ValueError) as error:
            raise BadModel(f"preprocessor_config.json has no usable size: {size}") from error
        return cls(width, height, _three(mean), _three(std), resample, edge)

    def pixels(self, rgb: Pixels) -> Pixels:
        """(H, W, 3) uint8 RGB to (height, width, 3) uint8 RGB."""
        picture = Image.fromarray(rgb)
        if self.shortest_edge is None:
            target = (self.width, self.height)
            return np.asarray(picture if picture.size == target else picture.resize(target, self.resample))
        shorter = min(picture.size)
        # transformers truncates the longer side.
        wide, high = (int(self.shortest_edge * side / shorter) for side in picture.size)
        picture = picture.resize((wide, high), self.resample)
        left, top = (picture.width - self.width) // 2, (picture.height - self.height) // 2
        return np.asarray(picture.crop((left, top, left + self.width, top + self.height)))

    def normalise(self, pixels: Pixels) -> NDArray[np.float32]:
        """(N, height, width, 3) uint8 to (N, 3, height, width) float32: for graphs that do not do it themselves."""
        scale = np.array([1 / (255 * std) for std in self.std], np.float32)
        shift = np.array([-mean / std for mean, std in zip(self.mean, self.std, strict=True)], np.float32)
        out = np.empty((len(pixels), 3, self.height, self.width), np.float32)
        for channel in range(3):
            np.multiply(pixels[..., channel], scale[channel], out=out[:, channel])
            out[:, channel] += shift[channel]
        return out

    @property
    def size_bytes(self) -> int:
        """Of one prepared picture."""
        return self.width * self.height * 3


def _three(values: Any) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in values)
    return a, b, c


def crop(rgb: Pixels, box: Box) -> Pixels:
    """The pixels of a region with some background, at least 48 px wide and high where the picture is."""
    height, width = rgb.shape[:2]
    x1, x2 = _span(box.x1, box.x2, width)
    y1, y2 = _span(box.y1, box.y2, height)
    return rgb[y1:y2, x1:x2]


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    half = max((high - low) * (1 + 2 * _CROP_MARGIN), _SMALLEST_CROP_PX) / 2
    middle = min(max((low + high) / 2, 0.0), float(size))
    start = min(max(int(middle - half), 0), max(size - 1, 0))
    return start, max(start + 1, min(size, round(middle + half)))
