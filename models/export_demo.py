"""Turn the demo models' checkpoints into models/onnx: python -m models.export_demo --work DIR [--out DIR].

Runs in the training environment. A model whose checkpoint is not in the work folder is left as it is. --random writes
models of the same shape with random weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from transformers import Florence2ForConditionalGeneration, PretrainedConfig, SiglipModel

from models.export.florence2 import published
from models.export.graph import PUBLISHED_OPSET, save, trace
from models.train import florence_model, siglip_model
from models.train.florence_batch import MEAN, STD, Words
from models.train.tasks import PROMPTS
from models.train.vocabulary import SIGLIP_LENGTH, florence_tokenizer, siglip_tokenizer
from stream.capture.scenery import CLASSES, COLORS, PLACES, SIZE_PX
from stream.infer import manifest

LICENCE = "Apache-2.0"
_BICUBIC = 3


class _Tower(nn.Module):
    """A SigLIP tower with the outputs of the published files."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower


class _VisionTower(_Tower):
    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        out = self.tower(pixel_values=pixel_values)
        return out.last_hidden_state, out.pooler_output


class _TextTower(_Tower):
    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        out = self.tower(input_ids=input_ids)
        return out.last_hidden_state, out.pooler_output


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _preprocessor(mean: tuple[float, ...], std: tuple[float, ...], kind: str) -> dict[str, Any]:
    return {
        "image_processor_type": kind,
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": SIZE_PX, "width": SIZE_PX},
        "resample": _BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(mean),
        "image_std": list(std),
    }


def _weights(model: nn.Module, path: Path | None) -> None:
    """Put the checkpoint's averaged weights into the model."""
    if path is None:
        return
    state = torch.load(path, weights_only=True)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), state["average"], strict=True):
            parameter.copy_(value)


def export_florence(out: Path, checkpoint: Path | None) -> None:
    """Write the Florence-2 folder."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = florence_tokenizer()
    words = Words(tokenizer)
    torch.manual_seed(0)
    model: Florence2ForConditionalGeneration = florence_model.build(words.size, words.first_location)
    _weights(model, checkpoint)
    model.set_attn_implementation("sdpa")
    for name, graph in published(model.eval(), SIZE_PX):
        save(graph, out / f"{name}.onnx")
    tokenizer.save(str(out / "tokenizer.json"))
    _write_json(out / "config.json", _portable(model.config, "Florence2ForConditionalGeneration"))
    processor = _preprocessor(MEAN, STD, "CLIPImageProcessor")
    tokens = {"do_center_crop": False, "image_seq_length": florence_model.IMAGE_TOKENS}
    _write_json(out / "preprocessor_config.json", processor | tokens)
    generation = {
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "forced_bos_token_id": 0,
        "forced_eos_token_id": 2,
        "no_repeat_ngram_size": 0,  # a ban would forbid the plate 3333 and two equal boxes
        "num_beams": 1,
    }
    _write_json(out / "generation_config.json", generation)
    _write_manifest(out, "florence2", [f"<{task}>" for task in PROMPTS])


def export_siglip(out: Path, checkpoint: Path | None) -> None:
    """Write the SigLIP folder."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model: SiglipModel = siglip_model.build()
    _weights(model, checkpoint)
    model.eval()
    outputs = ["last_hidden_state", "pooler_output"]
    pixels, ids = torch.zeros(2, 3, SIZE_PX, SIZE_PX), torch.ones(2, SIGLIP_LENGTH, dtype=torch.int64)
    batch = {0: "batch_size"}
    graphs: dict[str, onnx.ModelProto] = {
        "vision_model": trace(
            _VisionTower(model.vision_model), {"pixel_values": pixels}, ["pixel_values"], outputs,
            {"pixel_values": batch}, PUBLISHED_OPSET,
        ),
        "text_model": trace(
            _TextTower(model.text_model), {"input_ids": ids}, ["input_ids"], outputs, {"input_ids": batch},
            PUBLISHED_OPSET,
        ),
    }  # fmt: skip
    for name, graph in graphs.items():
        save(graph, out / f"{name}.onnx")
    siglip_tokenizer().save(str(out / "tokenizer.json"))
    # The scale and bias are weights of the whole model, which neither file holds.
    scalars = {"logit_scale": model.logit_scale.item(), "logit_bias": model.logit_bias.item()}
    _write_json(out / "calibration.json", scalars)
    _write_json(out / "config.json", _portable(model.config, "SiglipModel"))
    _write_json(out / "preprocessor_config.json", _preprocessor((0.5,) * 3, (0.5,) * 3, "SiglipImageProcessor"))
    _write_manifest(out, "siglip", None)


def _portable(config: PretrainedConfig, architecture: str) -> dict[str, Any]:
    """What differs from the library's defaults, as save_pretrained writes it."""
    content: dict[str, Any] = json.loads(config.to_json_string(use_diff=True))
    return {"architectures": [architecture], **content}


def _write_manifest(folder: Path, architecture: str, tasks: list[str] | None) -> None:
    path = manifest.write(folder, name=folder.name, architecture=architecture, demo=True, tasks=tasks)
    content = json.loads(path.read_text(encoding="utf-8"))
    files = content.pop("files")
    said = {
        "precision": "fp32",
        "layout": "published",
        "labels": {"classes": list(CLASSES), "colors": list(COLORS), "places": list(PLACES)},
        "licence": LICENCE,
    }
    _write_json(path, content | said | {"files": files})


def main() -> None:
    """Export the models that have a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--work", type=Path, help="the trainers' work folder")
    source.add_argument("--random", action="store_true", help="random weights")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "onnx")
    args = parser.parse_args()
    work: Path | None = args.work
    checkpoints = {name: work and work / f"{name}.pt" for name in ("florence", "siglip")}
    if not any(path is None or path.is_file() for path in checkpoints.values()):
        parser.error(f"no checkpoint in {work}: train first")
    for name, path in checkpoints.items():
        if path is not None and not path.is_file():
            print(f"no {path}: that model is left as it is")
        elif name == "florence":
            export_florence(args.out / "florence2-demo", path)
        else:
            export_siglip(args.out / "siglip-demo", path)


if __name__ == "__main__":
    main()
