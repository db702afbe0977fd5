"""The same graph in less precision."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from models.export.graph import cleaned
from models.export.tracing import Variants, unchanged

SUFFIXES = {"fp32": "", "fp16": "_fp16", "int8": "_int8"}
"""File suffix of each precision; published int8 files end in `_quantized` instead."""


def int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights of matrix products as int8 per channel, activations quantised as they come; everything else stays fp32.

    Seven bits of the eight are used: without VNNI instructions a CPU saturates on the sum of two full products
    (onnxruntime's quantisation guide). Convolutions stay fp32: their
    integer kernel on the CPU is slower than the float one.
    """
    logging.getLogger().addFilter(_quiet)
    try:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "int8.onnx"
            quantize_dynamic(
                model,
                target,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul"],
                extra_options={"EnableSubgraph": True},  # the branches of a merged decoder
            )
            return cleaned(onnx.load(target))
    finally:
        logging.getLogger().removeFilter(_quiet)


def _quiet(record: logging.LogRecord) -> bool:
    """onnxruntime advises a preparation that does not know opset 24."""
    return "pre-processing" not in record.getMessage()


def plan(model: Any, precisions: Sequence[str]) -> Iterator[tuple[Any, Variants]]:
    """Weights to trace, and the variants that come of the trace: fp32 and int8 of one, fp16 of another."""
    of_fp32 = {"fp32": unchanged, "int8": int8}
    variants = {SUFFIXES[name]: change for name, change in of_fp32.items() if name in precisions}
    if variants:
        yield model, variants
    if "fp16" in precisions:
        yield deepcopy(model).half(), {SUFFIXES["fp16"]: unchanged}
