"""Both branches of the published decoder in one file: an `If` on `use_cache_branch`, with the weights stored once."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.export.graph import cleaned


def merged(first: onnx.ModelProto, following: onnx.ModelProto) -> onnx.ModelProto:
    """`decoder_model_merged` from the branch without and the branch with a cache; both models are used up.

    In the cached branch the cross-attention outputs are empty, as optimum's are: the caller keeps those of the first
    call.
    """
    weights: dict[str, TensorProto] = {}
    for prefix, model in (("first/", first), ("next/", following)):
        _hoist(model.graph, prefix, weights)
    _add_empty_outputs(following.graph, first.graph)
    inputs = {value.name: value for value in (*first.graph.input, *following.graph.input)}
    flag = helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])
    node = helper.make_node(
        "If",
        ["use_cache_branch"],
        [value.name for value in first.graph.output],
        name="use_cache",
        then_branch=_branch(following.graph, "next"),
        else_branch=_branch(first.graph, "first"),
    )
    graph = helper.make_graph(
        [node], "main_graph", [*inputs.values(), flag], _open_outputs(first.graph), initializer=list(weights.values())
    )
    model = helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version)
    return cleaned(model)


def _hoist(graph: onnx.GraphProto, prefix: str, weights: dict[str, TensorProto]) -> None:
    """Move the graph's weights to `weights` (by content) and make all its inner names unique with `prefix`."""
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        content = numpy_helper.to_array(tensor)
        key = hashlib.sha256(f"{content.dtype}{content.shape}".encode() + content.tobytes()).hexdigest()[:24]
        if key not in weights:
            weights[key] = TensorProto()
            weights[key].CopyFrom(tensor)
            weights[key].name = f"weight/{key}"
        names[tensor.name] = f"weight/{key}"
    del graph.initializer[:], graph.value_info[:]
    kept = {value.name for value in (*graph.input, *graph.output)}
    for node in graph.node:
        names.update({name: prefix + name for name in node.output if name and name not in kept})
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        node.name = prefix + node.name


def _add_empty_outputs(graph: onnx.GraphProto, like: onnx.GraphProto) -> None:
    """Give `graph` the outputs that only `like` has, as tensors without rows, and put all in the order of `like`."""
    own = {value.name: value for value in graph.output}
    outputs = []
    for value in like.output:
        if value.name not in own:
            kind = value.type.tensor_type
            heads, width = (kind.shape.dim[index].dim_value for index in (1, 3))
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
            empty = numpy_helper.from_array(np.zeros((0, heads, 1, width), dtype))
            graph.node.append(helper.make_node("Constant", [], [value.name], value=empty, name=f"next/{value.name}"))
            own[value.name] = helper.make_tensor_value_info(value.name, kind.elem_type, [0, heads, 1, width])
        outputs.append(own[value.name])
    del graph.output[:]
    graph.output.extend(outputs)


def _branch(graph: onnx.GraphProto, name: str) -> onnx.GraphProto:
    """The graph as a branch: no inputs of its own, outputs without shapes."""
    outputs = [helper.make_tensor_value_info(v.name, v.type.tensor_type.elem_type, None) for v in graph.output]
    return helper.make_graph(list(graph.node), name, [], outputs)


def _open_outputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The merged model's outputs: the branches differ in batch and length, so these dimensions stay open."""
    opened = []
    for value in graph.output:
        kind = value.type.tensor_type
        sizes = [d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in kind.shape.dim]
        if value.name != "logits":
            length = "encoder_sequence_length_out" if ".encoder." in value.name else "total_sequence_length"
            sizes[0], sizes[2] = "batch_size_out", length
        opened.append(helper.make_tensor_value_info(value.name, kind.elem_type, sizes))
    return opened
