"""Draw the training pictures in advance, on all cores: python -m models.train.pools --work DIR."""

from __future__ import annotations

import argparse
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.frames import frame
from stream.capture.scenery import SIZE_PX, STANDARD_MIX, Scene

_CHUNK = 500


@dataclass(frozen=True)
class Pool:
    """Pictures (N, 192, 192, 3) uint8, mapped from disk, and their scenes."""

    images: npt.NDArray[np.uint8]
    scenes: list[Scene]


RECIPES: dict[str, tuple[int, int, dict[str, float]]] = {
    "held": (901, 1000, STANDARD_MIX),
    "salad": (11, 10_000, {"salad": 1.0}),
    "mixed": (12, 44_000, {"normal": 0.42, "plate": 0.28, "close": 0.1, "camera": 0.2}),
}
"""Seed, pictures and mixture of each pool."""


def load_pool(work: Path, name: str) -> Pool:
    """The pool of that name; raises FileNotFoundError before pools.py has drawn it."""
    with (work / f"{name}.pkl").open("rb") as file:
        scenes = pickle.load(file)
    return Pool(np.load(work / f"{name}.npy", mmap_mode="r"), scenes)


def _draw_chunk(task: tuple[str, int, int, int, dict[str, float]]) -> list[Scene]:
    path, seed, start, count, mix = task
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, start))
    images = np.load(path, mmap_mode="r+")
    scenes = []
    for index in range(start, start + count):
        scene, images[index] = frame(rng, mix)
        scenes.append(scene)
    return scenes


def draw_pool(work: Path, name: str, executor: ProcessPoolExecutor) -> None:
    """Draw one pool into NAME.npy and NAME.pkl; the same whatever the number of processes."""
    seed, count, mix = RECIPES[name]
    target, partial = work / f"{name}.npy", work / f"{name}.partial.npy"
    np.lib.format.open_memmap(partial, "w+", np.uint8, (count, SIZE_PX, SIZE_PX, 3)).flush()
    tasks = [(str(partial), seed, at, min(_CHUNK, count - at), mix) for at in range(0, count, _CHUNK)]
    scenes = [scene for chunk in executor.map(_draw_chunk, tasks) for scene in chunk]
    with (work / f"{name}.pkl").open("wb") as file:
        pickle.dump(scenes, file)
    partial.rename(target)


def main() -> None:
    """Draw every pool that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=None)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.processes) as executor:
        for name in RECIPES:
            if not (args.work / f"{name}.npy").exists():
                draw_pool(args.work, name, executor)
                print(name, "drawn", flush=True)


if __name__ == "__main__":
    main()
