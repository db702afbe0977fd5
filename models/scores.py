"""How the bundled models' answers are scored."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.train.siglip_queries import SIMPLE, Query, query_about
from stream.capture.scenery import Scene
from stream.capture.scenery.objects import Box, area, overlap, quad_box
from stream.infer.parse import Answer

Boxes = list[tuple[str, Sequence[float], float]]
"""(label, box xyxy, score)."""
Truth = list[tuple[str, str, Box]]

_MATCH_IOU = 0.5
_HEIGHTS_PX = (14, 16, 19, 23, 30, 99)
_SCORES = (0, 0.25, 0.5, 0.75, 0.9, 1.01)
_QUERIES = 200
"""At most so many different queries of each kind."""
_QUERY_SEED = 5


def share(flags: Sequence[bool]) -> float:
    """Share of true ones; 0 of none."""
    return float(np.mean(flags)) if len(flags) else 0.0


def iou(a: Box, b: Box) -> float:
    """Intersection over union."""
    common = overlap(a, b)
    return common / max(area(a) + area(b) - common, 1e-9)


def _box(values: Sequence[float]) -> Box:
    x1, y1, x2, y2 = (float(v) for v in values)
    return x1, y1, x2, y2


class Detections:
    """Objects found against objects there: a hit has the same label and an IoU of at least .5, each counts once."""

    def __init__(self) -> None:
        self._hits: dict[str, int] = defaultdict(int)
        self._false: dict[str, int] = defaultdict(int)
        self._missed: dict[str, int] = defaultdict(int)
        self._ious: list[float] = []
        self._labels: list[bool] = []
        self._scores: list[tuple[float, bool]] = []

    def add(self, found: Boxes, truth: Truth) -> None:
        """Count one picture."""
        left = list(truth)
        for label, values, score in sorted(found, key=lambda one: -one[2]):
            best = max(
                (one for one in left if one[0] == label), key=lambda one: iou(_box(values), one[2]), default=None
            )
            hit = best is not None and iou(_box(values), best[2]) >= _MATCH_IOU
            self._scores.append((score, hit))
            if best is not None and hit:
                left.remove(best)
                self._hits[label] += 1
                self._ious.append(iou(_box(values), best[2]))
            else:
                self._false[label] += 1
        for label, _, _ in left:
            self._missed[label] += 1
        self._count_labels(found, truth)

    def _count_labels(self, found: Boxes, truth: Truth) -> None:
        """Is the label right where the box is?"""
        left = list(truth)
        for label, values, _ in sorted(found, key=lambda one: -one[2]):
            best = max(left, key=lambda one: iou(_box(values), one[2]), default=None)
            if best is not None and iou(_box(values), best[2]) >= _MATCH_IOU:
                left.remove(best)
                self._labels.append(label == best[0])

    def f1(self) -> float:
        """F1 over all objects of all pictures."""
        return self._f1(*(sum(counts.values()) for counts in (self._hits, self._false, self._missed)))

    @staticmethod
    def _f1(hits: int, false: int, missed: int) -> float:
        return 2 * hits / max(1, 2 * hits + false + missed)

    def mean_iou(self) -> float:
        """Mean IoU of the hits."""
        return float(np.mean(self._ious)) if self._ious else 0.0

    def label_accuracy(self) -> float:
        """Share of boxes in the right place (IoU at least .5 with any object) that have the right label."""
        return share(self._labels)

    def details(self) -> dict[str, Any]:
        """Precision and recall, and the F1 of each class."""
        hits, false, missed = (sum(counts.values()) for counts in (self._hits, self._false, self._missed))
        labels = sorted({*self._hits, *self._false, *self._missed})
        return {
            "precision": round(hits / max(1, hits + false), 4),
            "recall": round(hits / max(1, hits + missed), 4),
            "f1": {n: round(self._f1(self._hits[n], self._false[n], self._missed[n]), 4) for n in labels},
            "scores": self._scored(),
        }

    def _scored(self) -> dict[str, Any]:
        """What a score says: boxes with one in each range, and the share of them that are hits."""
        said: dict[str, Any] = {}
        for low, high in itertools.pairwise(_SCORES):
            hits = [hit for score, hit in self._scores if low <= score < high]
            said[f"{low}-{min(high, 1)}"] = [len(hits), round(share(hits), 3)]
        return said


class Plates:
    """Plates read, of those that are there (all are at least 14 px high)."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, bool, bool, float]] = []
        self._silent: list[bool] = []

    def add(self, scene: Scene, text: Answer, regions: Answer) -> None:
        """Count one picture; without a plate the right answer is none."""
        if not scene.plates:
            self._silent.append(not text.text.strip() and not regions.found)
            return
        plate = scene.plates[0]
        here = quad_box(plate.quad)
        plain = "".join(text.text.split()) == plate.text
        read, placed = False, 0.0
        for one in regions.found:
            if one.quad is not None and one.label.strip() == plate.text:
                read = True
                placed = max(placed, iou(here, quad_box(tuple(zip(one.quad[::2], one.quad[1::2], strict=True)))))
        self._rows.append((plate.height, plain, read, placed))

    def read_and_placed(self) -> float:
        """Share read exactly by <OCR_WITH_REGION> with a region that overlaps the plate by an IoU of at least .5."""
        return share([read and placed >= _MATCH_IOU for _, _, read, placed in self._rows])

    def details(self) -> dict[str, Any]:
        """The same by height of the plate, and without regions."""
        by_height = {}
        for low, high in itertools.pairwise(_HEIGHTS_PX):
            rows = [row for row in self._rows if low <= row[0] < high]
            by_height[f"{low}-{high}"] = [len(rows), *(round(share([bool(r[k]) for r in rows]), 3) for k in (1, 2))]
        return {
            "plates": len(self._rows),
            "ocr_exact": round(share([row[1] for row in self._rows]), 4),
            "ocr_with_region_exact": round(share([row[2] for row in self._rows]), 4),
            "region_iou_of_read": round(float(np.mean([row[3] for row in self._rows if row[2]] or [0.0])), 4),
            "silent_without_plate": round(share(self._silent), 4),
            "by_height_px [n, ocr, with region]": by_height,
        }


