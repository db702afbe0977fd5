"""transformers' SigLIP, SigLIP 2 and CLIP against the runtime, and against optimum's own export."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from models.export.folder import write_towers
from models.goldens import towers
from models.parity.report import Report
from stream.infer.siglip import Siglip


def compare(report: Report, fresh: Path) -> None:
    """Exports each tiny model and compares vectors and probabilities."""
    for make in towers.ALL:
        one = make()
        folder = fresh / f"live-{one.name}"
        write_towers(
            one.model,
            one.tokenizer,
            one.images,
            folder,
            source="random weights",
            licence="none",
            precisions=("fp32", "int8"),
            lower_case=one.lower_case,
        )
        expected = towers.arrays(one)
        _runtime(folder, expected, report, one.name)
        if one.name == "siglip":
            _optimum(one, expected, fresh / "optimum", report)


def _runtime(folder: Path, expected: dict[str, Any], report: Report, name: str) -> None:
    model = Siglip.load(folder, provider="cpu")
    images, texts = model.embed_images(towers.pictures()), model.embed_text(towers.TEXTS)
    report.close(f"{name}: picture vectors", images, expected["image_vectors"], 1e-5)
    report.close(f"{name}: text vectors", texts, expected["text_vectors"], 1e-5)
    report.close(f"{name}: probabilities", model.probability(images, texts), expected["probabilities"], 1e-5)
    small = Siglip.load(folder, provider="cpu", precision="int8")
    cosine = float((small.embed_images(towers.pictures()) * expected["image_vectors"]).sum(1).min())
    report.check(f"{name}: int8 picture vectors", cosine > 0.98, f"smallest cosine {cosine:.4f}, wanted 0.98")


def _optimum(one: Any, expected: dict[str, Any], folder: Path, report: Report) -> None:
    """optimum exports both towers as one graph: slower to run, but an independent witness."""
    from optimum.exporters.onnx import onnx_export_from_model

    one.model.config.architectures = ["SiglipModel"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx_export_from_model(one.model, folder, task="zero-shot-image-classification", do_validation=False, opset=18)
    session = ort.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    pixels = one.images(towers.pictures(), return_tensors="np").pixel_values.astype(np.float32)
    names = [value.name for value in session.get_outputs()]
    feed = {"input_ids": expected["input_ids"], "pixel_values": pixels}
    found = dict(zip(names, session.run(None, feed), strict=True))
    report.close("siglip: optimum's picture vectors", found["image_embeds"], expected["image_vectors"], 1e-5)
    report.close("siglip: optimum's text vectors", found["text_embeds"], expected["text_vectors"], 1e-5)
