"""Score the bundled models on fresh drawn scenes: python -m models.eval --seed 2026 --scenes 2000 [--verbose].

Prints one line of JSON. Needs no torch: it asks the ONNX files through the product's own runtime.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.frames import held_out
from models.scores import Boxes, Detections, Plates, Retrieval, share
from stream.capture.scenery import Scene, caption
from stream.infer.florence2 import Florence2
from stream.infer.siglip import Siglip

_TASKS = ("<OD>", "<CAPTION>", "<OCR>", "<OCR_WITH_REGION>")
_TIMED = 60  # pictures on which each task is timed


class Evaluation:
    """Figures of one pass over held-out pictures; each picture is dropped once both models have seen it."""

    def __init__(self, folder: Path, threads: int = 1, precision: str = "fp32") -> None:
        how: dict[str, Any] = {"provider": "cpu", "threads": threads, "precision": precision}
        self._florence = Florence2.load(folder / "florence2-demo", **how)
        self._siglip = Siglip.load(folder / "siglip-demo", **how)
        self._detections, self._plates = Detections(), Plates()
        self._captions: list[bool] = []
        self._empty: list[bool] = []
        self._scenes: list[Scene] = []
        self._vectors: list[npt.NDArray[np.float32]] = []
        self._core_s: dict[str, list[float]] = {task: [] for task in _TASKS}

    def add(self, scene: Scene, rgb: npt.NDArray[np.uint8]) -> None:
        """Ask both models about a picture (192, 192, 3) uint8 RGB of the scene."""
        if len(self._scenes) < _TIMED:
            self._time(rgb)
        found = self._florence.look(rgb, ["<OD>"])["<OD>"].found
        answers = self._florence.look(rgb, _TASKS[1:])
        boxes: Boxes = [(one.label, one.box, one.score) for one in found if one.box is not None]
        self._detections.add(boxes, scene.truth())
        self._captions.append(answers["<CAPTION>"].text == caption(scene))
        self._plates.add(scene, answers["<OCR>"], answers["<OCR_WITH_REGION>"])
        if not scene.objects:
            self._empty.append(not boxes)
        self._scenes.append(scene)
        self._vectors.append(self._siglip.embed_images([rgb])[0])

    def _time(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Processor time of each task for itself, its own vision pass included: what a core does, whoever wants it."""
        for task, seconds in self._core_s.items():
            since = time.thread_time()
            self._florence.look(rgb, [task])
            seconds.append(time.thread_time() - since)

    def figures(self) -> dict[str, float]:
        """The figures that the model card promises."""
        retrieval = self._retrieval()
        return {
            "detection_f1": self._detections.f1(),
            "mean_iou": self._detections.mean_iou(),
            "label_accuracy": self._detections.label_accuracy(),
            "caption_exact": share(self._captions),
            "ocr_exact": self._plates.read_and_placed(),
            "empty_without_boxes": share(self._empty),
            "retrieval_r1_simple": retrieval.first("simple"),
            "retrieval_r1_compound": retrieval.first("compound"),
        }

    def details(self) -> dict[str, Any]:
        """What lies behind the figures."""
        retrieval = self._retrieval()
        return {
            "scenes": len(self._scenes),
            "detection": self._detections.details(),
            "plates": self._plates.details(),
            "retrieval": retrieval.details(),
            "core_ms_median": {task: round(float(np.median(took)) * 1000, 1) for task, took in self._core_s.items()},
        }

    def _retrieval(self) -> Retrieval:
        return Retrieval(self._scenes, np.stack(self._vectors), self._siglip.embed_text)


def evaluate(folder: Path, seed: int, scenes: int, precision: str = "fp32") -> Evaluation:
    """Look at `scenes` pictures of the standard mixture from a seed that training never uses (1000 or more)."""
    if seed < 1000:
        raise ValueError(f"seed {seed} may have been trained on; take 1000 or more")
    evaluation = Evaluation(folder, precision=precision)
    for scene, rgb in held_out(seed, scenes):
        evaluation.add(scene, rgb)
    return evaluation


def main() -> None:
    """Print the figures; with --verbose the details on a second line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--models", type=Path, default=Path(__file__).parent / "onnx", metavar="DIR")
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32", help="which files of the folders")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    evaluation = evaluate(args.models, args.seed, args.scenes, args.precision)
    print(json.dumps({name: round(value, 4) for name, value in evaluation.figures().items()}))
    if args.verbose:
        print(json.dumps(evaluation.details()))


if __name__ == "__main__":
    main()
