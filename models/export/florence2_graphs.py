"""Florence-2 cut into the graphs that are run separately: thin modules over the weights of transformers' own model.

They are written out, rather than traced from transformers' forward functions, because those build caches and masks in
Python that an exporter turns into constants. `tests/infer/test_goldens_florence2.py` holds them to transformers'
answers.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

POSITION_OFFSET = 2
"""BART's learned positions start at row 2 of their table."""


def split_heads(hidden: Tensor, heads: int) -> Tensor:
    """(B, S, D) to (B, heads, S, D / heads)."""
    batch, length, width = hidden.shape
    return hidden.view(batch, length, heads, width // heads).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Attention over (B, H, S, Dh) with an additive bias; (B, S, H * Dh). The query is scaled first: it keeps fp16
    finite."""
    batch, heads, length, width = query.shape
    weights = torch.matmul(query * (width**-0.5), key.transpose(2, 3))
    if bias is not None:
        weights = weights + bias
    mixed = torch.matmul(torch.softmax(weights, -1), value)
    return mixed.transpose(1, 2).reshape(batch, length, heads * width)


def padding_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, S) of 1 and 0 to an additive (B, 1, 1, S)."""
    return ((1.0 - mask.to(dtype)) * torch.finfo(dtype).min)[:, None, None, :]


def feed_forward(layer: Any, hidden: Tensor) -> Tensor:
    """The second half of a BART layer, with its residual and norm."""
    return cast(Tensor, layer.final_layer_norm(hidden + layer.fc2(layer.activation_fn(layer.fc1(hidden)))))


class VisionEncoder(nn.Module):
    """pixel_values (B, 3, H, W), normalised, to image_features (B, H * W / 1024 + 1, D) of the published layout."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower, self.projector = model.model.vision_tower, model.model.multi_modal_projector

    def forward(self, pixel_values: Tensor) -> Tensor:
        dtype = self.projector.image_projection.weight.dtype
        return cast(Tensor, self.projector(self.tower(pixel_values.to(dtype))))


class PixelEncoder(VisionEncoder):
    """pixels (B, H, W, 3) uint8 RGB at the model's size; normalisation is in the graph, so that bytes cross to the
    device."""

    def __init__(self, model: Any, mean: list[float], std: list[float]) -> None:
        super().__init__(model)
        self.register_buffer("scale", torch.tensor([1 / (255 * value) for value in std]))
        self.register_buffer("shift", torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]))

    def forward(self, pixels: Tensor) -> Tensor:
        normal = pixels.to(torch.float32) * self.scale + self.shift
        return super().forward(normal.permute(0, 3, 1, 2))


class EmbedTokens(nn.Module):
    """input_ids (B, S) int64 to inputs_embeds (B, S, D)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.table = model.model.language_model.shared

    def forward(self, input_ids: Tensor) -> Tensor:
        return functional.embedding(input_ids, self.table.weight)


class Encoder(nn.Module):
    """BART's encoder: attention_mask (B, S) int64 and inputs_embeds (B, S, D) to last_hidden_state (B, S, D)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.model.language_model.encoder

    def forward(self, attention_mask: Tensor, inputs_embeds: Tensor) -> Tensor:
        places = torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device) + POSITION_OFFSET
        positions = functional.embedding(places, self.encoder.embed_positions.weight)
        hidden = self.encoder.layernorm_embedding(inputs_embeds + positions)
        bias = padding_bias(attention_mask, hidden.dtype)
        for layer in self.encoder.layers:
            own = layer.self_attn
            query, key, value = (split_heads(p(hidden), own.num_heads) for p in (own.q_proj, own.k_proj, own.v_proj))
            hidden = layer.self_attn_layer_norm(hidden + own.out_proj(attend(query, key, value, bias)))
            hidden = feed_forward(layer, hidden)
        return cast(Tensor, hidden)


class CrossCache(nn.Module):
    """encoder_hidden_states (B, S, D) to each decoder layer's cross-attention key and value (B, H, S, Dh), in order."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.layers = model.model.language_model.decoder.layers

    def forward(self, encoder_hidden_states: Tensor) -> tuple[Tensor, ...]:
        caches: list[Tensor] = []
        for layer in self.layers:
            cross = layer.encoder_attn
            caches += [split_heads(p(encoder_hidden_states), cross.num_heads) for p in (cross.k_proj, cross.v_proj)]
        return tuple(caches)


class Decoder(nn.Module):
    """Common half of both branches of the published decoder."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder, self.head = model.model.language_model.decoder, model.lm_head

    def embed(self, inputs_embeds: Tensor, past: int) -> Tensor:
        places = torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device) + past + POSITION_OFFSET
        positions = functional.embedding(places, self.decoder.embed_positions.weight)
        return cast(Tensor, self.decoder.layernorm_embedding(inputs_embeds + positions))

    def logits(self, hidden: Tensor) -> Tensor:
        return cast(Tensor, self.head(hidden)).to(torch.float32)


class FirstDecoder(Decoder):
    """The branch without a cache: inputs_embeds (B, T, D) to logits (B, T, V) fp32 and every layer's four caches."""

    def forward(
        self, encoder_attention_mask: Tensor, encoder_hidden_states: Tensor, inputs_embeds: Tensor
    ) -> tuple[Tensor, ...]:
        hidden = self.embed(inputs_embeds, 0)
        cross_bias = padding_bias(encoder_attention_mask, hidden.dtype)
        rows = torch.arange(inputs_embeds.shape[1], device=hidden.device)
        causal = (rows[None, :] > rows[:, None]).to(hidden.dtype) * torch.finfo(hidden.dtype).min
        caches: list[Tensor] = []
        for layer in self.decoder.layers:
            own, cross = layer.self_attn, layer.encoder_attn
            query, key, value = (split_heads(p(hidden), own.num_heads) for p in (own.q_proj, own.k_proj, own.v_proj))
            mixed = attend(query, key, value, causal[None, None])
            hidden = layer.self_attn_layer_norm(hidden + own.out_proj(mixed))
            far = [split_heads(p(encoder_hidden_states), cross.num_heads) for p in (cross.k_proj, cross.v_proj)]
            mixed = attend(split_heads(cross.q_proj(hidden), cross.num_heads), far[0], far[1], cross_bias)
            hidden = layer.encoder_attn_layer_norm(hidden + cross.out_proj(mixed))
            hidden = feed_forward(layer, hidden)
            caches += [key, value, *far]
        return (self.logits(hidden), *caches)


class NextDecoder(Decoder):
    """The branch with a cache: one token a call; `past` is, for each layer, self key and value, cross key and value."""

    def forward(self, encoder_attention_mask: Tensor, inputs_embeds: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        hidden = self.embed(inputs_embeds, past[0].shape[2])
        cross_bias = padding_bias(encoder_attention_mask, hidden.dtype)
        caches: list[Tensor] = []
        for index, layer in enumerate(self.decoder.layers):
            own, cross = layer.self_attn, layer.encoder_attn
            query, key, value = (split_heads(p(hidden), own.num_heads) for p in (own.q_proj, own.k_proj, own.v_proj))
            key, value = torch.cat([past[4 * index], key], 2), torch.cat([past[4 * index + 1], value], 2)
            hidden = layer.self_attn_layer_norm(hidden + own.out_proj(attend(query, key, value, None)))
            query = split_heads(cross.q_proj(hidden), cross.num_heads)
            mixed = attend(query, past[4 * index + 2], past[4 * index + 3], cross_bias)
            hidden = layer.encoder_attn_layer_norm(hidden + cross.out_proj(mixed))
            hidden = feed_forward(layer, hidden)
            caches += [key, value]
        return (self.logits(hidden), *caches)
