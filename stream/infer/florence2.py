"""Florence-2: a model folder becomes pictures in, answers out, in either file layout."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import BadModel, DeviceFailed, InferenceFailed, Misconfigured
from stream.infer.decoding import Decoding, Row
from stream.infer.generate import Rules
from stream.infer.layout import Layout, Seen
from stream.infer.manifest import Manifest
from stream.infer.parse import Answer, Parser, Token
from stream.infer.preprocess import Preprocess
from stream.infer.published import PublishedLayout
from stream.infer.session import CUDA, Graph, open_session
from stream.infer.static import StaticLayout
from stream.infer.tasks import TASKS, prompt, task_named
from stream.infer.tokens import Vocabulary
from stream.types import Pixels

log = logging.getLogger(__name__)

_SLOTS = {"cpu": 8, "cuda": 64}
_MODEL_TYPES = {"florence2", "florence-2"}


class Florence2:
    """Not shared between threads, except `prepare`, `row` and `answer`, which any thread may call."""

    def __init__(
        self,
        layout: Layout,
        rules: Rules,
        vocabulary: Vocabulary,
        preprocess: Preprocess,
        manifest: Manifest,
        *,
        precision: str = "fp32",
        positions: int = 1024,
        max_tokens: Mapping[str, int] | None = None,
        banned: Sequence[str] | None = None,
    ) -> None:
        self.decoding = Decoding(layout, rules)
        self.manifest, self.precision, self.preprocess = manifest, precision, preprocess
        self.provider = layout.provider
        self._layout, self._words = layout, vocabulary
        self._parser = Parser(vocabulary) if banned is None else Parser(vocabulary, banned)
        self._positions, self._caps = positions, dict(max_tokens or {})
        self._image_tokens = 0

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        provider: str = "auto",
        precision: str = "auto",
        threads: int = 0,
        layout: str = "auto",
        slots: int | None = None,
        beams: int | None = None,
        max_tokens: Mapping[str, int] | None = None,
        cuda_graph: bool = True,
    ) -> Florence2:
        """Reads a model folder, verifies what it uses, and warms up.

        `precision` auto is fp16 on CUDA where there are such files, else fp32. `layout` auto is the static one where
        the folder has it. `slots` is how many rows are decoded at once: 8 on the CPU, 64 on CUDA. `beams` None is
        1; the reference's 3 take three slots each. `max_tokens` maps task tokens to caps other than the table's.

        Raises:
            BadModel: a file is missing, altered or of another architecture.
            Misconfigured: a provider, precision or layout that cannot be had.
        """

        def loaded(captured: bool) -> Florence2:
            files = _Files(Manifest.read(folder), provider, precision, threads, captured)
            return cls._of(files, layout, slots, beams or 1, max_tokens)

        model = loaded(cuda_graph)
        try:
            model.warm_up()
        except (DeviceFailed, BadModel):
            if not (cuda_graph and model.provider == CUDA):
                raise
            log.warning("%s cannot be captured as CUDA graphs: it runs without them, and slower", folder.name)
            model = loaded(False)
            model.warm_up()
        return model

    @classmethod
    def _of(
        cls, files: _Files, layout: str, slots: int | None, beams: int, max_tokens: Mapping[str, int] | None
    ) -> Florence2:
        manifest = files.manifest
        config = manifest.json("config.json")
        kind = str(config.get("model_type", "nothing"))
        if kind not in _MODEL_TYPES:
            raise BadModel(f"{manifest.folder} holds a {kind} model, not a Florence-2")
        rules = replace(Rules.of(manifest.json("generation_config.json", optional=True), config), beams=beams)
        preprocess = Preprocess.of(manifest.json("preprocessor_config.json"))
        processor = manifest.json("processor_config.json", optional=True)
        return cls(
            files.open(layout, preprocess, slots, beams),
            rules,
            Vocabulary.load(manifest, rules.bos or 0, rules.eos, rules.pad),
            preprocess,
            manifest,
            precision=files.precision,
            positions=int(config.get("text_config", {}).get("max_position_embeddings", 1024)),
            max_tokens=max_tokens,
            banned=processor.get("post_processor_config", {})
            .get("phrase_grounding", {})
            .get("banned_grounding_tokens"),
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks this model was trained for."""
        return self.manifest.tasks or tuple(TASKS)

    def check(self, tasks: Sequence[str], prompted: bool = True) -> None:
        """Raises Misconfigured for a task that is unknown or that this model was not trained for, or that asks for a
        text where there is none (`prompted` False)."""
        for token in tasks:
            if task_named(token).takes_input and not prompted:
                raise Misconfigured(f"{token} asks about a text or region, and here there is none")
            if token not in self.tasks:
                known = ", ".join(self.tasks)
                raise Misconfigured(f"{self.manifest.name} was not trained for {token}; it knows {known}")

    def warm_up(self) -> None:
        """A few tokens about blank pictures, so that the first real frame pays for no set-up: on a device that is a
        capture for each size of batch."""
        blank = np.zeros((self.preprocess.height, self.preprocess.width, 3), np.uint8)
        token = self.tasks[0]
        sizes = [1] if self.provider != CUDA else [2**at for at in range(self.decoding.capacity.bit_length())]
        for size in sizes:
            seen = self.see([blank] * size)
            rows = [self.row(image, token, "car" if TASKS[token].takes_input else "") for image in range(size)]
            for row in rows:
                row.max_tokens = 3
            self.decoding.admit(seen, rows)
            while self.decoding.active:
                self.decoding.step()

    def prepare(self, rgb: Pixels) -> Pixels:
        """(H, W, 3) uint8 RGB of any size to what `see` takes."""
        return self.preprocess.pixels(rgb)

    def see(self, images: Sequence[Pixels]) -> Seen:
        """One vision pass over prepared pictures; it lives until the next one. Of no picture it is empty."""
        if not len(images):
            return Seen(np.zeros((0, self._image_tokens, 0), np.float32), 0, self._image_tokens)
        seen = self._layout.see(images)
        self._image_tokens = seen.tokens
        return seen

    def row(self, image: int, token: str, text: str = "", owner: Any = None) -> Row:
        """A task about picture number `image` of a vision pass.

        Raises:
            Misconfigured: no such task, or not this model's. InferenceFailed: its text is missing or too long.
        """
        self.check((token,))
        task = task_named(token)
        ids = self._words.encode(prompt(task, text))
        room = self._positions - self._image_tokens
        if len(ids) > room:
            raise InferenceFailed(f"the prompt of {token} has {len(ids)} tokens, this model takes {room}: shorten it")
        cap = min(self._caps.get(token, task.max_tokens), self._positions - 2)
        return Row(image, ids, task, cap, owner)

    def answer(self, row: Row, width: int, height: int) -> Answer:
        """What an ended row says of a source picture of this size in pixels. Raises InferenceFailed when it failed."""
        if row.error is not None:
            raise row.error
        assert row.search is not None
        return self._parser.parse(row.task, row.search.tokens, width, height)

    def tokens(self, row: Row) -> list[Token]:
        """Everything after the start token, the end included."""
        return list(row.search.tokens) if row.search is not None else []

    def look(self, rgb: Pixels, tasks: Sequence[str], prompts: Mapping[str, str] | None = None) -> dict[str, Answer]:
        """Answers several tasks about one picture, with one vision pass, without a scheduler."""
        height, width = rgb.shape[:2]
        waiting = [self.row(0, token, (prompts or {}).get(token, "")) for token in tasks]
        ended: list[Row] = []
        if waiting:
            seen = self.see([self.prepare(rgb)])
        while waiting or self.decoding.active:
            if waiting and self.decoding.free:
                some, waiting = waiting[: self.decoding.free], waiting[self.decoding.free :]
                self.decoding.admit(seen, some)
            ended += self.decoding.step()
        by_task = {row.task.token: row for row in ended}
        return {token: self.answer(by_task[token], width, height) for token in tasks}


