"""Choosing tokens: greedy and beam search with the rules of transformers' `generate`, one object for each request.

A search never calls a graph. It says which tokens to feed (`feeds`) and is told what came out (`advance`), and so any
number of them can share the slots of one decoder, each at its own position.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import InferenceFailed
from stream.infer.parse import Token

_NEVER = np.float32(-1e9)
"""transformers' score of what must not be chosen; finite, so that sums stay finite."""


class Feed(NamedTuple):
    """What one slot's next step takes."""

    token: int
    position: int  # of the token, from 0
    banned: Sequence[int]  # tokens that would repeat an n-gram


@dataclass(frozen=True, slots=True)
class Rules:
    """How tokens are chosen. The n-gram ban and the forced start are no taste: Florence-2-large loops without them."""

    start: int = 2
    bos: int | None = 0  # forced as the first token
    eos: int = 2  # forced as the last one
    pad: int = 1
    ngram: int = 3  # no n tokens in a row appear twice; 0 allows it
    beams: int = 3
    early_stopping: bool | str = True
    length_penalty: float = 1.0

    @classmethod
    def of(cls, generation: Mapping[str, Any], config: Mapping[str, Any]) -> Rules:
        """From generation_config.json, and from config.json for what that does not say."""
        text = config.get("text_config", {})

        def said(name: str, default: Any) -> Any:
            for place in (generation, text, config):
                if place.get(name) is not None:
                    return place[name]
            return default

        return cls(
            start=int(said("decoder_start_token_id", 2)),
            bos=int(said("forced_bos_token_id", 0)),
            eos=int(said("eos_token_id", 2)),
            pad=int(said("pad_token_id", 1)),
            ngram=int(said("no_repeat_ngram_size", 3)),
            beams=int(said("num_beams", 3)),
            early_stopping=said("early_stopping", True),
            length_penalty=float(said("length_penalty", 1.0)),
        )

    def search(self, max_tokens: int) -> Search:
        """A new search that generates at most `max_tokens` tokens, the end token included."""
        return Greedy(self, max_tokens) if self.beams == 1 else Beams(self, max_tokens)

    def greedy(self) -> Rules:
        return replace(self, beams=1)

    def banned(self, tokens: Sequence[int]) -> list[int]:
        """Tokens that would repeat an n-gram of `tokens`, oldest first."""
        size = self.ngram
        if not size or len(tokens) + 1 < size:
            return []
        tail = list(tokens[len(tokens) - size + 1 :])
        last = len(tokens) - size + 1
        return [tokens[at + size - 1] for at in range(last) if list(tokens[at : at + size - 1]) == tail]


class Search:
    """One request's search. `tokens` is complete when `done`: everything after the start token, the end included."""

    width = 1  # slots it occupies
    reads_logits = False

    def __init__(self, rules: Rules, max_tokens: int) -> None:
        self._rules, self._limit = rules, max_tokens + 1
        self.done = False
        self.tokens: list[Token] = []

    def feeds(self) -> list[Feed]:
        """One for each slot."""
        raise NotImplementedError

    def advance(
        self, ids: NDArray[np.int64], logprobs: NDArray[np.float32], logits: NDArray[np.float32] | None
    ) -> list[int] | None:
        """What the step gave for this request's slots: (width,), (width,), (width, V).

        Returns the slot each of its slots must continue from, or None when they stay as they are.

        Raises:
            InferenceFailed: NaN or infinity.
        """
        raise NotImplementedError


class Greedy(Search):
    """The likeliest token each time. The graph has applied the ban; the n-grams seen so far are kept in a table."""

    def __init__(self, rules: Rules, max_tokens: int) -> None:
        super().__init__(rules, max_tokens)
        self._ids = [rules.start]
        self._seen: dict[tuple[int, ...], list[int]] = {}

    def feeds(self) -> list[Feed]:
        size = self._rules.ngram
        tail = tuple(self._ids[1 - size :]) if size > 1 else ()
        return [Feed(self._ids[-1], len(self._ids) - 1, self._seen.get(tail, ()))]

    def advance(
        self, ids: NDArray[np.int64], logprobs: NDArray[np.float32], logits: NDArray[np.float32] | None
    ) -> None:
        _finite(logprobs)
        forced = len(self._ids) == 1 and self._rules.bos is not None
        self._append(Token(self._rules.bos or 0, 0.0) if forced else Token(int(ids[0]), float(logprobs[0])))
        if not self.done and len(self._ids) >= self._limit - 1:
            self._append(Token(self._rules.eos, 0.0))

    def _append(self, token: Token) -> None:
        self.tokens.append(token)
        self._ids.append(token.id)
        size = self._rules.ngram
        if size and len(self._ids) >= size:
            self._seen.setdefault(tuple(self._ids[-size:-1]), []).append(token.id)
        self.done = token.id == self._rules.eos


class _Beam(NamedTuple):
    score: np.float32
    tokens: tuple[Token, ...]
    finished: bool = False


