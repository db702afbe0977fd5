"""Train the Florence-2 demo model: python -m models.train.florence --work DIR [--steps N] [--workers N].

Three phases in one run: characters on the vision tower's first stage; all heads on single image tokens; then the
language model joins. The learning rate is constant until the last part of the run, so --steps can be changed until then
without changing what came before. Stop at any time: the next start goes on from the last checkpoint.
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
from torch import Tensor

from models.train import checkpoint
from models.train.florence_batch import Batches, Words
from models.train.florence_loss import dense_loss, encode, language_loss, stem_loss
from models.train.florence_model import Heads, build, stem_features, vision_features
from models.train.vocabulary import LOCATIONS, florence_tokenizer

STEM_STEPS, DENSE_STEPS = 1000, 1500
_SAVE_EVERY, _LOG_EVERY = 250, 100


@dataclass(frozen=True)
class Plan:
    """What the schedule says about a step."""

    steps: int
    lr: float = 1.2e-3
    stem_lr: float = 3e-3
    decay_share: float = 0.3
    """Share of the run in which the learning rate falls."""

    def learning_rate(self, step: int) -> float:
        """Warm-up of 100 steps in each phase, constant, then a cosine to 1 %."""
        if step < STEM_STEPS:
            return self.stem_lr * min(1.0, (step + 1) / 60)
        start = self.steps * (1 - self.decay_share)
        through = min(1.0, max(0.0, (step - start) / (self.steps - start)))
        return (
            self.lr
            * min(1.0, (step - STEM_STEPS + 1) / 100)
            * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * through)))
        )

    def sigma(self, step: int) -> float:
        """Width of the soft labels of locations, in bins."""
        return float(max(3.0, 14.0 - 11.0 * (step - STEM_STEPS) / 8000))

    def dense_weight(self, step: int) -> float:
        """Weight of the per-token heads."""
        return float(max(0.3, 0.8 - 0.5 * (step - STEM_STEPS) / 8000))


class Trainer:
    """One worker's half of a run."""

    def __init__(self, work: Path, plan: Plan, seed: int, rank: int, workers: int) -> None:
        torch.manual_seed(seed)
        self.words = Words(florence_tokenizer())
        self.model = build(self.words.size, self.words.first_location).train()
        self.heads = Heads().train()
        self.batches = Batches(work, seed, rank, workers)
        self.plan, self.seed, self.rank, self.workers = plan, seed, rank, workers
        self.parameters = [*self.model.parameters(), *self.heads.parameters()]
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": 0.02},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.98))
        self.average = checkpoint.Average(self.model, 0.998)
        self.path = work / "florence.pt"
        self.step = 0
        if self.path.exists():
            self._resume()

    def _resume(self) -> None:
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

    def loss(self) -> tuple[Tensor, list[float]]:
        """(loss, figures for the log) of the current step."""
        if self.step < STEM_STEPS:
            batch = self.batches.stem(self.step)
            loss = stem_loss(self.heads.stem(stem_features(self.model, batch.pixels)), batch)
            return loss, [float(loss.detach())]
        return self._joint_loss(with_language=self.step >= STEM_STEPS + DENSE_STEPS)

    def _joint_loss(self, with_language: bool) -> tuple[Tensor, list[float]]:
        batch, sigma = self.batches.joint(self.step), self.plan.sigma(self.step)
        stem, features = vision_features(self.model, batch.pixels)
        rows, tasks = list(range(len(batch.scenes))), ["OCR"] * len(batch.scenes)
        for row, task in batch.tasks:
            tasks[row] = task  # the prompt under which the heads see the picture: its last task
        if with_language:  # pictures without a task keep the first row, so that the heads see each picture once
            asked = [*batch.tasks, *((row, "OCR") for row in rows if row not in {r for r, _ in batch.tasks})]
            rows, tasks = [row for row, _ in asked], [task for _, task in asked]
        pairs = [(batch.scenes[row], task) for row, task in zip(rows, tasks, strict=True)]
        hidden, mask = encode(self.model, features[rows], *self.words.prompts(pairs))
        first = self.words.first_location
        locations = self.model.model.language_model.shared.weight[first : first + LOCATIONS]
        seen = hidden[[rows.index(row) for row in range(len(batch.scenes))], : features.shape[1]]
        dense, accuracy = dense_loss(self.heads.encoder, seen, locations, batch, sigma)
        early, _ = dense_loss(self.heads.vision, features, locations, batch, sigma)
        deep = stem_loss(self.heads.stem(stem), batch)
        weight = self.plan.dense_weight(self.step)
        loss = weight * (dense + 0.5 * early + 0.5 * deep)
        figures = [float(dense.detach()), float(early.detach()), float(deep.detach()), accuracy]
        if with_language:
            count = len(batch.tasks)
            spoken, word, place = language_loss(
                self.model, self.words, hidden[:count], mask[:count], pairs[:count], sigma
            )
            loss = loss + spoken
            figures += [word, place]
        return loss, figures

    def advance(self) -> list[float]:
        """One optimiser step; returns the figures for the log."""
        torch.manual_seed(hash((self.seed, self.step, self.rank)))
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate(self.step)
        self.optimiser.zero_grad()
        loss, figures = self.loss()
        torch.autograd.backward(loss)
        used = self.parameters if self.step >= STEM_STEPS else [p for p in self.parameters if p.grad is not None]
        if self.workers > 1:
            checkpoint.all_reduce(used, self.workers)
        torch.nn.utils.clip_grad_norm_(used, 1.0)
        self.optimiser.step()
        self.step += 1
        self.average.update(self.step)
        return figures


def run(rank: int, work: Path, plan: Plan, seed: int, workers: int, port: int) -> None:
    """One worker's run to the end of the plan."""
    checkpoint.fast_matrices()
    if workers > 1:
        address = f"tcp://127.0.0.1:{port}"
        torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=workers)
    trainer = Trainer(work, plan, seed, rank, workers)
    recent: list[list[float]] = []
    since = time.monotonic()
    while trainer.step < plan.steps:
        recent.append(trainer.advance())
        if trainer.step % _LOG_EVERY == 0:
            if rank == 0:
                means = np.mean([r for r in recent if len(r) == len(recent[-1])], 0).round(3).tolist()
                seconds = (time.monotonic() - since) / len(recent)
                print(f"step {trainer.step} {seconds:.3f} s/step", means, flush=True)
            recent, since = [], time.monotonic()
        if rank == 0 and (trainer.step % _SAVE_EVERY == 0 or trainer.step == plan.steps):
            trainer.save()


def main() -> None:
    """Parse the arguments and start the workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=16_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that share each batch")
    parser.add_argument("--port", type=int, default=29_511)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    plan = Plan(args.steps)
    if args.workers == 1:
        run(0, args.work, plan, args.seed, 1, args.port)
    else:
        arguments = (args.work, plan, args.seed, args.workers, args.port)
        torch.multiprocessing.spawn(run, args=arguments, nprocs=args.workers)


if __name__ == "__main__":
    main()
