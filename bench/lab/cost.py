"""CPU time of the detectors on one core: from pixels and from JPEG bytes, idle and busy, as ratios in one run."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.lab.clips import decoded, encoded, render
from bench.lab.peers import DETECTORS
from stream.gate import MotionGate

Luma = NDArray[np.uint8]

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
SCENES = {"idle": "static", "person": "person", "cars": "cars", "crowd": "crowd", "dense": "dense", "snow": "snow"}
_ROUNDS = 3
_SLOW_MS = 5.0  # who takes longer is measured once
_SKIP, _TAKE = 60, 150  # frames: the warm-up is not what a camera costs


def _pictures(name: str, size: tuple[int, int]) -> list[Luma]:
    clip = decoded(encoded(islice(render(name, 0), _SKIP + _TAKE)))
    return [luma if size == (1280, 720) else cv2.resize(luma, size, interpolation=cv2.INTER_LINEAR) for luma in clip]


def _mean_ms(calls: Callable[[int], object], count: int) -> float:
    """CPU milliseconds of one call, the mean after the warm-up: not every picture is looked at, so a median says little."""
    spent = []
    for index in range(count):
        before = time.thread_time()
        calls(index)
        spent.append(time.thread_time() - before)
    return float(np.mean(spent[_SKIP:])) * 1000


def cost(scenes: list[str]) -> list[dict[str, object]]:
    """A row for each size, input and scene: ms of every detector and the gate's ratio to the running mean's."""
    cv2.setNumThreads(1)
    rows: list[dict[str, object]] = []
    for size_name, size in SIZES.items():
        for scene in scenes:
            pictures = _pictures(SCENES[scene], size)
            ms = _least({name: partial(_watch, make, pictures) for name, make in DETECTORS.items()})
            rows.append(_row(size_name, "pixels", scene, ms))
            rows.append(_row(size_name, "JPEG", scene, _from_jpeg(pictures, scene)))
    return rows


def _least(runs: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The least of three rounds of each, taken in turns: other work on the machine only ever adds time."""
    found: dict[str, float] = {}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            if found.get(name, 0.0) < _SLOW_MS:
                found[name] = min(found.get(name, math.inf), run())
    return found


def _watch(make: Callable[[], Callable[[Luma], object]], pictures: list[Luma]) -> float:
    detector = make()
    return _mean_ms(lambda index: detector(pictures[index]), len(pictures))


def _from_jpeg(pictures: list[Luma], scene: str) -> dict[str, float]:
    """The gate on a grey decode reduced by four, against a full colour decode and the running mean."""
    encoded = [
        cv2.imencode(".jpg", cv2.cvtColor(p, cv2.COLOR_GRAY2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1] for p in pictures
    ]

    def ours() -> float:
        gate = MotionGate()

        def look(index: int) -> None:
            gate.detect(cv2.imdecode(encoded[index], cv2.IMREAD_REDUCED_GRAYSCALE_4), index * 0.1)

        return _mean_ms(look, len(encoded))

    def theirs() -> float:
        mean = DETECTORS["running mean"]()

        def look(index: int) -> None:
            mean(cv2.cvtColor(cv2.imdecode(encoded[index], cv2.IMREAD_COLOR), cv2.COLOR_BGR2GRAY))

        return _mean_ms(look, len(encoded))

    return _least({"gate": ours, "running mean": theirs})


def _row(size: str, source: str, scene: str, ms: dict[str, float]) -> dict[str, object]:
    return {
        "size": size,
        "from": source,
        "scene": scene,
        "ms": {name: round(value, 3) for name, value in ms.items()},
        "ratio": round(ms["gate"] / ms["running mean"], 2),
    }


def memory() -> dict[str, float]:
    """Megabytes that the gate of one source holds while something moves, for each picture size."""
    found = {}
    for name, size in SIZES.items():
        pictures = [cv2.resize(luma, size) for luma, _ in islice(render("crowd", 0), 90)]
        tracemalloc.start()
        gate = MotionGate()
        for index, picture in enumerate(pictures):
            gate.detect(picture, index * 0.1)
        found[name] = round(tracemalloc.get_traced_memory()[0] / 1e6, 2)
        tracemalloc.stop()
    return found
