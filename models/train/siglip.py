"""Train the SigLIP demo model: python -m models.train.siglip --work DIR [--steps N].

The sigmoid loss over the true matrix of which query matches which picture, helped by heads on single patches and on the
pooled vector. Stop at any time: the next start goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.train import checkpoint
from models.train.pools import load_pool
from models.train.siglip_model import Heads, build, image_outputs, normalise, patch_labels, text_vectors
from models.train.siglip_queries import ATTRIBUTES, SIMPLE, Query, paraphrase, query_about
from models.train.vocabulary import siglip_tokenizer
from stream.capture.scenery import CLASSES, COLORS, PLACES, Scene

PICTURES, DRAWN = 24, 64
"""Pictures of a step, and queries about them; all simple queries come on top."""
_SAVE_EVERY, _LOG_EVERY = 500, 200
_POSITIVE = 4.0


@dataclass(frozen=True)
class Plan:
    """What the schedule says about a step."""

    steps: int
    lr: float = 1.3e-3
    decay_share: float = 0.45

    def learning_rate(self, step: int) -> float:
        """Warm-up of 100 steps, constant, then a cosine to 1 %."""
        start = self.steps * (1 - self.decay_share)
        through = min(1.0, max(0.0, (step - start) / (self.steps - start)))
        return self.lr * min(1.0, (step + 1) / 100) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * through)))

    def helper_weights(self, step: int) -> tuple[float, float]:
        """Weights of the patch heads and of the attribute head."""
        return max(0.3, 2.0 - step / 3000), max(0.9, 3.0 - step / 3000)


WARM_STEPS = 600
"""Steps without queries: before the heads see anything, the text only adds noise."""


class Trainer:
    """A run; the batch of a step depends on the seed and the step only."""

    def __init__(self, work: Path, plan: Plan, seed: int) -> None:
        torch.manual_seed(seed)
        self.pool = load_pool(work, "mixed")
        self.tokenizer = siglip_tokenizer()
        self.model, self.heads = build().train(), Heads().train()
        self.plan, self.seed = plan, seed
        scalars = [self.model.logit_scale, self.model.logit_bias]
        self.parameters = [*self.model.parameters(), *self.heads.parameters()]
        others = [p for p in self.parameters if not any(p is s for s in scalars)]
        groups = [{"params": others, "weight_decay": 0.02}, {"params": scalars, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.98))
        self.average = checkpoint.Average(self.model, 0.998)
        self.path = work / "siglip.pt"
        self.step = 0
        if self.path.exists():
            state = checkpoint.load(self.path)
            self.model.load_state_dict(state["model"])
            self.heads.load_state_dict(state["heads"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average.shadow = state["average"]
            self.step = state["step"]

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.shadow,
            "step": self.step,
        }
        checkpoint.save(self.path, state)

    def advance(self) -> list[float]:
        """One optimiser step; returns the losses."""
        rng = np.random.default_rng((self.seed, self.step))
        rate = self.plan.learning_rate(self.step)
        for group, factor in zip(self.optimiser.param_groups, (1.0, 6.0), strict=True):
            group["lr"] = rate * factor
        chosen = rng.integers(0, len(self.pool.scenes), PICTURES)
        scenes = [self.pool.scenes[at] for at in chosen]
        pixels = normalise(self.pool.images[np.sort(chosen)][np.argsort(np.argsort(chosen))])
        middle, last, pooled = image_outputs(self.model, pixels)
        patches = self._patch_loss(middle, last, scenes) + 0.3 * self._scene_loss(pooled, scenes)
        attributes = self._attribute_loss(pooled, scenes)
        matching = self._match_loss(rng, pooled, scenes) if self.step >= WARM_STEPS else torch.zeros(())
        for_patches, for_attributes = self.plan.helper_weights(self.step)
        loss = matching + for_patches * patches + for_attributes * attributes
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        self.average.update(self.step)
        return [float(v.detach()) for v in (matching, patches, attributes)]

    def _patch_loss(self, middle: Tensor, last: Tensor, scenes: list[Scene]) -> Tensor:
        labels = [patch_labels(scene) for scene in scenes]
        classes, colors = (torch.from_numpy(np.stack(field)).view(-1) for field in zip(*labels, strict=True))
        split, loss = 1 + len(CLASSES), torch.zeros(())
        for head, hidden, weight in ((self.heads.last, last, 1.0), (self.heads.middle, middle, 0.5)):
            logits = head(hidden.reshape(-1, hidden.shape[-1]))
            loss = loss + weight * F.cross_entropy(logits[:, :split], classes, _rare(split))
            loss = loss + weight * F.cross_entropy(logits[:, split:], colors, _rare(1 + len(COLORS)))
        return loss

    def _scene_loss(self, pooled: Tensor, scenes: list[Scene]) -> Tensor:
        logits = self.heads.scene(pooled)
        places = torch.tensor([PLACES.index(scene.place) for scene in scenes])
        nights = torch.tensor([float(scene.night) for scene in scenes])
        time_loss = F.binary_cross_entropy_with_logits(logits[:, len(PLACES)], nights)
        return F.cross_entropy(logits[:, : len(PLACES)], places) + time_loss

    def _attribute_loss(self, pooled: Tensor, scenes: list[Scene]) -> Tensor:
        rows = []
        for scene in scenes:
            seen = {(label, color) for label, color, _ in scene.truth()}
            have = seen | {(label, None) for label, _ in seen}
            rows.append([float(attribute in have) for attribute in ATTRIBUTES])
        weight = torch.tensor(_POSITIVE)
        return F.binary_cross_entropy_with_logits(self.heads.attributes(pooled), torch.tensor(rows), pos_weight=weight)

    def _match_loss(self, rng: np.random.Generator, pooled: Tensor, scenes: list[Scene]) -> Tensor:
        drawn = [query_about(rng, scenes[int(at)], 0.3, 0.55) for at in rng.integers(0, len(scenes), DRAWN)]
        queries: list[Query] = list(dict.fromkeys([*SIMPLE, *drawn]))
        texts = [q.text() if rng.random() < 0.75 else paraphrase(rng, q.text()) for q in queries]
        ids = torch.tensor([encoding.ids for encoding in self.tokenizer.encode_batch(texts)])
        truth = torch.tensor([[float(query.matches(scene)) for query in queries] for scene in scenes])
        similar = F.normalize(pooled, dim=-1) @ text_vectors(self.model, ids).T
        logits = similar * self.model.logit_scale.exp() + self.model.logit_bias
        losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return (losses * torch.where(truth > 0, _POSITIVE, 1.0)).sum() / len(scenes) / 4


def _rare(classes: int) -> Tensor:
    weights = torch.ones(classes)
    weights[0] = 0.3
    return weights


def main() -> None:
    """Parse the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    checkpoint.fast_matrices()
    trainer = Trainer(args.work, Plan(args.steps), args.seed)
    recent: list[list[float]] = []
    since = time.monotonic()
    while trainer.step < args.steps:
        recent.append(trainer.advance())
        if trainer.step % _LOG_EVERY == 0:
            seconds = (time.monotonic() - since) / len(recent)
            scale, bias = trainer.model.logit_scale.exp().item(), trainer.model.logit_bias.item()
            means = np.mean(recent, 0).round(3).tolist()
            print(f"step {trainer.step} {seconds:.3f} s/step {means} scale {scale:.1f} bias {bias:.1f}", flush=True)
            recent, since = [], time.monotonic()
        if trainer.step % _SAVE_EVERY == 0 or trainer.step == args.steps:
            trainer.save()


if __name__ == "__main__":
    main()
