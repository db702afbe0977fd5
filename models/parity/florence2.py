"""transformers' Florence-2 against the runtime, on the same weights and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from models.parity.report import Report
from stream.infer.buffers import Buffer
from stream.infer.florence2 import Florence2
from stream.infer.generate import Feed
from stream.infer.layout import Seat

Ask = tuple[int, str, str]
"""Picture by index, task, text input."""


@dataclass(frozen=True)
class Reference:
    """What transformers answers: one batch, padded, for all asks."""

    features: NDArray[Any]  # (I, N, D)
    prompts: list[list[int]]
    tokens: list[list[int]]  # greedy, with the start token, without padding
    logits: NDArray[Any]  # (R, T, V), raw, of the greedy tokens
    beams: list[list[int]]
    margin: float  # smallest distance between the best and the second logit where a choice was made


def ask(model: Any, processor: Any, pixels: Sequence[NDArray[Any]], asks: Sequence[Ask], cap: int) -> Reference:
    """Runs transformers with the checkpoint's own rules: n-gram ban, forced start and end, greedy and with 3 beams."""
    texts = [task + text for _, task, text in asks]
    images = [pixels[index] for index, _, _ in asks]
    batch = processor(text=texts, images=images, padding=True, return_tensors="pt")
    values = processor.image_processor(list(pixels), return_tensors="pt").pixel_values
    common = {"do_sample": False, "max_new_tokens": cap, "return_dict_in_generate": True}
    with torch.no_grad():
        features = model.get_image_features(values)
        greedy = model.generate(**batch, **common, num_beams=1, early_stopping=False, output_logits=True)
        beams = model.generate(**batch, **common, num_beams=3, early_stopping=True).sequences
    logits = torch.stack(greedy.logits, 1)
    best = logits[:, 1:-1].topk(2, -1).values
    start = processor.num_image_tokens
    rows = zip(batch.input_ids[:, start:], batch.attention_mask[:, start:], strict=True)
    return Reference(
        features.numpy(),
        [ids[mask > 0].tolist() for ids, mask in rows],
        [_ended(row) for row in greedy.sequences.tolist()],
        logits.numpy(),
        [_ended(row) for row in beams.tolist()],
        float((best[..., 0] - best[..., 1]).min()),
    )


def _ended(tokens: list[int]) -> list[int]:
    """Up to the first end token after the start, which is the same token."""
    return tokens[: tokens.index(2, 1) + 1] if 2 in tokens[1:] else tokens


def compare(
    folder: Path,
    pixels: Sequence[NDArray[Any]],
    asks: Sequence[Ask],
    reference: Reference,
    cap: int,
    report: Report,
    name: str,
    layouts: Sequence[str] = ("published", "static"),
) -> None:
    """The runtime in each layout: prompts, features, logits, and tokens greedy and with 3 beams."""
    for layout in layouts:
        what = f"{name}, {layout}"
        model = Florence2.load(folder, provider="cpu", layout=layout, beams=1, slots=len(asks))
        report.same(f"{what}: prompts", [list(model.row(*one).ids) for one in asks], reference.prompts)
        prepared = [model.prepare(picture) for picture in pixels]
        seen = model.see(prepared)
        features = seen.features.read() if isinstance(seen.features, Buffer) else seen.features
        report.close(f"{what}: image features", features, reference.features, 1e-4)
        report.close(f"{what}: logits", *_logits(model, prepared, asks, reference), 1e-4)
        report.same(f"{what}: greedy tokens", generated(model, prepared, asks, cap), reference.tokens)
        del model
        model = Florence2.load(folder, provider="cpu", layout=layout, beams=3, slots=3 * len(asks))
        report.same(f"{what}: tokens of 3 beams", generated(model, prepared, asks, cap), reference.beams)


def _logits(
    model: Florence2, prepared: Sequence[Any], asks: Sequence[Ask], reference: Reference
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ours and theirs while both read the reference's own tokens, up to the shortest row's end."""
    graphs = model.decoding.layout
    seen = graphs.see(prepared)
    seats = [
        Seat(image, ids, [row]) for row, ((image, _, _), ids) in enumerate(zip(asks, reference.prompts, strict=True))
    ]
    graphs.admit(seen, seats)
    found = []
    for step in range(min(len(tokens) for tokens in reference.tokens) - 1):
        feeds = {row: Feed(tokens[step], step, ()) for row, tokens in enumerate(reference.tokens)}
        guess = graphs.step(feeds, logits=True)
        assert guess.logits is not None
        found.append(guess.logits.copy())
    graphs.release(range(len(seats)), clean=True)
    ours = np.stack(found, 1)
    return ours, reference.logits[:, : ours.shape[1]]


def generated(model: Florence2, prepared: Sequence[Any], asks: Sequence[Ask], cap: int) -> list[list[int]]:
    """The tokens of every ask, all decoded side by side, with the start token; a slot for each (and each beam) is needed."""
    seen = model.see(prepared)
    rows = [model.row(*one) for one in asks]
    for row in rows:
        row.max_tokens = cap
    model.decoding.admit(seen, rows)
    while model.decoding.active:
        model.decoding.step()
    return [[2, *(token.id for token in model.tokens(row))] for row in rows]


def likeness(graph: Path, pixels: Sequence[NDArray[Any]], reference: Reference) -> float:
    """The smallest cosine between an image token of a less precise static_vision and transformers' own.

    Without the runtime, which refuses fp16 on a CPU because it is slow there; onnxruntime can do it.
    """
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    ours = session.run(None, {"pixels": np.stack(pixels)})[0].astype(np.float64)
    theirs = reference.features.astype(np.float64)
    lengths = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    return float(((ours * theirs).sum(-1) / lengths).min())
