"""Observations, alerts and frames for the sinks' tests: plain, complete, different where a test says so."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream import wire
from stream.types import (
    Admission,
    Alert,
    Box,
    Detection,
    Digest,
    Frame,
    Media,
    Observation,
    Provenance,
    Reason,
    TextRead,
    Vector,
)

START = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
MODEL = "siglip-test@0123456789ab"
DIMS = 32
BOX = Box(10.5, 20.0, 110.0, 220.25)


def axis(number: int, dims: int = DIMS, lean: int | None = None) -> NDArray[np.float32]:
    """A unit vector along one axis; with `lean` a quarter towards another one."""
    values = np.zeros(dims, dtype=np.float32)
    values[number] = 1.0
    if lean is not None:
        values[lean] = 0.25
    return values / np.float32(np.linalg.norm(values))


def vector(number: int, *, box: Box | None = None, model: str = MODEL, lean: int | None = None) -> Vector:
    return Vector(model, axis(number, lean=lean), box)


def observation(number: int = 0, **changes: Any) -> Observation:
    """The `number`-th second's observation of the source `garage`."""
    values: dict[str, Any] = {
        "id": wire.observation_id("garage", f"event-{number}", 0, "abcdef012345"),
        "source": "garage",
        "kind": "frame",
        "captured_at": START + timedelta(seconds=number),
        "media": Media(640, 480, uri="file:///x/y%20z.jpg", offset_s=1.5),
        "gate": Admission(True, Reason.MOTION, 0.5, (BOX,)),
        "provenance": Provenance(
            "frames", 3, 42 + number, Digest("0" * 64), "abcdef012345", {"embed": MODEL}, True, "cpu"
        ),
        "objects": (Detection("car", 0.75, BOX),),
        "caption": "a red car in the driveway",
        "text": (TextRead("SKI 2026", 0.5, (1, 2, 3, 2, 3, 4, 1, 4)),),
        "snapshot": f"2026-11-01/12/{number}.jpg",
    }
    return Observation(**{**values, **changes})


def alert(number: int = 0, **changes: Any) -> Alert:
    seen = observation(number)
    values: dict[str, Any] = {
        "id": wire.alert_id("night-car", seen.source, seen.captured_at),
        "rule": "night-car",
        "source": seen.source,
        "captured_at": seen.captured_at,
        "observation": seen.id,
        "message": "a car in the garage",
        "label": "car",
        "score": 0.75,
        "box": BOX,
    }
    return Alert(**{**values, **changes})


def frame(encoded: bytes | None = None, media_type: str | None = None, captured_at: datetime = START) -> Frame:
    """A frame of 8 x 6 pixels whose rows differ."""
    pixels = np.repeat(np.arange(6, dtype=np.uint8)[:, None, None] * 40, 8, axis=1).repeat(3, axis=2)
    return Frame(
        event_id="event",
        source="garage",
        index=0,
        captured_at=captured_at,
        width=8,
        height=6,
        luma=np.ascontiguousarray(pixels[:, :, 0]),
        pixels=lambda: pixels,
        encoded=encoded,
        media_type=media_type,
    )


class Noted(Digest):
    """A digest that remembers on which threads it was asked for."""

    def __init__(self, picture: bytes) -> None:
        super().__init__(picture)
        self.threads: list[threading.Thread] = []

    def __str__(self) -> str:
        self.threads.append(threading.current_thread())
        return super().__str__()
