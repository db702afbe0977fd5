"""Florence-2's static-cache graphs: traced, and given what torch cannot say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from models.export import florence2_static as static
from models.export.florence2_graphs import PixelEncoder
from models.export.graph import STATIC_OPSET, Axes, name_output_axes, trace
from models.export.tracing import BATCH, PLAIN, TEXT, Named, Sizes, Variants, variants_of


def static_cache(
    model: Any, size: int, mean: list[float], std: list[float], variants: Variants = PLAIN
) -> Iterator[Named]:
    """(name, graph) of static_vision, static_encoder, static_decoder and static_reorder for pictures of size x size px.

    `mean` and `std` are the image processor's, per channel, of values 0 to 1. `model` and `variants` as in
    `florence2.published`.
    """
    at = Sizes(model, size)
    pixels = {"pixels": torch.zeros(BATCH, size, size, 3, dtype=torch.uint8)}
    axes: dict[str, Axes] = {"pixels": {0: "images"}}
    graph = trace(PixelEncoder(model, mean, std), pixels, ["pixels"], ["image_features"], axes, STATIC_OPSET)
    yield from variants_of("static_vision", graph, variants)
    yield from variants_of("static_encoder", _static_encoder(model, at), variants)
    yield from variants_of("static_decoder", _static_decoder(model, at), variants)
    reorder = _static_reorder(at)
    yield from ((f"static_reorder{suffix}", reorder) for suffix in variants)


def _static_reorder(at: Sizes) -> onnx.ModelProto:
    inputs: dict[str, Tensor | list[Tensor]] = {
        "rows": torch.zeros(BATCH, dtype=torch.int64),
        "caches": [at.cache(BATCH, 7) for _ in range(2 * at.layers)],
    }
    axes: dict[str, Any] = {"rows": {0: "slots"}, "caches": [{0: "slots", 2: "cache_length"}] * (2 * at.layers)}
    names = ["rows", *_slot_names("past_self", at.layers)]
    return trace(static.Reorder(), inputs, names, _slot_names("present_self", at.layers), axes, STATIC_OPSET)


def _slot_names(prefix: str, layers: int) -> list[str]:
    return [f"{prefix}.{i}.{half}" for i in range(layers) for half in ("key", "value")]


def _static_encoder(model: Any, at: Sizes) -> onnx.ModelProto:
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


def _append_slot_writes(graph: onnx.GraphProto, at: Sizes) -> None:
    """present_cross = ScatterND(past_cross, slots, new padded with zeros): nothing else reads past_cross, so both
    may be one buffer."""
    kind = graph.output[0].type.tensor_type.elem_type
    new = [value.name for value in graph.output]
    past, present = _slot_names("past_cross", at.layers), _slot_names("present_cross", at.layers)
    del graph.output[:]
    graph.input.append(helper.make_tensor_value_info("slots", TensorProto.INT64, ["rows"]))
    for name, value in {"pad/before": [0] * 6, "pad/after": [0], "pad/one": [-1]}.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
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


def _static_decoder(model: Any, at: Sizes) -> onnx.ModelProto:
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