class Beams(Search):
    """Beam search, step for step that of transformers 4.57 (`GenerationMixin._beam_search`) for one request."""

    reads_logits = True

    def __init__(self, rules: Rules, max_tokens: int) -> None:
        super().__init__(rules, max_tokens)
        self.width = rules.beams
        start = (Token(rules.start, 0.0),)
        # Only the first beam counts at first, or all beams would choose the same tokens.
        self._running = [_Beam(np.float32(0) if at == 0 else _NEVER, start) for at in range(self.width)]
        self._kept = [_Beam(_NEVER, start) for _ in range(self.width)]
        self._open = True

    def feeds(self) -> list[Feed]:
        # The ban is applied here, after log_softmax, not in the graph.
        return [Feed(beam.tokens[-1].id, len(beam.tokens) - 1, ()) for beam in self._running]

    def advance(
        self, ids: NDArray[np.int64], logprobs: NDArray[np.float32], logits: NDArray[np.float32] | None
    ) -> list[int]:
        _finite(logprobs)
        assert logits is not None
        length = len(self._running[0].tokens)
        made, sources = self._candidates(self._logprobs(logits, length))
        hits = [beam.tokens[-1].id == self._rules.eos or length + 1 >= self._limit for beam in made]
        self._keep(made, hits, length)
        order = _descending([beam.score + _NEVER * np.float32(hit) for beam, hit in zip(made, hits, strict=True)])
        chosen = order[: self.width]
        self._running = [made[at]._replace(score=made[at].score + _NEVER * np.float32(hits[at])) for at in chosen]
        self._finish(all(hits), length)
        return [sources[at] for at in chosen]

    def _logprobs(self, logits: NDArray[np.float32], length: int) -> NDArray[np.float32]:
        """(width, V) after the rules. Forced tokens come last, as transformers orders its processors."""
        forced = self._rules.bos if length == 1 else self._rules.eos if length == self._limit - 1 else None
        if forced is not None:
            only = np.full(logits.shape, -np.inf, np.float32)
            only[:, forced] = 0
            return only
        shifted: NDArray[np.float32] = logits - logits.max(-1, keepdims=True)
        scores: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        for row, beam in enumerate(self._running):
            ban = self._rules.banned([token.id for token in beam.tokens])
            if ban:
                scores[row, ban] = -np.inf
        return scores

    def _candidates(self, scores: NDArray[np.float32]) -> tuple[list[_Beam], list[int]]:
        """The best 2 x width continuations, best first, and the beam each comes from."""
        vocabulary = scores.shape[1]
        total = (scores + np.array([beam.score for beam in self._running], np.float32)[:, None]).ravel()
        best = np.argpartition(-total, 2 * self.width - 1)[: 2 * self.width]
        best = best[np.lexsort((best, -total[best]))]
        made, sources = [], []
        for at in best.tolist():
            source, token = divmod(at, vocabulary)
            step = Token(token, float(scores[source, token]))
            made.append(_Beam(total[at], (*self._running[source].tokens, step)))
            sources.append(source)
        return made, sources

    def _keep(self, made: Sequence[_Beam], hits: Sequence[bool], length: int) -> None:
        """Merges what has just ended into the best ended ones."""
        full = all(beam.finished for beam in self._kept) and self._rules.early_stopping is True
        for rank, (beam, hit) in enumerate(zip(made, hits, strict=True)):
            ended = hit and rank < self.width
            score = beam.score / np.float32(length**self._rules.length_penalty)
            score += _NEVER * np.float32(full) + _NEVER * np.float32(not self._open) + _NEVER * np.float32(not ended)
            self._kept.append(_Beam(score, beam.tokens, ended))
        self._kept = [self._kept[at] for at in _descending([beam.score for beam in self._kept])[: self.width]]

    def _finish(self, nothing_left: bool, length: int) -> None:
        """Whether going on could still improve the answer, by transformers' heuristic."""
        ahead = self._limit - 1 if self._rules.early_stopping == "never" and self._rules.length_penalty > 0 else length
        best = self._running[0].score / np.float32(ahead**self._rules.length_penalty)
        worst = min(beam.score for beam in self._kept)
        self._open = self._open and any(best > (worst if beam.finished else _NEVER) for beam in self._kept)
        full = all(beam.finished for beam in self._kept) and self._rules.early_stopping is True
        if not self._open or full or nothing_left:
            self.done = True
            self.tokens = list(self._kept[0].tokens[1:])


def _descending(scores: Sequence[np.float32]) -> list[int]:
    """Indices by falling score; equal ones keep their order."""
    return sorted(range(len(scores)), key=lambda at: -scores[at])


def _finite(logprobs: NDArray[np.float32]) -> None:
    if not all(map(math.isfinite, logprobs.tolist())):
        raise InferenceFailed("the decoder gave NaN or infinity: this picture cannot be described with these weights")
