"""The published layout (onnx-community, transformers.js): caches that grow with each step.

Its decoder takes one length of past for the whole batch, so rows that were admitted together run together, as a cohort;
several cohorts take turns, and a new row never waits for an old one to end. Rows that have ended are dropped from their
cohort when they are half of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import BadModel
from stream.infer.generate import Feed
from stream.infer.layout import Guess, Seat, Seen
from stream.infer.preprocess import Preprocess
from stream.infer.session import Graph
from stream.types import Pixels


@dataclass(slots=True)
class _Cohort:
    """Rows with the same position. `rows` has the slot of each row of the tensors; None where it has ended."""

    rows: list[int | None]
    hidden: NDArray[Any]  # (n, S, D) encoder output, for the first step
    mask: NDArray[np.int64]  # (n, S)
    past: dict[str, Any] | None = None  # OrtValues on the device, by input name; None before the first step


class PublishedLayout:
    """See `layout.Layout`. `decoder` is decoder_model_merged, or the first step's with `next_decoder` for the rest."""

    def __init__(
        self,
        vision: Graph,
        embed: Graph,
        encoder: Graph,
        decoder: Graph,
        next_decoder: Graph | None,
        preprocess: Preprocess,
        *,
        slots: int,
    ) -> None:
        vision.require(["pixel_values"], ["image_features"])
        embed.require(["input_ids"], ["inputs_embeds"])
        encoder.require(["attention_mask", "inputs_embeds"], ["last_hidden_state"])
        decoder.require(["encoder_attention_mask", "encoder_hidden_states", "inputs_embeds"], ["logits"])
        cached = next_decoder or decoder
        cached.require(["past_key_values.0.decoder.key", "past_key_values.0.encoder.key"], ["present.0.decoder.key"])
        if next_decoder is None and "use_cache_branch" not in decoder.inputs:
            raise BadModel(f"{decoder.name} has no use_cache_branch, and there is no decoder_with_past_model beside it")
        self.slots, self.provider = slots, decoder.provider
        self._vision, self._embed, self._encoder, self._preprocess = vision, embed, encoder, preprocess
        self._first, self._next = decoder, cached
        self._cohorts: list[_Cohort] = []

    def see(self, images: Sequence[Pixels]) -> Seen:
        values = self._preprocess.normalise(np.stack(images))
        features = self._vision.run({"pixel_values": values}, ["image_features"])["image_features"]
        return Seen(features, len(images), features.shape[1])

    def admit(self, seen: Seen, seats: Sequence[Seat]) -> None:
        longest = max(len(seat.ids) for seat in seats)
        ids = np.full((len(seats), longest), 1, np.int64)
        mask = np.zeros((len(seats), seen.tokens + longest), np.int64)
        for row, seat in enumerate(seats):
            ids[row, : len(seat.ids)] = seat.ids
            mask[row, : seen.tokens + len(seat.ids)] = 1
        words = self._embed.run({"input_ids": ids})["inputs_embeds"]
        pictures = seen.features[[seat.image for seat in seats]]
        joined = np.concatenate([pictures, words.astype(pictures.dtype, copy=False)], 1)
        feeds = {"attention_mask": mask, "inputs_embeds": joined}
        hidden = self._encoder.run(feeds, ["last_hidden_state"])["last_hidden_state"]
        each = [row for row, seat in enumerate(seats) for _ in seat.slots]
        rows: list[int | None] = [slot for seat in seats for slot in seat.slots]
        self._cohorts.append(_Cohort(rows, hidden[each], mask[each]))

    def step(self, feeds: Mapping[int, Feed], logits: bool) -> Guess:
        found: dict[int, NDArray[np.float32]] = {}
        for cohort in self._cohorts:
            fed = [slot for slot in cohort.rows if slot in feeds]
            if fed:
                found.update(self._step(cohort, feeds))
        raw = np.stack([found[slot] for slot in feeds])
        shifted = raw - raw.max(-1, keepdims=True)
        norm = np.log(np.exp(shifted).sum(-1))
        allowed = raw.copy()
        for row, feed in enumerate(feeds.values()):
            allowed[row, list(feed.banned)] = -np.inf
        ids = allowed.argmax(-1)
        return Guess(ids, shifted[np.arange(len(ids)), ids] - norm, raw if logits else None)

    def reorder(self, sources: Mapping[int, int]) -> None:
        for cohort in self._cohorts:
            rows = [cohort.rows.index(sources.get(slot, slot)) if slot is not None else at
                    for at, slot in enumerate(cohort.rows)]  # fmt: skip
            if rows != list(range(len(rows))):
                self._take(cohort, rows, ("decoder",))

    def release(self, slots: Sequence[int], clean: bool) -> None:
        for cohort in self._cohorts:
            cohort.rows = [None if slot in slots else slot for slot in cohort.rows]
            living = [at for at, slot in enumerate(cohort.rows) if slot is not None]
            if living and 2 * len(living) <= len(cohort.rows):
                self._take(cohort, living, ("decoder", "encoder"))
                cohort.rows = [cohort.rows[at] for at in living]
        self._cohorts = [cohort for cohort in self._cohorts if any(slot is not None for slot in cohort.rows)]

    def _step(self, cohort: _Cohort, feeds: Mapping[int, Feed]) -> dict[int, NDArray[np.float32]]:
        """One step for a whole cohort; its logits (V,) by slot."""
        tokens = [[1 if slot is None else feeds[slot].token] for slot in cohort.rows]
        words = self._embed.run({"input_ids": np.array(tokens, np.int64)})["inputs_embeds"]
        first = cohort.past is None
        graph = self._first if first else self._next
        given = {"encoder_attention_mask": cohort.mask, "inputs_embeds": words}
        if "encoder_hidden_states" in graph.inputs:
            given["encoder_hidden_states"] = cohort.hidden
        if "use_cache_branch" in graph.inputs:
            given["use_cache_branch"] = np.array([not first])
        values = {name: graph.value(name, array) for name, array in given.items()}
        values |= cohort.past or {name: graph.value(name, array) for name, array in self._empty(graph, len(tokens))}
        out = graph.step(values)
        # The cached branch gives dummies for the encoder's half: the first step's stay.
        fresh = {name.replace("present", "past_key_values"): value for name, value in out.items() if name != "logits"}
        cohort.past = (cohort.past or {}) | {n: value for n, value in fresh.items() if first or ".decoder." in n}
        logits = np.asarray(out["logits"].numpy()[:, -1], np.float32)
        return {slot: logits[at] for at, slot in enumerate(cohort.rows) if slot is not None}

    def _empty(self, graph: Graph, rows: int) -> list[tuple[str, NDArray[Any]]]:
        """Caches of length zero for the merged decoder's first call."""
        ports = [(name, port) for name, port in graph.inputs.items() if name.startswith("past_key_values")]
        return [(n, np.zeros((rows, int(p.shape[1] or 0), 0, int(p.shape[3] or 0)), p.dtype)) for n, p in ports]

    def _take(self, cohort: _Cohort, rows: list[int], halves: tuple[str, ...]) -> None:
        """Keep these rows of a cohort's tensors, in this order. Goes through the host: rare, or a beam's."""
        if "encoder" in halves:
            cohort.hidden, cohort.mask = cohort.hidden[rows], cohort.mask[rows]
        for name, value in (cohort.past or {}).items():
            if any(f".{half}." in name for half in halves):
                cohort.past[name] = self._next.value(name, value.numpy()[rows])  # type: ignore[index]