class Retrieval:
    """Is the first picture that a query finds one that it is true of? Over all pictures, for queries with a match."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        vectors: npt.NDArray[np.float32],
        embed_text: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    ) -> None:
        self._hits: dict[str, list[bool]] = {}
        self._five: dict[str, list[bool]] = {}
        for kind, queries in _queries(scenes).items():
            ranked = np.argsort(-(embed_text([query.text() for query in queries]) @ vectors.T), axis=1)
            true = np.array([[query.matches(scene) for scene in scenes] for query in queries], dtype=bool)
            in_order = np.take_along_axis(true, ranked, 1)[np.any(true, axis=1)]
            self._hits[kind] = [bool(v) for v in in_order[:, 0]]
            self._five[kind] = [bool(row.any()) for row in in_order[:, :5]]

    def first(self, kind: str) -> float:
        """R@1 of "simple", "scene" (one object, place or time) or "compound" (two objects, some with place or time)."""
        return share(self._hits[kind])

    def details(self) -> dict[str, Any]:
        """Number of queries, R@1 and R@5 of each kind."""
        return {
            kind: {"n": len(hits), "r1": round(share(hits), 4), "r5": round(share(self._five[kind]), 4)}
            for kind, hits in self._hits.items()
        }


def _queries(scenes: Sequence[Scene]) -> dict[str, list[Query]]:
    """Every simple query, and queries drawn about the scenes themselves."""
    rng = np.random.default_rng(_QUERY_SEED)
    drawn: dict[str, dict[Query, None]] = {"scene": {}, "compound": {}}
    for scene in scenes:
        if scene.visible():
            query = query_about(rng, scene)
            located = query.place is not None or query.night is not None
            kind = "compound" if len(query.wanted) == 2 else "scene" if located else None
            if kind and len(drawn[kind]) < _QUERIES:
                drawn[kind][query] = None
    return {"simple": list(SIMPLE)} | {kind: list(queries) for kind, queries in drawn.items()}
