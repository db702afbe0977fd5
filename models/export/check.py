"""`python -m models.export.check FOLDER IMAGE…`: how far ONNX files are from transformers on these pictures."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.export.load import Checkpoint, NotExportable, load
from models.parity import florence2
from stream.errors import SeestreamError
from stream.infer.buffers import Buffer
from stream.infer.florence2 import Florence2
from stream.infer.siglip import Siglip

TASKS, NEW_TOKENS = ("<CAPTION>", "<OD>"), 64
SENTENCES = ("a red car", "a dog on the lawn at night", "nothing to see")
CLOSE = 0.999
"""Smallest cosine of fp32 files; other precisions are told, not judged."""


def check_florence2(folder: Path, one: Checkpoint, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[str, bool]]:
    """A line for each layout and precision that is there and runs on the CPU, and whether it is as it should be."""
    asks = [(index, task, "") for index in range(len(pictures)) for task in TASKS]
    said = florence2.ask(one.model, one.processor, pictures, asks, NEW_TOKENS)
    for layout, stem in (("published", "vision_encoder"), ("static", "static_vision")):
        for precision in _precisions(folder, stem):
            model = Florence2.load(folder, provider="cpu", layout=layout, precision=precision, slots=len(asks))
            prepared = [model.prepare(picture) for picture in pictures]
            seen = model.see(prepared)
            features = seen.features.read() if isinstance(seen.features, Buffer) else seen.features
            cosine = _cosine(features, said.features)
            tokens = florence2.generated(model, prepared, asks, NEW_TOKENS)
            same = sum(ours == theirs for ours, theirs in zip(tokens, said.tokens, strict=True))
            line = f"{layout}, {precision}: image features' smallest cosine {cosine:.5f}, {same} of {len(asks)} answers alike"
            yield line, precision != "fp32" or (cosine > CLOSE and same == len(asks))
            yield from _differences(asks, tokens, said.tokens, one.processor)


def _differences(
    asks: Sequence[florence2.Ask], ours: list[list[int]], theirs: list[list[int]], processor: Any
) -> Iterator[tuple[str, bool]]:
    for (index, task, _), a, b in zip(asks, ours, theirs, strict=True):
        if a != b:
            texts = (processor.decode(tokens, skip_special_tokens=False) for tokens in (a, b))
            yield f"  picture {index}, {task}: {next(texts)!r} instead of {next(texts)!r}", True


def check_towers(folder: Path, one: Checkpoint, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[str, bool]]:
    """A line for each precision that is there and runs on the CPU, and whether it is as it should be."""
    import torch

    sentences = [text.lower() if one.lower_case else text for text in SENTENCES]
    places = one.model.config.text_config.max_position_embeddings
    ids = one.tokenizer(sentences, padding="max_length", truncation=True, max_length=places, return_tensors="pt")
    pixels = one.images(list(pictures), return_tensors="pt").pixel_values
    with torch.no_grad():
        answer = one.model(input_ids=ids.input_ids, pixel_values=pixels)
    for precision in _precisions(folder, "vision_model"):
        model = Siglip.load(folder, provider="cpu", precision=precision)
        images = _cosine(model.embed_images(pictures), answer.image_embeds.numpy())
        texts = _cosine(model.embed_text(SENTENCES), answer.text_embeds.numpy())
        line = f"{precision}: smallest cosine of pictures {images:.5f}, of texts {texts:.5f}"
        yield line, precision != "fp32" or min(images, texts) > CLOSE


def _precisions(folder: Path, stem: str) -> list[str]:
    """Those whose files are there, fp16 left out: it runs on GPUs only."""
    ends = {"fp32": ("",), "int8": ("_int8", "_quantized")}
    places = (folder, folder / "onnx")
    return [
        name
        for name, suffixes in ends.items()
        if any((place / f"{stem}{suffix}.onnx").is_file() for place in places for suffix in suffixes)
    ]


def _cosine(ours: Any, theirs: Any) -> float:
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(((a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))).min())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.export.check", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--reference", metavar="SRC", help="the checkpoint (default: what the folder was exported from)"
    )
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    try:
        manifest = json.loads((args.folder / "manifest.json").read_text()) if not args.reference else {}
        source, _, revision = str(args.reference or manifest.get("source", "")).partition("@")
        one = load(source, revision or None)
        pictures = [np.asarray(Image.open(path).convert("RGB")) for path in args.images]
        lines = (check_florence2 if one.kind == "florence2" else check_towers)(args.folder, one, pictures)
        good = True
        for line, fine in lines:
            print(line, flush=True)
            good = good and fine
    except (NotExportable, SeestreamError, OSError, ValueError) as error:
        text = str(error).strip() or type(error).__name__
        print(f"check: {text.splitlines()[0]} (name the checkpoint with --reference)", file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
