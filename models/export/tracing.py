"""What both layouts' graphs are traced with: sizes, names, and what is done to a traced graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import onnx
from torch import Tensor, zeros

BATCH, TEXT = 2, 5
"""Sizes to trace with: anything but 0 and 1, which torch.export takes for constants, and different from each other."""

Named = tuple[str, onnx.ModelProto]
Change = Callable[[onnx.ModelProto], onnx.ModelProto]
Variants = Mapping[str, Change]
"""File suffix to what is done to each traced graph: one trace, which is slow, serves all."""


def unchanged(graph: onnx.ModelProto) -> onnx.ModelProto:
    return graph


PLAIN: Variants = {"": unchanged}


def variants_of(name: str, graph: onnx.ModelProto, variants: Variants) -> Iterator[Named]:
    """(name and suffix, changed graph) of each variant."""
    for suffix, change in variants.items():
        yield f"{name}{suffix}", change(deepcopy(graph) if len(variants) > 1 else graph)


class Sizes:
    """What the graphs' shapes are made of."""

    def __init__(self, model: Any, size: int) -> None:
        text = model.config.text_config
        self.layers, self.heads, self.width = text.decoder_layers, text.decoder_attention_heads, text.d_model
        self.head_width = self.width // self.heads
        self.size = size
        self.dtype = next(model.parameters()).dtype
        self.image_tokens = _image_tokens(model.config.vision_config, size)

    def cache(self, batch: int, length: int) -> Tensor:
        return zeros(batch, self.heads, length, self.head_width, dtype=self.dtype)

    def caches(self, batch: int, own: int, cross: int) -> list[Tensor]:
        """For each layer: self key and value, cross key and value."""
        lengths = (own, own, cross, cross) * self.layers
        return [self.cache(batch, length) for length in lengths]


def _image_tokens(vision: Any, size: int) -> int:
    """Tokens of one picture of size x size: the last stage's cells, and one for their mean."""
    for patch, stride, padding in zip(vision.patch_size, vision.patch_stride, vision.patch_padding, strict=True):
        size = (size + 2 * padding - patch) // stride + 1
    return size * size + 1
