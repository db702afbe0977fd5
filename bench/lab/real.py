"""Films without labels: what each detector says of them, and how far it agrees with the running mean's boxes."""

from __future__ import annotations

import time
from pathlib import Path

import av
import cv2
import numpy as np

from bench.lab.peers import DETECTORS, OurGate
from bench.lab.score import Seen


def watch(path: Path) -> list[dict[str, object]]:
    """A row for each detector: share of frames admitted, boxes a frame, area boxed, CPU ms a frame."""
    cv2.setNumThreads(1)
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].guessed_rate or 25)
        pictures = [np.ascontiguousarray(picture.to_ndarray(format="gray")) for picture in container.decode(video=0)]
    rows: list[dict[str, object]] = []
    for name, make in DETECTORS.items():
        detector = OurGate(rate) if name == "gate" else make()
        said: list[Seen] = []
        spent = []
        for picture in pictures:
            before = time.thread_time()
            said.append(detector(picture))
            spent.append(time.thread_time() - before)
        area = [sum((b[2] - b[0]) * (b[3] - b[1]) for b in seen.boxes) / pictures[0].size for seen in said]
        rows.append(
            {
                "film": path.name,
                "detector": name,
                "frames": len(said),
                "admitted": round(sum(s.admitted for s in said) / max(1, len(said)), 3),
                "boxes": round(float(np.mean([len(s.boxes) for s in said])), 1),
                "area": round(float(np.mean(area)), 3),
                "ms": round(float(np.median(spent)) * 1000, 3),
            }
        )
    return rows
