"""Florence-2 to both layouts: the published one, and ours with a static cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from models.export import florence2_graphs as graphs
from models.export import florence2_static as static
from models.export.graph import PUBLISHED_OPSET, STATIC_OPSET, Axes, name_output_axes, trace
from models.export.merge import merged

BATCH, TEXT = 2, 5
"""Sizes to trace with: anything but 0 and 1, which torch.export takes for constants, and different from each other."""

Named = tuple[str, onnx.ModelProto]
Change = Callable[[onnx.ModelProto], onnx.ModelProto]
Variants = Mapping[str, Change]
"""File suffix to what is done to each traced graph: one trace, which is slow, serves all."""


def unchanged(graph: onnx.ModelProto) -> onnx.ModelProto:
    return graph


PLAIN: Variants = {"": unchanged}


class _Sizes:
    """What the graphs' shapes are made of."""

    def __init__(self, model: Any, size: int) -> None:
        text = model.config.text_config
        self.layers, self.heads, self.width = text.decoder_layers, text.decoder_attention_heads, text.d_model
        self.head_width = self.width // self.heads
        self.size = size
        self.dtype = next(model.parameters()).dtype
        with torch.device("meta"):
            self.image_tokens = _image_tokens(model.config.vision_config, size)

    def cache(self, batch: int, length: int) -> Tensor:
        return torch.zeros(batch, self.heads, length, self.head_width, dtype=self.dtype)

    def caches(self, batch: int, own: int, cross: int) -> list[Tensor]:
        """For each layer: self key and value, cross key and value."""
        lengths = (own, own, cross, cross) * self.layers
        return [self.cache(batch, length) for length in lengths]


def _image_tokens(vision: Any, size: int) -> int:
    """Tokens of one picture of size x size: the last stage's cells, and one for their mean."""
    for patch, stride, padding in zip(vision.patch_size, vision.patch_stride, vision.patch_padding, strict=True):
        size = (size + 2 * padding - patch) // stride + 1
    return size * size + 1


def cache_names(prefix: str, layers: int, kinds: Sequence[str] = ("decoder", "encoder")) -> list[str]:
    """`prefix.0.decoder.key`, `prefix.0.decoder.value`, `prefix.0.encoder.key` and so on."""
    return [f"{prefix}.{i}.{kind}.{half}" for i in range(layers) for kind in kinds for half in ("key", "value")]


def published(model: Any, size: int, change: Change = lambda graph: graph) -> Iterator[Named]:
    """(name, graph) of vision_encoder, embed_tokens, encoder_model and decoder_model_merged for pictures of size x
    size px.

    `model` is a Florence2ForConditionalGeneration with `attn_implementation="sdpa"` (the eager channel attention
    overflows fp16) and stays unchanged. `change` is applied to each graph, to the decoder's branches before they are
    merged.
    """
    at = _Sizes(model, size)
    opset = PUBLISHED_OPSET
    pixels = torch.zeros(BATCH, 3, size, size)
    axes: dict[str, Axes] = {"pixel_values": {0: "batch_size"}}
    graph = trace(
        graphs.VisionEncoder(model), {"pixel_values": pixels}, ["pixel_values"], ["image_features"], axes, opset
    )
    yield "vision_encoder", change(graph)
    words: dict[str, Axes] = {"input_ids": {0: "batch_size", 1: "sequence_length"}}
    tokens = torch.ones(BATCH, TEXT, dtype=torch.int64)
    graph = trace(graphs.EmbedTokens(model), {"input_ids": tokens}, ["input_ids"], ["inputs_embeds"], words, opset)
    yield "embed_tokens", change(graph)
    length = at.image_tokens + TEXT
    inputs = {
        "attention_mask": torch.ones(BATCH, length, dtype=torch.int64),
        "inputs_embeds": torch.zeros(BATCH, length, at.width, dtype=at.dtype),
    }
    both: Axes = {0: "batch_size", 1: "encoder_sequence_length"}
    axes = {"attention_mask": both, "inputs_embeds": both}
    graph = trace(graphs.Encoder(model), inputs, list(inputs), ["last_hidden_state"], axes, opset)
    yield "encoder_model", change(graph)
    yield "decoder_model_merged", merged(change(_first_decoder(model, at)), change(_next_decoder(model, at)))


def _first_decoder(model: Any, at: _Sizes) -> onnx.ModelProto:
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


def _next_decoder(model: Any, at: _Sizes) -> onnx.ModelProto:
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


def static_cache(
    model: Any, size: int, mean: list[float], std: list[float], change: Change = lambda graph: graph
) -> Iterator[Named]:
    """(name, graph) of static_vision, static_encoder, static_decoder and static_reorder for pictures of size x size px.

    `mean` and `std` are the image processor's, per channel, of values 0 to 1. `model` and `change` as in `published`.
    """
    at = _Sizes(model, size)
    pixels = torch.zeros(BATCH, size, size, 3, dtype=torch.uint8)
    vision = graphs.PixelEncoder(model, mean, std)
    axes: dict[str, Any] = {"pixels": {0: "images"}}
    yield "static_vision", change(trace(vision, {"pixels": pixels}, ["pixels"], ["image_features"], axes, STATIC_OPSET))
    yield "static_encoder", change(_static_encoder(model, at))
    yield "static_decoder", change(_static_decoder(model, at))
    inputs: dict[str, Tensor | list[Tensor]] = {
        "rows": torch.zeros(BATCH, dtype=torch.int64),
        "caches": [at.cache(BATCH, 7) for _ in range(2 * at.layers)],
    }
    axes = {"rows": {0: "slots"}, "caches": [{0: "slots", 2: "cache_length"}] * (2 * at.layers)}
    names = ["rows", *_slot_names("past_self", at.layers)]
    yield (
        "static_reorder",
        trace(static.Reorder(), inputs, names, _slot_names("present_self", at.layers), axes, STATIC_OPSET),
    )