class _Files:
    """Opens a folder's graphs, all alike."""

    def __init__(self, manifest: Manifest, provider: str, precision: str, threads: int, cuda_graph: bool) -> None:
        self.manifest, self._provider, self._threads, self._cuda_graph = manifest, provider, threads, cuda_graph
        self._asked = precision

    @cached_property
    def precision(self) -> str:
        """What was asked for; auto is fp16 where CUDA works and there are such files, which only loading one shows."""
        stem = next((s for s in ("static_vision", "vision_encoder") if self.manifest.has(s, "fp16")), None)
        if self._asked != "auto" or self._provider == "cpu" or stem is None:
            return "fp32" if self._asked == "auto" else self._asked
        try:
            probe = open_session(self.manifest.graph(stem, "fp16"), provider=self._provider)
        except Misconfigured:
            return "fp32"
        return "fp16" if probe.device == "cuda" else "fp32"

    def graph(self, stem: str) -> Graph:
        return open_session(
            self.manifest.graph(stem, self.precision),
            provider=self._provider,
            precision=self.precision,
            threads=self._threads,
            cuda_graph=self._cuda_graph and stem.startswith("static_"),
        )

    def open(self, layout: str, preprocess: Preprocess, slots: int | None, beams: int) -> Layout:
        if layout not in ("auto", "static", "published"):
            raise Misconfigured(f"layout {layout!r} is not one of auto, static, published")
        if layout == "static" or (layout == "auto" and self.manifest.has("static_decoder", self.precision)):
            vision, encoder, decoder = (self.graph(f"static_{part}") for part in ("vision", "encoder", "decoder"))
            count = max(slots or _SLOTS[decoder.device], beams)
            reorder = self.graph("static_reorder") if beams > 1 and decoder.device == "cuda" else None
            return StaticLayout(vision, encoder, decoder, reorder, slots=count)
        vision, embed, encoder = (self.graph(stem) for stem in ("vision_encoder", "embed_tokens", "encoder_model"))
        merged = self.manifest.has("decoder_model_merged", self.precision)
        decoder = self.graph("decoder_model_merged" if merged else "decoder_model")
        following = None if merged else self.graph("decoder_with_past_model")
        count = max(slots or _SLOTS[decoder.device], beams)
        return PublishedLayout(vision, embed, encoder, decoder, following, preprocess, slots=count)
