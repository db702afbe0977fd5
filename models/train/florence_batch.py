"""What one training step of the Florence-2 demo model looks at; depends on the seed and the step only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from models.train.dense import dense_labels
from models.train.pools import Pool, load_pool
from models.train.tasks import answer_text, prompt_text
from stream.capture.scenery import CLASS_COLORS, CLASSES, Scene

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

MIXED, PLATES, SALAD = 9, 5, 2
"""Pictures of a joint step: any; with a plate, for text tasks only; loose plates, for the dense heads only."""
STEM_PICTURES = 8

_EXTRA_EVERY = 5
"""Every such step the second task of a picture is one of the rarer ones."""
_EXTRAS = (
    "DETAILED_CAPTION",
    "MORE_DETAILED_CAPTION",
    "DENSE_REGION_CAPTION",
    "DENSE_REGION_CAPTION",
    "REGION_PROPOSAL",
    "CAPTION_TO_PHRASE_GROUNDING",
    "OPEN_VOCABULARY_DETECTION",
)


@dataclass(frozen=True)
class Batch:
    """Pictures, their scenes, and language tasks as (row of the picture, task)."""

    pixels: Tensor
    scenes: list[Scene]
    tasks: list[tuple[int, str]]
    labels: list[Tensor]
    """The fields of DenseLabels, stacked."""


def normalise(images: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 to the model's (B, 3, H, W) float32."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(255)
    return pixels.sub_(torch.tensor(MEAN)[:, None, None]).div_(torch.tensor(STD)[:, None, None])


class Batches:
    """Draws the batch of a step, or one worker's share of it."""

    def __init__(self, work: Path, seed: int, rank: int = 0, workers: int = 1) -> None:
        self._mixed, self._salad = load_pool(work, "mixed"), load_pool(work, "salad")
        self._with_plate = np.array([at for at, scene in enumerate(self._mixed.scenes) if scene.plates])
        self._seed, self._rank, self._workers = seed, rank, workers

    def _take(self, picks: list[tuple[Pool, int, list[str]]], rng: np.random.Generator) -> Batch:
        gains = 1 + 0.1 * np.clip(rng.standard_normal(len(picks)), -3, 3)
        mine = list(range(len(picks)))[self._rank :: self._workers]
        picks = [picks[at] for at in mine]
        pixels = normalise(np.stack([pool.images[at] for pool, at, _ in picks]))
        pixels *= torch.tensor(gains[mine], dtype=torch.float32)[:, None, None, None]
        scenes = [pool.scenes[at] for pool, at, _ in picks]
        tasks = [(row, task) for row, (_, _, asked) in enumerate(picks) for task in asked]
        labels = [torch.from_numpy(np.stack(field)) for field in zip(*map(dense_labels, scenes), strict=True)]
        return Batch(pixels, scenes, tasks, labels)

    def stem(self, step: int) -> Batch:
        """Pictures of the first phase: loose plates only."""
        rng = np.random.default_rng((self._seed, step))
        chosen = rng.integers(0, len(self._salad.scenes), STEM_PICTURES)
        return self._take([(self._salad, int(at), []) for at in chosen], rng)

    def joint(self, step: int) -> Batch:
        """Pictures of the later phases, detection (and in the joint phase one more task) on each mixed one."""
        rng = np.random.default_rng((self._seed, step))
        extra = step % _EXTRA_EVERY == _EXTRA_EVERY - 1
        picks: list[tuple[Pool, int, list[str]]] = []
        for at in rng.integers(0, len(self._mixed.scenes), MIXED):
            picks.append((self._mixed, int(at), ["OD", _second_task(rng, self._mixed.scenes[at], extra)]))
        for at in rng.choice(self._with_plate, PLATES):
            picks.append((self._mixed, int(at), [str(rng.choice(("OCR", "OCR_WITH_REGION"), p=(0.6, 0.4)))]))
        for at in rng.integers(0, len(self._salad.scenes), SALAD):
            picks.append((self._salad, int(at), []))
        return self._take([picks[at] for at in rng.permutation(len(picks))], rng)


def _second_task(rng: np.random.Generator, scene: Scene, extra: bool) -> str:
    if extra:
        task = str(rng.choice(_EXTRAS))
        return f"{task}:{_asked_object(rng, scene)}" if task == "OPEN_VOCABULARY_DETECTION" else task
    shares = (0.6, 0.2, 0.2) if scene.plates else (0.86, 0.09, 0.05)
    return str(rng.choice(("CAPTION", "OCR", "OCR_WITH_REGION"), p=shares))


def _asked_object(rng: np.random.Generator, scene: Scene) -> str:
    """An object of the scene three times out of four, else any; half of them with a colour."""
    seen = scene.visible()
    if seen and rng.random() < 0.75:
        thing = seen[int(rng.integers(len(seen)))]
        label, color = thing.label, thing.color
    else:
        label = CLASSES[int(rng.integers(len(CLASSES)))]
        color = CLASS_COLORS[label][int(rng.integers(len(CLASS_COLORS[label])))]
    return f"{color} {label}" if rng.random() < 0.5 else label


class Words:
    """Token ids of prompts and answers, and the id where location tokens begin."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self.first_location: int = tokenizer.token_to_id("<loc_0>")
        self._encode = lru_cache(maxsize=200_000)(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)

    def prompts(self, pairs: list[tuple[Scene, str]]) -> tuple[Tensor, Tensor]:
        """(ids, attention mask), both (B, T) int64; padded on the right."""
        rows = [[0, *self._encode(prompt_text(scene, task)), 2] for scene, task in pairs]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [1] * (longest - len(row)) for row in rows])
        return ids, (ids != 1).long()

    def answers(self, pairs: list[tuple[Scene, str]]) -> Tensor:
        """Labels (B, T) int64: <s> answer </s>, then -100."""
        rows = [[0, *self._encode(answer_text(scene, task)), 2] for scene, task in pairs]
        longest = max(map(len, rows))
        return torch.tensor([row + [-100] * (longest - len(row)) for row in rows])
