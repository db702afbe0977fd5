"""SigLIP, SigLIP 2 (fixed resolution) and CLIP as two graphs: one for pictures, one for texts.

optimum exports these models as one graph that always runs both towers, so the towers are wrapped here instead; the
files have the names, inputs and outputs that onnx-community publishes, except that pictures go in as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.export.graph import PUBLISHED_OPSET, trace
from models.export.tracing import BATCH, PLAIN, Named, Variants, variants_of


class VisionTower(nn.Module):
    """pixels (B, s, s, 3) uint8 RGB at the model's size to pooler_output or image_embeds (B, dims) fp32, not
    normalised."""

    def __init__(self, model: Any, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.tower = model.vision_model
        self.projection = getattr(model, "visual_projection", nn.Identity())
        self.dtype = next(model.parameters()).dtype
        self.register_buffer("scale", torch.tensor([1 / (255 * value) for value in std]))
        self.register_buffer("shift", torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]))

    def forward(self, pixels: Tensor) -> Tensor:
        normal = pixels.to(torch.float32) * self.scale + self.shift
        pooled = self.tower(pixel_values=normal.permute(0, 3, 1, 2).to(self.dtype)).pooler_output
        return cast(Tensor, self.projection(pooled)).to(torch.float32)


class SiglipText(nn.Module):
    """input_ids (B, 64) int64, padded, to pooler_output (B, dims) fp32: the last position is pooled, without a mask."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower = model.text_model

    def forward(self, input_ids: Tensor) -> Tensor:
        return cast(Tensor, self.tower(input_ids=input_ids).pooler_output).to(torch.float32)


class ClipText(nn.Module):
    """input_ids (B, T) int64 to text_embeds (B, dims) fp32.

    Causal attention cannot see what follows the end token, whose position is pooled, so padding needs no mask.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower, self.projection = model.text_model, model.text_projection

    def forward(self, input_ids: Tensor) -> Tensor:
        tower = self.tower
        length = input_ids.shape[1]
        hidden = tower.embeddings(input_ids=input_ids)
        causal = torch.full((length, length), torch.finfo(hidden.dtype).min, dtype=hidden.dtype).triu(1)
        for layer in tower.encoder.layers:
            attention = layer.self_attn
            normal = layer.layer_norm1(hidden)
            shape = (normal.shape[0], length, attention.num_heads, attention.head_dim)
            projections = (attention.q_proj, attention.k_proj, attention.v_proj)
            query, key, value = (p(normal).view(shape).transpose(1, 2) for p in projections)
            weights = torch.softmax(torch.matmul(query * attention.scale, key.transpose(2, 3)) + causal, -1)
            mixed = torch.matmul(weights, value).transpose(1, 2).reshape(normal.shape)
            hidden = hidden + attention.out_proj(mixed)
            hidden = hidden + layer.mlp(layer.layer_norm2(hidden))
        hidden = tower.final_layer_norm(hidden)
        # Older checkpoints name 2 as their end token; it stands for "the largest id", which is the real one.
        marks = input_ids if tower.eos_token_id == 2 else (input_ids == tower.eos_token_id).to(torch.int64)
        last = marks.argmax(-1)
        pooled = torch.gather(hidden, 1, last[:, None, None].expand(-1, 1, hidden.shape[2])).squeeze(1)
        return cast(Tensor, self.projection(pooled)).to(torch.float32)


def towers(model: Any, size: int, mean: list[float], std: list[float], variants: Variants = PLAIN) -> Iterator[Named]:
    """(name, graph) of vision_model and text_model, and of each of `variants`.

    `model` is a SiglipModel or CLIPModel with `attn_implementation="sdpa"`; `size` is the picture's side in px, `mean`
    and `std` are the image processor's.
    """
    clip = hasattr(model, "visual_projection")
    pixels = {"pixels": torch.zeros(BATCH, size, size, 3, dtype=torch.uint8)}
    output = "image_embeds" if clip else "pooler_output"
    vision = VisionTower(model, mean, std)
    graph = trace(vision, pixels, ["pixels"], [output], {"pixels": {0: "batch_size"}}, PUBLISHED_OPSET)
    yield from variants_of("vision_model", graph, variants)
    # SigLIP pools the last of all its places, so its texts have one length; CLIP's end where they end.
    length = 9 if clip else model.config.text_config.max_position_embeddings
    tokens = {"input_ids": torch.ones(BATCH, length, dtype=torch.int64)}
    axes = {"input_ids": {0: "batch_size", 1: "sequence_length"} if clip else {0: "batch_size"}}
    text = ClipText(model) if clip else SiglipText(model)
    output = "text_embeds" if clip else "pooler_output"
    graph = trace(text, tokens, ["input_ids"], [output], axes, PUBLISHED_OPSET)
    yield from variants_of("text_model", graph, variants)
