"""Films without labels: what each detector says of them, and how much of what moves lies in its boxes."""

from __future__ import annotations

import time
from pathlib import Path

import av
import cv2
import numpy as np

from bench.lab.peers import DETECTORS, Luma, OurGate
from bench.lab.score import Seen

_CELL = 2


def watch(path: Path) -> list[dict[str, object]]:
    """A row for each detector: share of frames admitted, boxes a frame, area boxed, CPU ms a frame.

    `moving` is the share of what moves for certain that lies in a box: pixels that differ by more than 12 levels both from
    the picture .2 s before and from that .2 s after, which are the edges of what moves. Nothing is said of what stands.
    """
    cv2.setNumThreads(1)
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].guessed_rate or 25)
        pictures = [np.ascontiguousarray(picture.to_ndarray(format="gray")) for picture in container.decode(video=0)]
    edges = _edges(pictures, max(1, round(0.2 * rate)))
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
        reasons = {"reasons": dict(detector.reasons)} if isinstance(detector, OurGate) else {}
        rows.append(
            {
                "film": path.name,
                "detector": name,
                "frames": len(said),
                "admitted": round(sum(s.admitted for s in said) / max(1, len(said)), 3),
                "boxes": round(float(np.mean([len(s.boxes) for s in said])), 1),
                "area": round(float(np.mean(area)), 3),
                "moving": round(_boxed(edges, said), 3),
                "ms": round(float(np.mean(spent)) * 1000, 3),
                **reasons,
            }
        )
    return rows


def _edges(pictures: list[Luma], apart: int) -> dict[int, Luma]:
    """Frame -> 1 where something moves for certain, on a grid of `_CELL` px; every third frame after the first 1.5 s."""
    small = [cv2.resize(p, None, fx=1 / _CELL, fy=1 / _CELL, interpolation=cv2.INTER_AREA) for p in pictures]
    found: dict[int, Luma] = {}
    for index in range(8 * apart, len(small) - apart, 3):
        before, after = (cv2.absdiff(small[index], small[other]) for other in (index - apart, index + apart))
        moved = cv2.threshold(cv2.blur(cv2.min(before, after), (3, 3)), 12, 1, cv2.THRESH_BINARY)[1]
        found[index] = cv2.morphologyEx(moved, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    return found


def _boxed(edges: dict[int, Luma], said: list[Seen]) -> float:
    """Mean share of the moving pixels inside of boxes, over frames with any."""
    shares = []
    for index, moved in edges.items():
        inside = np.zeros(moved.shape, np.uint8)
        for x1, y1, x2, y2 in said[index].boxes:
            inside[int(y1 / _CELL) : int(np.ceil(y2 / _CELL)), int(x1 / _CELL) : int(np.ceil(x2 / _CELL))] = 1
        if moved.any():
            shares.append(float((moved & inside).sum() / moved.sum()))
    return float(np.mean(shares)) if shares else float("nan")
