"""The peer's half of `bench models`, run by the export environment's Python: builds the models, runs transformers.

build FOLDER KIND PRECISION…     random weights in the real configuration, as ONNX in FOLDER
run   FOLDER KIND DEVICE N BATCH  seconds for a batch through transformers, sdpa, as one JSON line
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from transformers import Florence2Config, Florence2ForConditionalGeneration, SiglipConfig, SiglipModel

IMAGE_TOKEN = 51289
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
WIDTHS = {
    "base": ([128, 256, 512, 1024], [4, 8, 16, 32], 768, 6, 12, 1024),
    "large": ([256, 512, 1024, 2048], [8, 16, 32, 64], 1024, 12, 16, 4096),
}
"""Stage widths, heads; text width, layers, heads, positions: config.json of the published checkpoints."""


def florence2(kind: str) -> Any:
    stages, heads, width, layers, text_heads, positions = WIDTHS[kind]
    text = {
        "d_model": width, "encoder_layers": layers, "decoder_layers": layers, "encoder_attention_heads": text_heads,
        "decoder_attention_heads": text_heads, "encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width,
        "max_position_embeddings": positions, "vocab_size": 51328, "model_type": "bart", "tie_word_embeddings": True,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
        "is_encoder_decoder": True, "activation_function": "gelu",
    }  # fmt: skip
    vision = {
        "embed_dim": stages, "num_heads": heads, "num_groups": heads, "depths": [1, 1, 9, 1], "projection_dim": width,
    }  # fmt: skip
    torch.manual_seed(0)
    config = Florence2Config(vision_config=vision, text_config=text, image_token_id=IMAGE_TOKEN)
    return Florence2ForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()


def siglip() -> Any:
    torch.manual_seed(0)
    return SiglipModel._from_config(SiglipConfig(), attn_implementation="sdpa").eval()


def build(folder: Path, kind: str, precisions: list[str]) -> None:
    from models.export import florence2 as layouts
    from models.export import precision, towers
    from models.export.graph import save

    model = siglip() if kind == "siglip" else florence2(kind)
    for weights, variants in precision.plan(model, precisions):
        if kind == "siglip":
            graphs = towers.towers(weights, 224, [0.5] * 3, [0.5] * 3, variants)
        else:
            graphs = layouts.static_cache(weights, 768, MEAN, STD, variants)
        for stem, graph in graphs:
            save(graph, folder / f"{stem}.onnx")
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))


def run(folder: Path, kind: str, device: str, rounds: int, batch: int) -> dict[str, Any]:
    """Seconds of each part, on the CPU those of its one thread; pixels and prompt come from `inputs.npz`, which our half
    wrote."""
    clock = time.thread_time if device == "cpu" else time.perf_counter
    torch.set_num_threads(1 if device == "cpu" else 8)
    given = np.load(folder / "inputs.npz")
    dtype = torch.float32 if device == "cpu" else torch.float16
    model = (siglip() if kind == "siglip" else florence2(kind)).to(device, dtype)
    pixels = torch.from_numpy(given["pixel_values"][:1]).repeat(batch, 1, 1, 1).to(device, dtype)
    seconds, tokens = [], []
    for _ in range(rounds + 1):
        start = clock()
        with torch.no_grad():
            if kind == "siglip":
                model.vision_model(pixel_values=pixels)
            else:
                ids = [IMAGE_TOKEN] * int(given["image_tokens"]) + given["ids"].tolist()
                text = torch.tensor([ids] * batch, device=device)
                out = model.generate(
                    input_ids=text, attention_mask=torch.ones_like(text), pixel_values=pixels, num_beams=1,
                    do_sample=False, min_new_tokens=int(given["tokens"]), max_new_tokens=int(given["tokens"]),
                    no_repeat_ngram_size=3, forced_bos_token_id=0, forced_eos_token_id=None, eos_token_id=2,
                    pad_token_id=1, bos_token_id=0, decoder_start_token_id=2,
                )  # fmt: skip
                tokens = out[0].tolist()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(clock() - start)
    return {"seconds": median(seconds[1:]), "tokens": tokens}


if __name__ == "__main__":
    job, where, what, *rest = sys.argv[1:]
    if job == "build":
        build(Path(where), what, rest)
    else:
        print(json.dumps(run(Path(where), what, rest[0], int(rest[1]), int(rest[2]))))