def _slot_names(prefix: str, layers: int) -> list[str]:
    return [f"{prefix}.{i}.{half}" for i in range(layers) for half in ("key", "value")]


def _static_encoder(model: Any, at: _Sizes) -> onnx.ModelProto:
    images, rows = 3, 2
    inputs = {
        "image_features": torch.zeros(images, at.image_tokens, at.width, dtype=at.dtype),
        "image_index": torch.zeros(rows, dtype=torch.int64),
        "input_ids": torch.ones(rows, TEXT, dtype=torch.int64),
        "text_lengths": torch.ones(rows, dtype=torch.int64),
    }
    axes: dict[str, Axes] = {
        "image_features": {0: "images"},
        "image_index": {0: "rows"},
        "input_ids": {0: "rows", 1: "text_length"},
        "text_lengths": {0: "rows"},
    }
    new = _slot_names("new_cross", at.layers)
    graph = trace(static.StaticEncoder(model), inputs, list(inputs), new, axes, STATIC_OPSET)
    _append_slot_writes(graph.graph, at)
    return graph


def _append_slot_writes(graph: onnx.GraphProto, at: _Sizes) -> None:
    """present_cross = ScatterND(past_cross, slots, new padded with zeros): nothing else reads past_cross, so both
    may be one buffer."""
    kind = graph.output[0].type.tensor_type.elem_type
    new = [value.name for value in graph.output]
    past, present = _slot_names("past_cross", at.layers), _slot_names("present_cross", at.layers)
    del graph.output[:]
    graph.input.append(helper.make_tensor_value_info("slots", TensorProto.INT64, ["rows"]))
    for name, value in {"pad/before": [0] * 6, "pad/after": [0], "pad/one": [-1]}.items():
        graph.initializer.append(numpy_helper.from_array(_int64(value), name))
    graph.node.extend(
        [
            helper.make_node("Shape", [past[0]], ["slot/length"], name="slot/length", start=2, end=3),
            helper.make_node("Shape", [new[0]], ["row/length"], name="row/length", start=2, end=3),
            helper.make_node("Sub", ["slot/length", "row/length"], ["pad/length"], name="pad/length"),
            helper.make_node("Concat", ["pad/before", "pad/length", "pad/after"], ["pads"], name="pads", axis=0),
            helper.make_node("Unsqueeze", ["slots", "pad/one"], ["slot/index"], name="slot/index"),
        ]
    )
    shape = ["slots_total", at.heads, "slot_length", at.head_width]
    for source, old, result in zip(new, past, present, strict=True):
        graph.input.append(helper.make_tensor_value_info(old, kind, shape))
        graph.output.append(helper.make_tensor_value_info(result, kind, shape))
        graph.node.append(helper.make_node("Pad", [source, "pads"], [f"{source}/padded"], name=f"{source}/padded"))
        graph.node.append(
            helper.make_node("ScatterND", [old, "slot/index", f"{source}/padded"], [result], name=f"{result}/write")
        )


def _int64(values: list[int]) -> Any:
    return torch.tensor(values, dtype=torch.int64).numpy()


def _static_decoder(model: Any, at: _Sizes) -> onnx.ModelProto:
    cache, length = 7, at.image_tokens + TEXT
    inputs: dict[str, Tensor | list[Tensor]] = {
        "input_ids": torch.ones(BATCH, 1, dtype=torch.int64),
        "write_indices": torch.zeros(BATCH, dtype=torch.int64),
        "encoder_lengths": torch.ones(BATCH, dtype=torch.int64),
        "banned": torch.zeros(BATCH, 3, dtype=torch.int64),
        "caches": at.caches(BATCH, cache, length),
    }
    own, cross = {0: "slots", 2: "cache_length"}, {0: "slots", 2: "slot_length"}
    axes: dict[str, Any] = {
        "input_ids": {0: "slots"},
        "write_indices": {0: "slots"},
        "encoder_lengths": {0: "slots"},
        "banned": {0: "slots", 1: "bans"},
        "caches": [own, own, cross, cross] * at.layers,
    }
    kinds = ("past_self", "cross")
    caches = [f"{kind}.{i}.{half}" for i in range(at.layers) for kind in kinds for half in ("key", "value")]
    names = [*list(inputs)[:-1], *caches]
    outputs = ["next_ids", "next_logprobs", "logits", *_slot_names("present_self", at.layers)]
    graph = trace(static.StaticDecoder(model), inputs, names, outputs, axes, STATIC_OPSET)
    name_output_axes(graph, dict.fromkeys(_slot_names("present_self", at.layers), own))
    return graph
