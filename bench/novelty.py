"""Embed first, describe only what is new: captions saved and events missed, on the demo camera and the gate lab's clips.

    python -m bench novelty [--seeds 101 102 …] [--clips N] [--alike .95]        one JSON line for each kind of footage

Every frame goes through the gate; what it admits is embedded as in the product (the frame and the gate's largest
regions, bundled SigLIP) and asked of `Novelty`. An event is a new object that arrives in the scene: on the demo camera a
(class, colour), on the lab's clips a further box. It is missed when no frame between its arrival and its leaving was
captioned afresh. Carried captions are `stale` where the earlier frame had other things in it. `gate_missed` are events
of which not even one frame was admitted: the gate's fault, counted as missed too.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import cv2
import numpy as np

from bench.lab import clips
from stream.app.describe import MAX_REGIONS
from stream.capture.scenery import DrivewayCamera
from stream.decode.images import read_picture
from stream.gate import MotionGate, Novelty
from stream.infer import Siglip, bundled
from stream.infer.preprocess import crop
from stream.types import Frame, Pixels, Vector

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BUSY = ("person", "person stops", "group", "cars", "night person", "rain person", "leaves person", "crowd")
Things = Counter[tuple[str, ...]]


class Shot(NamedTuple):
    """One frame of the footage and what is in it."""

    at_s: float
    luma: Pixels
    rgb: Any  # () -> (H, W, 3) uint8
    size: tuple[int, int]  # width, height
    things: Things


@dataclass
class Account:
    """What was saved and what was missed."""

    frames: int = 0
    admitted: int = 0
    captioned: int = 0
    events: int = 0
    missed: int = 0
    gate_missed: int = 0
    stale: int = 0  # carried captions of a frame with other things in it
    lost: list[str] = field(default_factory=list)  # what the missed events were

    def __iadd__(self, other: Account) -> Account:
        for name in ("frames", "admitted", "captioned", "events", "missed", "gate_missed", "stale", "lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def line(self) -> dict[str, Any]:
        saved = 1 - self.captioned / self.admitted if self.admitted else 0.0
        return {
            "frames": self.frames, "admitted": self.admitted, "captioned": self.captioned, "saved": round(saved, 4),
            "events": self.events, "missed": self.missed, "gate_missed": self.gate_missed,
            "stale_share": round(self.stale / max(1, self.admitted - self.captioned), 4),
            "missed_share": round(self.missed / self.events, 4) if self.events else None, "lost": self.lost,
        }  # fmt: skip


class Look(NamedTuple):
    """An admitted frame as the novelty sees it."""

    index: int
    vectors: tuple[Vector, ...]
    moving: int


class Footage(NamedTuple):
    """What was admitted of one clip, embedded; and what was in every frame of it."""

    looks: list[Look]
    things: list[Things]


def driveway(seed: int, seconds: float) -> Iterator[Shot]:
    """The demo camera as the demo publishes it: 576 px, 5 frames a second, JPEG."""
    camera = DrivewayCamera(seed)
    for index in range(int(seconds * camera.fps)):
        frame = camera.at(index / camera.fps)
        data = cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        picture = read_picture(data)
        things = Counter((label, color) for label, color, _ in frame.truth)
        yield Shot(frame.pts_s, picture.luma, picture.pixels, (picture.width, picture.height), things)


def lab(name: str, seed: int) -> Iterator[Shot]:
    """A clip of the gate lab. Its objects have no names: how many there are is what can be told."""
    for index, (luma, labels) in enumerate(clips.render(name, seed)):
        grey = np.ascontiguousarray(luma)
        things: Things = Counter({("object",): len(labels.whole)})

        def rgb(grey: Pixels = grey) -> Pixels:
            return np.repeat(grey[..., None], 3, axis=2)

        yield Shot(index / clips.FPS, grey, rgb, (grey.shape[1], grey.shape[0]), things)


def film(shots: Iterator[Shot], siglip: Siglip) -> Footage:
    """Gate and embedding, as the product does them."""
    gate, looks, things = MotionGate(), [], []
    for index, shot in enumerate(shots):
        things.append(shot.things)
        at = _START + timedelta(seconds=shot.at_s)
        admission = gate.admit(Frame("bench", "bench", index, at, *shot.size, shot.luma, shot.rgb))
        if not admission.admitted:
            continue
        rgb = shot.rgb()
        boxes = sorted(admission.boxes, key=lambda box: -box.area)[:MAX_REGIONS]
        rows = siglip.embed_images([rgb, *(crop(rgb, box) for box in boxes)])
        vectors = tuple(Vector("siglip", row, box) for row, box in zip(rows, [None, *boxes], strict=True))
        looks.append(Look(index, vectors, len(admission.boxes)))
    return Footage(looks, things)


def arrivals(things: Sequence[Things]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """(thing, first frame, one past the last) of each event."""
    present: dict[tuple[str, ...], list[int]] = {}
    for index, now in enumerate([*things, Counter()]):
        for thing in {*present, *now}:
            begins = present.setdefault(thing, [])
            while len(begins) > now[thing]:
                yield thing, begins.pop(0), index
            begins += [index] * (now[thing] - len(begins))


def judge(footage: Footage, novelty: Novelty) -> Account:
    """Runs the novelty over what was admitted."""
    fresh, stale, admitted = [], 0, [look.index for look in footage.looks]
    for look in footage.looks:
        known = novelty.known("bench", str(look.index), look.vectors, look.moving)
        if known is None:
            fresh.append(look.index)
            novelty.remember("bench", str(look.index), look.vectors, "", moving=look.moving)
        else:
            stale += footage.things[int(known[0])] != footage.things[look.index]
    account = Account(len(footage.things), len(admitted), len(fresh), stale=stale)
    for thing, first, end in arrivals(footage.things):
        account.events += 1
        if not any(first <= index < end for index in fresh):
            account.missed += 1
            account.lost.append(f"{' '.join(reversed(thing))} {first}-{end}")
            account.gate_missed += not any(first <= index < end for index in admitted)
    return account


def footages(seeds: Sequence[int], count: int, seconds: float) -> Iterator[tuple[str, Footage]]:
    """The demo camera's and the lab's, embedded."""
    cv2.setNumThreads(1)
    siglip = Siglip.load(bundled() / "siglip-demo", provider="cpu", threads=1)
    for seed in seeds:
        yield "demo", film(driveway(seed, seconds), siglip)
    for name in _BUSY:
        for seed in range(clips.HELD_OUT, clips.HELD_OUT + count):
            yield "lab", film(lab(name, seed), siglip)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench novelty", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[101, 102, 103, 104], help="of the demo camera")
    parser.add_argument("--seconds", type=float, default=240.0, help="of each; its day has 240")
    parser.add_argument("--clips", type=int, default=1, help="of each class of the lab")
    parser.add_argument("--alike", type=float, nargs="*", default=[0.95], help="cosines to try")
    args = parser.parse_args(argv)
    totals: dict[tuple[str, float], Account] = {}
    for kind, footage in footages(args.seeds, args.clips, args.seconds):
        for alike in args.alike:
            totals.setdefault((kind, alike), Account()).__iadd__(judge(footage, Novelty(alike)))
    for (kind, alike), account in totals.items():
        print(json.dumps({"bench": "novelty", "footage": kind, "alike": alike, **account.line()}))
    return 0
