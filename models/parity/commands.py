"""`models export` and `models check` on checkpoints of every kind, from their files to their answers, as users run them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper
from PIL import Image

from models.export import check as checker
from models.export.__main__ import main as export
from models.export.precision import SUFFIXES
from models.export.quantise import quantise
from models.frames import held_out
from models.goldens import florence2, towers
from models.goldens.pictures import picture
from models.parity.report import Report
from stream.capture.scenery import caption
from stream.infer import manifest
from stream.infer.florence2 import Florence2

FLORENCE2 = (
    *("vision_encoder", "embed_tokens", "encoder_model", "decoder_model_merged"),
    *("static_vision", "static_encoder", "static_decoder", "static_reorder"),
)
TOWERS = ("vision_model", "text_model")
KINDS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "int8": TensorProto.INT8}
WITHOUT = {"static_reorder_fp16", "static_reorder_int8", "embed_tokens_int8"}
"""Files whose precision leaves no trace in weights: reordering has none, and int8 is for matrix products."""


def compare(report: Report, fresh: Path) -> None:
    """Every kind: saved as transformers saves it, exported in every layout and precision, checked on a picture."""
    image = fresh / "picture.png"
    Image.fromarray(np.asarray(picture(1, 160, 120))).save(image)
    ref = florence2.reference()
    _one(report, fresh, image, "florence2", (ref.model, ref.processor), FLORENCE2)
    for make in towers.ALL:
        one = make()
        _one(report, fresh, image, one.name, (one.model, one.tokenizer, one.images), TOWERS)
    _refusals(report, fresh, image)
    _quantised(report, fresh / "quantised")


def _one(report: Report, fresh: Path, image: Path, name: str, parts: tuple[Any, ...], graphs: Sequence[str]) -> None:
    source, target = fresh / f"checkpoint-{name}", fresh / f"exported-{name}"
    for part in parts:
        part.save_pretrained(source)
    options = [f"--precision={precision}" for precision in SUFFIXES]
    report.check(f"export: {name}", _code(export, source, target, *options) == 0)
    wrong = [
        f"{graph}{suffix}"
        for graph in graphs
        for precision, suffix in SUFFIXES.items()
        if not _is(precision, target / "onnx" / f"{graph}{suffix}.onnx")
    ]
    report.same(f"export: {name}, {len(graphs)} graphs in {len(SUFFIXES)} precisions", wrong, [])
    made = {path.stem for path in (target / "onnx").iterdir()}
    report.same(f"export: {name}, and no other", sorted(made), sorted(g + s for g in graphs for s in SUFFIXES.values()))
    report.check(f"check: {name} is as transformers has it", _code(checker.main, target, image) == 0)


def _is(precision: str, path: Path) -> bool:
    """Whether onnxruntime loads the file and its weights are what its name says."""
    if not path.is_file():
        return False
    ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer}
    if precision == "fp32":
        return not kinds & {TensorProto.FLOAT16, TensorProto.INT8}
    return path.stem in WITHOUT or KINDS[precision] in kinds


def _refusals(report: Report, fresh: Path, image: Path) -> None:
    other, nothing = fresh / "checkpoint-other", fresh / "nothing"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "bert"}))
    report.check("export: another architecture is refused", _code(export, other, nothing) == 1)
    report.check("export: no checkpoint is refused", _code(export, fresh / "not-there", nothing) == 1)
    report.check("export: what is refused leaves nothing behind", not nothing.exists())
    altered = fresh / "exported-siglip"
    graph = altered / "onnx" / "vision_model.onnx"
    model = onnx.load(graph)
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(largest), largest.name))
    onnx.save(model, graph)
    report.check("check: an altered file is refused", _code(checker.main, altered, image) == 1)
    said = json.loads((altered / manifest.NAME).read_text())
    manifest.write(altered, name="siglip", architecture="siglip")
    written = json.loads((altered / manifest.NAME).read_text())
    (altered / manifest.NAME).write_text(json.dumps(said | {"files": written["files"]}))
    report.check("check: other weights are told from transformers'", _code(checker.main, altered, image) == 1)


def _quantised(report: Report, folder: Path) -> None:
    """The bundled files, without their checkpoint: a merged decoder's branches become int8 too."""
    source = manifest.bundled() / "florence2-demo"
    quantise(source, folder)
    size = {path.name: path.stat().st_size for path in folder.glob("*.onnx")}
    for name in ("vision_encoder", "encoder_model", "decoder_model_merged"):
        share = size[f"{name}_int8.onnx"] / size[f"{name}.onnx"]
        report.check(f"quantise: {name}", share < 0.6, f"{share:.2f} of the fp32 file, wanted 0.6")
    scene, rgb = next(one for one in held_out(20260, 20) if one[0].objects)
    model = Florence2.load(folder, provider="cpu", precision="int8")
    report.same("quantise: caption", model.look(rgb, ["<CAPTION>"])["<CAPTION>"].text, caption(scene))


def _code(main: Callable[[Sequence[str]], int], *words: str | Path) -> int:
    return main([str(word) for word in words])
