"""Florence-2 as graphs with a static cache: no branch, in-place caches, every batch dimension dynamic.

Opset 24: `TensorScatter` writes one token into each slot's cache, `Attention` with `nonpad_kv_seqlen` reads only
what is valid. A finished slot can therefore be refilled at once, and a GPU can capture a whole step.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.onnx.ops import symbolic

from models.export.florence2_graphs import POSITION_OFFSET, feed_forward, split_heads

ATTENTION_VERSION = 24


def valid_attention(query: Tensor, key: Tensor, value: Tensor, lengths: Tensor) -> Tensor:
    """ONNX Attention-24: (B, H, T, Dh) over the first `lengths` (B,) int64 keys of (B, H, S, Dh); (B, T, H * Dh)."""
    batch, heads, tokens, width = query.shape
    mixed = symbolic(
        "Attention",
        (query, key, value, None, None, None, lengths),
        {"scale": width**-0.5},
        dtype=query.dtype,
        shape=query.shape,
        version=ATTENTION_VERSION,
    )
    return cast(Tensor, mixed.transpose(1, 2).reshape(batch, tokens, heads * width))


def written(cache: Tensor, update: Tensor, rows: Tensor) -> Tensor:
    """ONNX TensorScatter-24: `cache` (B, H, C, Dh) with `update` (B, H, 1, Dh) at row `rows` (B,) int64 of each
    slot."""
    return cast(
        Tensor,
        symbolic(
            "TensorScatter",
            (cache, update, rows),
            {"axis": 2},
            dtype=cache.dtype,
            shape=cache.shape,
            version=ATTENTION_VERSION,
        ),
    )


class StaticEncoder(nn.Module):
    """Embedding, encoder and cross-attention caches of the rows that are admitted.

    image_features (I, N, D), image_index (R,), input_ids (R, T), text_lengths (R,) to a key and a value
    (R, H, N + T, Dh) for each decoder layer. The write into the slots is appended to the exported graph.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        language = model.model.language_model
        self.table, self.encoder, self.layers = language.shared, language.encoder, language.decoder.layers

    def forward(
        self, image_features: Tensor, image_index: Tensor, input_ids: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, ...]:
        words = functional.embedding(input_ids, self.table.weight)
        embeds = torch.cat([torch.index_select(image_features, 0, image_index), words], 1)
        places = torch.arange(embeds.shape[1], device=embeds.device) + POSITION_OFFSET
        positions = functional.embedding(places, self.encoder.embed_positions.weight)
        hidden = self.encoder.layernorm_embedding(embeds + positions)
        lengths = text_lengths + image_features.shape[1]
        for layer in self.encoder.layers:
            own = layer.self_attn
            query, key, value = (split_heads(p(hidden), own.num_heads) for p in (own.q_proj, own.k_proj, own.v_proj))
            mixed = valid_attention(query, key, value, lengths)
            hidden = layer.self_attn_layer_norm(hidden + own.out_proj(mixed))
            hidden = feed_forward(layer, hidden)
        caches: list[Tensor] = []
        for layer in self.layers:
            cross = layer.encoder_attn
            caches += [split_heads(p(hidden), cross.num_heads) for p in (cross.k_proj, cross.v_proj)]
        return tuple(caches)


class StaticDecoder(nn.Module):
    """One token for every slot.

    `caches` holds, for each layer, self key and value (B, H, C, Dh) and cross key and value (B, H, S, Dh). Gives
    next_ids (B,) int64, next_logprobs (B,) fp32, logits (B, V) fp32 before the ban, and the new self keys and values.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder, self.head = model.model.language_model.decoder, model.lm_head

    def forward(
        self, input_ids: Tensor, write_indices: Tensor, encoder_lengths: Tensor, banned: Tensor, caches: list[Tensor]
    ) -> tuple[Tensor, ...]:
        words = functional.embedding(input_ids, self.decoder.embed_tokens.weight)
        places = functional.embedding(write_indices + POSITION_OFFSET, self.decoder.embed_positions.weight)
        hidden = self.decoder.layernorm_embedding(words + places.unsqueeze(1))
        kept: list[Tensor] = []
        for index, layer in enumerate(self.decoder.layers):
            own, cross = layer.self_attn, layer.encoder_attn
            query, key, value = (split_heads(p(hidden), own.num_heads) for p in (own.q_proj, own.k_proj, own.v_proj))
            keys = written(caches[4 * index], key, write_indices)
            values = written(caches[4 * index + 1], value, write_indices)
            mixed = valid_attention(query, keys, values, write_indices + 1)
            hidden = layer.self_attn_layer_norm(hidden + own.out_proj(mixed))
            query = split_heads(cross.q_proj(hidden), cross.num_heads)
            mixed = valid_attention(query, caches[4 * index + 2], caches[4 * index + 3], encoder_lengths)
            hidden = layer.encoder_attn_layer_norm(hidden + cross.out_proj(mixed))
            hidden = feed_forward(layer, hidden)
            kept += [keys, values]
        # Two dimensions make this a Gemm that reads the embedding table itself instead of a transposed copy of it.
        logits = functional.linear(hidden.squeeze(1), self.head.weight).to(torch.float32)
        return (*choose(logits, banned), logits, *kept)


def choose(logits: Tensor, banned: Tensor) -> tuple[Tensor, Tensor]:
    """The best token that is not banned, (B,) int64, and its log-probability before the ban, (B,) fp32.

    `banned` (B, K) int64; -1 bans nothing. Without a reduction, so that it is the same in every run on a GPU.
    """
    index = torch.clamp(banned, min=0)
    kept = torch.where(banned < 0, torch.gather(logits, 1, index), float("-inf"))
    best = torch.argmax(torch.scatter(logits, 1, index, kept), -1)
    chances = torch.gather(torch.log_softmax(logits, -1), 1, best.unsqueeze(1))
    return best, chances.squeeze(1)


class Reorder(nn.Module):
    """Beam search: the self caches (B, H, C, Dh) in the order of `rows` (B,) int64."""

    def forward(self, rows: Tensor, caches: list[Tensor]) -> tuple[Tensor, ...]:
        return tuple(torch.index_select(cache, 0, rows) for cache in caches)
