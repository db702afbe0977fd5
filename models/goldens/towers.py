"""Goldens of SigLIP, SigLIP 2 and CLIP: token ids, vectors of pictures and texts, probabilities; and of
preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPImageProcessor, SiglipImageProcessor

from models.goldens import florence2, tiny, tokenizers_tiny
from models.goldens.pictures import picture

TEXTS = [
    "a red car",
    "A Red CAR, at night!",
    "two dogs on the lawn",
    "",
    "caf\u00e9 \u8eca",
    "a photo of a person, a bicycle and a package in front of the house " * 8,
]
"""Upper case, punctuation, nothing, letters outside ASCII, and more tokens than there are places."""


@dataclass(frozen=True)
class Towers:
    """One model with both towers and what feeds it. `lower_case` is the caller's duty for SigLIP 2."""

    name: str
    model: Any
    tokenizer: Any
    images: Any
    lower_case: bool = False

    @property
    def places(self) -> int:
        return int(self.model.config.text_config.max_position_embeddings)


def siglip() -> Towers:
    tokenizer = tokenizers_tiny.siglip()
    model = tiny.siglip(len(tokenizer), tokenizer.pad_token_id, 5)
    return Towers("siglip", model, tokenizer, _siglip_images())


def siglip2() -> Towers:
    tokenizer = tokenizers_tiny.siglip2()
    model = tiny.siglip(len(tokenizer), tokenizer.pad_token_id, 6)
    return Towers("siglip2", model, tokenizer, _siglip_images(), lower_case=True)


def clip() -> Towers:
    tokenizer = tokenizers_tiny.clip()
    model = tiny.clip(len(tokenizer), tokenizer.eos_token_id, 7)
    side = tiny.CLIP_SIZE
    images = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return Towers("clip", model, tokenizer, images)


ALL: tuple[Callable[[], Towers], ...] = (siglip, siglip2, clip)


def _siglip_images() -> SiglipImageProcessor:
    return SiglipImageProcessor(size={"height": tiny.TOWER_SIZE, "width": tiny.TOWER_SIZE})


def pictures() -> list[NDArray[np.uint8]]:
    """Pictures of four shapes, (H, W, 3) uint8 RGB."""
    shapes = [(64, 64), (160, 90), (60, 130), (48, 48)]
    return [picture(30 + index, width, height) for index, (width, height) in enumerate(shapes)]


def arrays(towers: Towers) -> dict[str, NDArray[Any]]:
    """Ids, unit vectors (N, dims), the probability of each picture (row) with each text (column), and the pictures."""
    texts = [text.lower() if towers.lower_case else text for text in TEXTS]
    ids = towers.tokenizer(texts, padding="max_length", truncation=True, max_length=towers.places, return_tensors="pt")
    pixels = towers.images(pictures(), return_tensors="pt").pixel_values
    with torch.no_grad():
        answer = towers.model(input_ids=ids.input_ids, pixel_values=pixels, **_mask(towers, ids))
    logits = answer.logits_per_image
    chances = logits.softmax(1) if towers.name == "clip" else logits.sigmoid()
    found = {
        "input_ids": ids.input_ids,
        "image_vectors": answer.image_embeds,
        "text_vectors": answer.text_embeds,
        "probabilities": chances,
    }
    pixels_in = {f"picture_{index}": value for index, value in enumerate(pictures())}
    return {name: value.numpy() for name, value in found.items()} | pixels_in


def _mask(towers: Towers, ids: Any) -> dict[str, Any]:
    """CLIP's reference call masks padding; SigLIP was trained without a mask."""
    return {"attention_mask": ids.attention_mask} if towers.name == "clip" else {}


def processors() -> dict[str, Any]:
    """The image processors with the settings of the published checkpoints."""
    size = {"height": 768, "width": 768}
    return {
        "florence2": CLIPImageProcessor(
            size=size,
            crop_size=size,
            do_center_crop=False,
            image_mean=florence2.MEAN,
            image_std=florence2.STD,
            resample=Image.Resampling.BICUBIC,
        ),
        "siglip": SiglipImageProcessor(size={"height": 224, "width": 224}),
        "siglip2": SiglipImageProcessor(size={"height": 256, "width": 256}, resample=Image.Resampling.BILINEAR),
        "clip": CLIPImageProcessor(),
    }


def preprocessed(images: dict[str, Image.Image]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """(`processor/file`, a grid of every 16th pixel of each channel, then each channel's mean and root mean square).

    The whole arrays would be 7 MB a picture; the two numbers see every pixel.
    """
    for name, processor in processors().items():
        for file, image in images.items():
            # Said outright: a picture one pixel high would be taken for one whose channels come first.
            batch = processor(image.convert("RGB"), return_tensors="np", input_data_format="channels_last")
            yield f"{name}/{file}", summary(batch.pixel_values[0].astype(np.float64))


def summary(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """What is kept of an array (3, H, W)."""
    grid = values[:, ::16, ::16].reshape(3, -1)
    moments = np.stack([values.mean((1, 2)), np.sqrt((values**2).mean((1, 2)))], 1)
    return np.concatenate([grid, moments], 1).astype(np.float32)
