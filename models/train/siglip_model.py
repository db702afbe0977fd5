"""The SigLIP demo model: transformers' architecture in small, and the heads that help it learn."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import SiglipConfig, SiglipModel

from models.train.siglip_queries import ATTRIBUTES
from models.train.vocabulary import SIGLIP_LENGTH, SIGLIP_WORDS
from stream.capture.scenery import CLASSES, COLORS, PLACES, SIZE_PX, Scene

WIDTH = 128
PATCH_PX = 16
PATCHES = SIZE_PX // PATCH_PX
DENSE = 2 + len(CLASSES) + len(COLORS)
"""Logits of a patch: nothing or a class, nothing or a colour."""
_COLORS = tuple(COLORS)


def config() -> SiglipConfig:
    """The configuration."""
    layer = {"hidden_size": WIDTH, "intermediate_size": 384, "num_attention_heads": 4}
    text = dict(
        layer,
        vocab_size=len(SIGLIP_WORDS),
        num_hidden_layers=2,
        max_position_embeddings=SIGLIP_LENGTH,
        projection_size=WIDTH,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=2,
    )
    vision = dict(layer, num_hidden_layers=4, image_size=SIZE_PX, patch_size=PATCH_PX)
    return SiglipConfig(text_config=text, vision_config=vision)


def build() -> SiglipModel:
    """A model with random weights; scale and bias start where a tenth of all pairs may match."""
    model = SiglipModel(config())
    model.set_attn_implementation("eager")  # see fast_matrices
    with torch.no_grad():
        model.logit_scale.fill_(math.log(12.0))
        model.logit_bias.fill_(-5.0)
    return model


class Heads(nn.Module):
    """All that is thrown away after training: what a patch shows, place and time, and which attributes there are."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(WIDTH, DENSE)
        self.middle = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, DENSE))
        self.scene = nn.Linear(WIDTH, len(PLACES) + 1)
        self.attributes = nn.Linear(WIDTH, len(ATTRIBUTES))


def image_outputs(model: SiglipModel, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(patches after the second layer, patches at the end, pooled vector)."""
    vision = model.vision_model
    hidden = vision.embeddings(pixels)
    middle = hidden
    for index, layer in enumerate(vision.encoder.layers):
        hidden = layer(hidden, None)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        if index == 1:
            middle = hidden
    last = vision.post_layernorm(hidden)
    return middle, last, vision.head(last)


def text_vectors(model: SiglipModel, ids: Tensor) -> Tensor:
    """Unit vectors of token ids (B, SIGLIP_LENGTH)."""
    return nn.functional.normalize(model.text_model(input_ids=ids).pooler_output, dim=-1)


def normalise(images: npt.NDArray[np.uint8]) -> Tensor:
    """(B, H, W, 3) uint8 to the model's (B, 3, H, W) float32 in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def patch_labels(scene: Scene) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Class and colour of each patch, both (PATCHES, PATCHES), 0 for nothing; the nearer object wins."""
    classes = np.zeros((PATCHES, PATCHES), np.int64)
    colors = np.zeros((PATCHES, PATCHES), np.int64)
    for label, color, box in sorted(scene.truth(), key=lambda seen: seen[2][3]):
        columns, rows = _covered(box[0], box[2]), _covered(box[1], box[3])
        classes[rows, columns] = 1 + CLASSES.index(label)
        colors[rows, columns] = 1 + _COLORS.index(color)
    return classes, colors


def _covered(low: float, high: float) -> slice:
    """The patches that an extent covers by more than .7, and always the one under its middle."""
    low, high = low / PATCH_PX, high / PATCH_PX
    middle = min(PATCHES - 1, int((low + high) / 2))
    return slice(min(max(0, math.floor(low + 0.3)), middle), max(min(PATCHES, math.ceil(high - 0.3)), middle + 1))
