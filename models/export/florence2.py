"""Florence-2 to both layouts: the published one, and ours with a static cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import onnx
import torch
from torch import Tensor

from models.export import florence2_graphs as graphs
from models.export.florence2_slots import static_cache
from models.export.graph import PUBLISHED_OPSET, Axes, name_output_axes, trace
from models.export.merge import merged
from models.export.tracing import BATCH, PLAIN, TEXT, Named, Sizes, Variants, variants_of

__all__ = ["published", "static_cache"]


def cache_names(prefix: str, layers: int, kinds: Sequence[str] = ("decoder", "encoder")) -> list[str]:
    """`prefix.0.decoder.key`, `prefix.0.decoder.value`, `prefix.0.encoder.key` and so on."""
    return [f"{prefix}.{i}.{kind}.{half}" for i in range(layers) for kind in kinds for half in ("key", "value")]


def published(model: Any, size: int, variants: Variants = PLAIN) -> Iterator[Named]:
    """(name, graph) of vision_encoder, embed_tokens, encoder_model and decoder_model_merged.

    `model` is a Florence2ForConditionalGeneration with `attn_implementation="sdpa"` (the eager channel attention
    overflows fp16) for pictures of size x size px; it stays unchanged. Each of `variants` gives files of its own suffix;
    it is applied to each graph, to the decoder's branches before they are merged.
    """
    at = Sizes(model, size)
    yield from variants_of("vision_encoder", _vision(model, size), variants)
    words: dict[str, Axes] = {"input_ids": {0: "batch_size", 1: "sequence_length"}}
    tokens = {"input_ids": torch.ones(BATCH, TEXT, dtype=torch.int64)}
    graph = trace(graphs.EmbedTokens(model), tokens, ["input_ids"], ["inputs_embeds"], words, PUBLISHED_OPSET)
    yield from variants_of("embed_tokens", graph, variants)
    yield from variants_of("encoder_model", _encoder(model, at), variants)
    first, following = _first_decoder(model, at), _next_decoder(model, at)
    pairs = zip(variants_of("", first, variants), variants_of("", following, variants), strict=True)
    for (suffix, without), (_, cached) in pairs:
        yield f"decoder_model_merged{suffix}", merged(without, cached)


def _vision(model: Any, size: int) -> onnx.ModelProto:
    inputs = {"pixel_values": torch.zeros(BATCH, 3, size, size)}
    axes: dict[str, Axes] = {"pixel_values": {0: "batch_size"}}
    return trace(graphs.VisionEncoder(model), inputs, list(inputs), ["image_features"], axes, PUBLISHED_OPSET)


def _encoder(model: Any, at: Sizes) -> onnx.ModelProto:
    length = at.image_tokens + TEXT
    inputs = {
        "attention_mask": torch.ones(BATCH, length, dtype=torch.int64),
        "inputs_embeds": torch.zeros(BATCH, length, at.width, dtype=at.dtype),
    }
    both: Axes = {0: "batch_size", 1: "encoder_sequence_length"}
    axes = {"attention_mask": both, "inputs_embeds": both}
    return trace(graphs.Encoder(model), inputs, list(inputs), ["last_hidden_state"], axes, PUBLISHED_OPSET)


def _first_decoder(model: Any, at: Sizes) -> onnx.ModelProto:
    length, tokens = at.image_tokens + TEXT, 3
    inputs = {
        "encoder_attention_mask": torch.ones(BATCH, length, dtype=torch.int64),
        "encoder_hidden_states": torch.zeros(BATCH, length, at.width, dtype=at.dtype),
        "inputs_embeds": torch.zeros(BATCH, tokens, at.width, dtype=at.dtype),
    }
    both: Axes = {0: "batch_size", 1: "encoder_sequence_length"}
    axes = {
        "encoder_attention_mask": both,
        "encoder_hidden_states": both,
        "inputs_embeds": {0: "batch_size", 1: "decoder_sequence_length"},
    }
    outputs = ["logits", *cache_names("present", at.layers)]
    graph = trace(graphs.FirstDecoder(model), inputs, list(inputs), outputs, axes, PUBLISHED_OPSET)
    name_output_axes(graph, {"logits": {0: "batch_size", 1: "decoder_sequence_length"}})
    return graph


def _next_decoder(model: Any, at: Sizes) -> onnx.ModelProto:
    length, past = at.image_tokens + TEXT, 3
    inputs: dict[str, Tensor | list[Tensor]] = {
        "encoder_attention_mask": torch.ones(BATCH, length, dtype=torch.int64),
        "inputs_embeds": torch.zeros(BATCH, 1, at.width, dtype=at.dtype),
        "past": at.caches(BATCH, past, length),
    }
    own: Axes = {0: "batch_size", 2: "past_decoder_sequence_length"}
    cross: Axes = {0: "batch_size", 2: "encoder_sequence_length"}
    axes: dict[str, Any] = {
        "encoder_attention_mask": {0: "batch_size", 1: "encoder_sequence_length"},
        "inputs_embeds": {0: "batch_size"},
        "past": [own, own, cross, cross] * at.layers,
    }
    names = ["encoder_attention_mask", "inputs_embeds", *cache_names("past_key_values", at.layers)]
    outputs = ["logits", *cache_names("present", at.layers, ("decoder",))]
    graph = trace(graphs.NextDecoder(model), inputs, names, outputs, axes, PUBLISHED_OPSET)
    # Merged with the first call, which takes several tokens.
    graph.graph.input[1].type.tensor_type.shape.dim[1].dim_param = "decoder_sequence_length"
    return graph
