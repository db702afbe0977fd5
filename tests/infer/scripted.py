"""A layout of Florence-2 that says what its pictures tell it to, and breaks on command. No model, no waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from stream.infer.florence2 import Florence2
from stream.infer.generate import Feed, Rules
from stream.infer.layout import Guess, Seat, Seen
from stream.infer.manifest import Manifest
from stream.infer.preprocess import Preprocess
from stream.infer.session import OutOfMemory
from stream.infer.tokens import Vocabulary
from stream.types import Frame, Pixels

NAN = 255
"""A picture of this grey makes the decoder give NaN."""
_EOS = 2


class ScriptedLayout:
    """A picture of grey g is described by g + 2 tokens: the start, g times the token 300 + g, and the end."""

    provider = "CPUExecutionProvider"

    def __init__(self, slots: int = 4) -> None:
        self.slots = slots
        self.seen: list[list[int]] = []  # greys of each vision batch
        self.admitted: list[int] = []  # rows of each encoder batch
        self.steps: list[int] = []  # rows of each step
        self.released: list[tuple[list[int], bool]] = []
        self.memory = 1 << 30  # pictures that fit into a batch
        self.hang = threading.Event()
        self.hang.set()
        self._greys: dict[int, int] = {}

    def see(self, images: Sequence[Pixels]) -> Seen:
        self.hang.wait()
        if len(images) > self.memory:
            raise OutOfMemory("scripted: no memory")
        greys = [int(image[0, 0, 0]) for image in images]
        self.seen.append(greys)
        return Seen(greys, len(greys), 1)

    def admit(self, seen: Seen, seats: Sequence[Seat]) -> None:
        if len(seats) > self.memory:
            raise OutOfMemory("scripted: no memory")
        self.admitted.append(len(seats))
        for seat in seats:
            for slot in seat.slots:
                assert slot not in self._greys, "the slot is taken"
                self._greys[slot] = seen.features[seat.image]

    def step(self, feeds: Mapping[int, Feed], logits: bool) -> Guess:
        self.steps.append(len(feeds))
        assert set(feeds) == set(self._greys)
        greys = [self._greys[slot] for slot in feeds]
        ids = [_EOS if feed.position > grey else 300 + grey for grey, feed in zip(greys, feeds.values(), strict=True)]
        chances = [np.nan if grey == NAN else -0.5 for grey in greys]
        return Guess(np.array(ids), np.array(chances, np.float32), None)

    def reorder(self, sources: Mapping[int, int]) -> None:
        assert not sources

    def release(self, slots: Sequence[int], clean: bool) -> None:
        self.released.append((list(slots), clean))
        for slot in slots:
            del self._greys[slot]


def scripted(layout: ScriptedLayout, folder: Path) -> Florence2:
    """A Florence-2 with the golden tokenizer over a scripted layout, without the n-gram ban."""
    manifest = Manifest.read(folder)
    side = Preprocess(8, 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    model = Florence2(
        layout, Rules(beams=1, ngram=0), Vocabulary.load(manifest, 0, 2, 1), side, manifest, positions=600
    )
    model.warm_up()
    layout.seen.clear()
    layout.admitted.clear()
    layout.steps.clear()
    return model


def grey_frame(grey: int, source: str = "camera") -> Frame:
    """A frame of one grey, 24x16 px."""
    pixels = np.full((16, 24, 3), grey, np.uint8)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Frame(f"{source}-{grey}", source, 0, now, 24, 16, pixels[:, :, 0].copy(), lambda: pixels)
