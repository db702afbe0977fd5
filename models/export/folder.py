"""Model folders: configuration, tokenizer, graphs of every layout and precision, and the manifest."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import onnx

from models.export import florence2, precision, towers
from models.export.graph import save
from stream.infer import manifest

LAYOUTS = ("published", "static")
PRECISIONS = tuple(precision.SUFFIXES)

KEPT = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""What the runtime and transformers read; the vocabulary's other spellings are not copied."""

Said = Callable[[str], None]


def _silent(_: str) -> None:
    pass


def write_florence2(
    model: Any,
    processor: Any,
    folder: Path,
    *,
    source: str,
    licence: str,
    layouts: Sequence[str] = LAYOUTS,
    precisions: Sequence[str] = ("fp32",),
    demo: bool = False,
    name: str | None = None,
    tasks: Sequence[str] | None = None,
    say: Said = _silent,
) -> None:
    """Export a Florence2ForConditionalGeneration (fp32, "sdpa") and its Florence2Processor into `folder`.

    `layouts` of published and static, `precisions` of fp32, fp16 and int8. `tasks` names those a model was trained
    for, None means all. `say` hears a line for each file.
    """
    _write_settings(folder, model, processor, getattr(model, "generation_config", None))
    images = processor.image_processor
    side = int(images.size["height"])
    mean, std = list(images.image_mean), list(images.image_std)
    for weights, variants in precision.plan(model, precisions):
        if "published" in layouts:
            _save_all(florence2.published(weights, side, variants), folder, say)
        if "static" in layouts:
            _save_all(florence2.static_cache(weights, side, mean, std, variants), folder, say)
    _write_manifest(folder, "florence2", name, demo, tasks, source, licence, layouts, precisions)


def write_towers(
    model: Any,
    tokenizer: Any,
    images: Any,
    folder: Path,
    *,
    source: str,
    licence: str,
    precisions: Sequence[str] = ("fp32",),
    lower_case: bool = False,
    demo: bool = False,
    name: str | None = None,
    say: Said = _silent,
) -> None:
    """Export a SiglipModel or CLIPModel (fp32, "sdpa"), its tokenizer and image processor into `folder`.

    `lower_case` marks SigLIP 2, whose tokenizer keeps the case that training had taken away.
    """
    _write_settings(folder, model, tokenizer, None)
    images.save_pretrained(folder)
    calibration: dict[str, Any] = {"logit_scale": model.logit_scale.item()}
    if getattr(model, "logit_bias", None) is not None:
        calibration["logit_bias"] = model.logit_bias.item()
    if lower_case:
        calibration["lower_case"] = True
    (folder / "calibration.json").write_text(json.dumps(calibration) + "\n")
    side = images.crop_size["height"] if getattr(images, "crop_size", None) else images.size["height"]
    mean, std = list(images.image_mean), list(images.image_std)
    for weights, variants in precision.plan(model, precisions):
        _save_all(towers.towers(weights, int(side), mean, std, variants), folder, say)
    architecture = "clip" if model.config.model_type == "clip" else "siglip"
    _write_manifest(folder, architecture, name, demo, None, source, licence, ("published",), precisions)


def _save_all(graphs: Iterable[tuple[str, onnx.ModelProto]], folder: Path, say: Said) -> None:
    for name, graph in graphs:
        path = folder / "onnx" / f"{name}.onnx"
        save(graph, path)
        say(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


def _write_settings(folder: Path, model: Any, processor: Any, generation: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as spare:
        model.config.save_pretrained(spare)
        processor.save_pretrained(spare)
        if generation is not None:
            generation.save_pretrained(spare)
        for name in KEPT:
            if (Path(spare) / name).is_file():
                shutil.copyfile(Path(spare) / name, folder / name)
    config = json.loads((folder / "config.json").read_text())
    # A local checkpoint's path says nothing to anyone else.
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def _write_manifest(
    folder: Path,
    architecture: str,
    name: str | None,
    demo: bool,
    tasks: Sequence[str] | None,
    source: str,
    licence: str,
    layouts: Sequence[str],
    precisions: Sequence[str],
) -> None:
    path = manifest.write(folder, name=name or folder.name, architecture=architecture, demo=demo, tasks=tasks)
    said = json.loads(path.read_text())
    files = said.pop("files")
    said |= {"source": source, "licence": licence, "layouts": list(layouts), "precisions": list(precisions)}
    path.write_text(json.dumps(said | {"files": files}, indent=1) + "\n")
