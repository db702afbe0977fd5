"""A torch module becomes an ONNX graph, without anything of the machine it was made on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

PUBLISHED_OPSET = 18
"""Widely readable: onnxruntime 1.14 and later, and onnxruntime-web."""

STATIC_OPSET = 24
"""The first with TensorScatter and `nonpad_kv_seqlen`: onnxruntime 1.24 and later."""

LARGEST_FILE_BYTES = 1_900_000_000
"""A protobuf file ends at 2 GiB; weights beyond this go to a file beside it."""

Axes = Mapping[int, str]


def trace(
    module: nn.Module,
    inputs: Mapping[str, Tensor | list[Tensor]],
    input_names: Sequence[str],
    output_names: Sequence[str],
    axes: Mapping[str, Axes | Sequence[Axes]],
    opset: int,
) -> onnx.ModelProto:
    """The module's graph. `axes` names the dynamic dimensions of each input, for a list of tensors one mapping a
    tensor.

    Raises torch.onnx.OnnxExporterError where the module cannot be exported.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    shapes: dict[str, Any] = {}
    for name, value in inputs.items():
        said: Any = axes.get(name, {})
        shapes[name] = [dict(one) for one in said] if isinstance(value, list) else dict(said)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            (),
            kwargs=dict(inputs),
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=shapes,
            dynamo=True,
            opset_version=opset,
            optimize=True,
            verbose=False,
        )
    if program is None:  # pragma: no cover - only with dynamo=False
        raise RuntimeError("torch.onnx.export gave no program")
    return cleaned(program.model_proto)


def cleaned(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without stack traces, file paths and module names, which differ from machine to machine."""
    del model.metadata_props[:]
    model.doc_string = ""
    model.producer_name, model.producer_version = "seestream", ""
    _clean_graph(model.graph)
    del model.functions[:]
    used = _domains(model.graph)
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def _clean_graph(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    graph.name = "main_graph"
    del graph.metadata_props[:], graph.value_info[:]
    for entry in (*graph.input, *graph.output, *graph.initializer):
        entry.doc_string = ""
        del entry.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _clean_graph(attribute.g)


def _domains(graph: onnx.GraphProto) -> set[str]:
    found = {""}
    for node in graph.node:
        found.add(node.domain)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found |= _domains(attribute.g)
    return found


def name_output_axes(model: onnx.ModelProto, axes: Mapping[str, Axes]) -> None:
    """Give the outputs' dynamic dimensions the names that readers of the layout know."""
    for value in model.graph.output:
        for index, name in axes.get(value.name, {}).items():
            dimension = value.type.tensor_type.shape.dim[index]
            if not dimension.HasField("dim_value"):
                dimension.dim_param = name


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write the file; weights of a graph beyond 1.9 GB go to `<name>_data` beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if model.ByteSize() > LARGEST_FILE_BYTES:
        onnx.save(model, path, save_as_external_data=True, location=f"{path.name}_data", convert_attribute=False)
    else:
        onnx.save(model, path)
