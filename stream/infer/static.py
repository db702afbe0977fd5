"""Our static-cache layout: caches of a fixed size that are written in place, so that slots are refilled at any step.

Past and present are one buffer on the device. Bindings are made once for each size of batch, which on CUDA is one
captured graph each; a step then moves a few integers in and two numbers a slot out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from stream.infer.buffers import Bound, Buffer
from stream.infer.caches import Caches
from stream.infer.generate import Feed
from stream.infer.layout import Guess, Seat, Seen
from stream.infer.session import Array, Graph
from stream.types import Pixels

_BANS = 4
"""Banned tokens a slot has room for at first."""
_MAX_BOUND = 96
"""Bindings kept at once; each is a few kB on the CPU, and a captured graph on CUDA."""

Binding = tuple[Bound, dict[str, Buffer]]


class StaticLayout:
    """See `layout.Layout`.

    `swap` None chooses how beams change places: in place on the CPU, through a second set of caches and the `reorder`
    graph elsewhere.
    """

    def __init__(
        self,
        vision: Graph,
        encoder: Graph,
        decoder: Graph,
        reorder: Graph | None,
        *,
        slots: int,
        swap: bool | None = None,
    ) -> None:
        vision.require(["pixels"], ["image_features"])
        encoder.require(["image_features", "image_index", "input_ids", "text_lengths"], ["present_cross.0.key"])
        decoder.require(["input_ids", "write_indices", "encoder_lengths", "banned"], ["next_ids", "next_logprobs"])
        self.slots, self.provider = slots, decoder.provider
        self._vision, self._encoder, self._decoder = vision, encoder, decoder
        self._on_cpu = decoder.device == "cpu"
        self._reorder = reorder if (not self._on_cpu if swap is None else swap) else None
        self._caches = Caches(decoder, slots, spare=self._reorder is not None)
        self._lengths = np.ones(slots, np.int64)
        self._bans = _BANS
        self._bindings: dict[Hashable, Binding] = {}

    def see(self, images: Sequence[Pixels]) -> Seen:
        batch = self._bucket(len(images))
        bound, buffers = self._binding(("see", batch), lambda: self._bind_vision(batch))
        pixels = buffers["pixels"]
        staged = pixels.host if pixels.host is not None else np.zeros(pixels.shape, np.uint8)
        for row, image in enumerate(images):
            staged[row] = image
        if pixels.host is None:
            pixels.write(staged)
        bound.run()
        features = buffers["image_features"]
        return Seen(features, len(images), features.shape[1])

    def admit(self, seen: Seen, seats: Sequence[Seat]) -> None:
        longest = max(len(seat.ids) for seat in seats)
        self._caches.fit_text(seen.tokens, longest)
        # A device has no copies of rows: it encodes a prompt once for each of its beams.
        rows = [(seat, slot) for seat in seats for slot in (seat.slots[:1] if self._on_cpu else seat.slots)]
        count = self._bucket(len(rows))
        width = longest if self._on_cpu else min(-(-longest // 8) * 8, self._caches.text)
        key = ("admit", id(seen.features), count, width, self._caches.generation)
        bound, buffers = self._binding(key, lambda: self._bind_encoder(seen.features, count, width))
        ids = np.full((count, width), 1, np.int64)
        lengths, index, slots = (np.zeros(count, np.int64) for _ in range(3))
        for row in range(count):
            seat, slot = rows[min(row, len(rows) - 1)]  # padding repeats the last row: the same values to the same slot
            ids[row, : len(seat.ids)] = seat.ids
            lengths[row], index[row], slots[row] = len(seat.ids), seat.image, slot
        _fill(buffers, input_ids=ids, text_lengths=lengths, image_index=index, slots=slots)
        bound.run()
        for seat in seats:
            self._lengths[list(seat.slots)] = seen.tokens + len(seat.ids)
            if self._on_cpu and len(seat.slots) > 1:
                self._caches.copy_cross(seat.slots[1:], seat.slots[0])

    def step(self, feeds: Mapping[int, Feed], logits: bool) -> Guess:
        self._caches.fit_length(max(feed.position for feed in feeds.values()) + 1)
        self._bans = max(self._bans, _power(max(len(feed.banned) for feed in feeds.values())))
        batch = min(self._bucket(max(feeds) + 1), self.slots)
        key = ("step", batch, self._bans, id(self._caches.own), logits, self._caches.generation)
        bound, buffers = self._binding(key, lambda: self._bind_decoder(batch, logits))
        ids, places = np.zeros((batch, 1), np.int64), np.zeros(batch, np.int64)
        bans = np.full((batch, self._bans), -1, np.int64)
        for slot, feed in feeds.items():
            ids[slot], places[slot] = feed.token, feed.position
            if feed.banned:
                bans[slot] = feed.banned[0]
                bans[slot, : len(feed.banned)] = feed.banned
        _fill(buffers, input_ids=ids, write_indices=places, banned=bans, encoder_lengths=self._lengths[:batch])
        bound.run()
        rows = list(feeds)
        raw = buffers["logits"].read()[rows] if logits else None
        return Guess(buffers["next_ids"].read()[rows], buffers["next_logprobs"].read()[rows], raw)

    def reorder(self, sources: Mapping[int, int]) -> None:
        if all(slot == source for slot, source in sources.items()):
            return
        if self._reorder is None:
            self._caches.copy_own(sources)
            return
        graph, caches = self._reorder, self._caches
        bound, buffers = self._binding(
            ("reorder", id(caches.own), caches.generation), lambda: self._bind_reorder(graph)
        )
        rows = np.arange(self.slots, dtype=np.int64)
        rows[list(sources)] = list(sources.values())
        _fill(buffers, rows=rows)
        bound.run()
        caches.swap()

    def release(self, slots: Sequence[int], clean: bool) -> None:
        self._lengths[list(slots)] = 1
        if not clean:
            self._caches.clean(slots)

    def _bucket(self, count: int) -> int:
        """Exact on the CPU; a power of two on a device, where each size is a graph to capture."""
        return count if self._on_cpu else _power(count)

    def _binding(self, key: Hashable, make: Callable[[], Binding]) -> Binding:
        if key not in self._bindings:
            if len(self._bindings) >= _MAX_BOUND:
                self._bindings.clear()
            self._bindings[key] = make()
        return self._bindings[key]

    def _bind_vision(self, batch: int) -> Binding:
        graph = self._vision
        taken, given = graph.inputs["pixels"], graph.outputs["image_features"]
        pixels = Buffer.on(graph, (batch, *_fixed(taken.shape[1:])), taken.dtype)
        features = Buffer.on(graph, (batch, *_fixed(given.shape[1:])), given.dtype)
        buffers = {"pixels": pixels, "image_features": features}
        return Bound(graph, {"pixels": pixels}, {"image_features": features}), buffers

    def _bind_encoder(self, features: Buffer, count: int, width: int) -> Binding:
        graph, cross = self._encoder, self._caches.cross
        small = {name: Buffer.on(graph, (count,), np.int64) for name in ("image_index", "text_lengths", "slots")}
        small["input_ids"] = Buffer.on(graph, (count, width), np.int64)
        past = {f"past_cross.{half}": buffer for half, buffer in cross.items()}
        present = {f"present_cross.{half}": buffer for half, buffer in cross.items()}
        return Bound(graph, {"image_features": features, **small, **past}, present), small

    def _bind_decoder(self, batch: int, logits: bool) -> Binding:
        graph = self._decoder
        taken = {name: Buffer.on(graph, (batch,), np.int64) for name in ("write_indices", "encoder_lengths")}
        taken["input_ids"] = Buffer.on(graph, (batch, 1), np.int64)
        taken["banned"] = Buffer.on(graph, (batch, self._bans), np.int64)
        given = {name: Buffer.on(graph, (batch,), graph.outputs[name].dtype) for name in ("next_ids", "next_logprobs")}
        if logits:
            given["logits"] = Buffer.on(graph, (batch, *_fixed(graph.outputs["logits"].shape[1:])), np.float32)
        caches = {name: buffer.head(batch) for name, buffer in self._caches.feeds().items()}
        present = {f"present_self.{half}": buffer.head(batch) for half, buffer in self._caches.own.items()}
        return Bound(graph, {**taken, **caches}, {**given, **present}), taken | given

    def _bind_reorder(self, graph: Graph) -> Binding:
        rows = Buffer.on(graph, (self.slots,), np.int64)
        past = {f"past_self.{half}": buffer for half, buffer in self._caches.own.items()}
        present = {f"present_self.{half}": buffer for half, buffer in self._caches.spare.items()}
        return Bound(graph, {"rows": rows, **past}, present), {"rows": rows}


def _fill(buffers: Mapping[str, Buffer], **values: Array) -> None:
    for name, array in values.items():
        buffers[name].write(array)


def _fixed(shape: Sequence[int | str | None]) -> tuple[int, ...]:
    return tuple(int(side or 0) for side in shape)


def _power(count: int) -> int:
    """The next power of two."""
    return 1 << max(0, count - 1).bit_length()
