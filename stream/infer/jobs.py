"""One frame's way through the models: prepared inputs, what has come back so far, and the findings made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream.errors import InferenceFailed
from stream.infer.decoding import Row
from stream.infer.florence2 import Florence2
from stream.infer.parse import Answer, Found
from stream.infer.preprocess import crop
from stream.infer.siglip import Siglip
from stream.types import Box, Detection, Findings, Frame, Pixels, TextRead, Traffic, Vector, Work

_OBJECTS = ("<OD>", "<OPEN_VOCABULARY_DETECTION>")
_CAPTIONS = ("<MORE_DETAILED_CAPTION>", "<DETAILED_CAPTION>", "<CAPTION>")
_MAX_REGIONS = 8
"""Regions embedded for one frame, the largest first: a storm of small movements must not cost a batch."""


@dataclass(slots=True, eq=False)
class Job:
    """One frame in the scheduler. The device's thread owns it between `Device.put` and `done`."""

    width: int
    height: int
    traffic: Traffic
    done: asyncio.Future[None]
    arrived: float
    picture: Pixels | None = None  # Florence-2's input
    rows: list[Row] = field(default_factory=list)
    looks: list[Pixels] = field(default_factory=list)  # SigLIP's inputs: the frame, then its regions
    boxes: list[Box | None] = field(default_factory=list)  # of `looks`
    vectors: NDArray[np.float32] | None = None
    ended: int = 0  # rows
    over: bool = False  # answered, failed or given up by its caller
    started: bool = False
    batch: int = 1
    compute_ms: float = 0.0

    @property
    def size_bytes(self) -> int:
        """What it keeps in memory until it is done."""
        return sum(picture.nbytes for picture in (*self.looks, *([] if self.picture is None else [self.picture])))

    @property
    def complete(self) -> bool:
        return self.ended == len(self.rows) and (not self.looks or self.vectors is not None)

    def took(self, batch: int, seconds: float) -> None:
        """It was part of a batch."""
        self.batch = max(self.batch, batch)
        self.compute_ms += seconds * 1000


def prepare(
    frame: Frame, work: Work, florence2: Florence2 | None, siglip: Siglip | None, done: asyncio.Future[None], now: float
) -> Job:
    """Decodes a frame and makes the models' inputs of it; its pixels are dropped unless more work follows (`work.keep`).

    Blocking: runs on the preparing pool.

    Raises:
        BadMedia: the pixels cannot be decoded. InferenceFailed: a prompt is missing or too long.
    """
    job = Job(frame.width, frame.height, work.traffic, done, now)
    try:
        if work.tasks:
            if florence2 is None:
                raise InferenceFailed(f"no model is loaded that answers {', '.join(work.tasks)}")
            job.rows = [
                florence2.row(0, token, work.prompts.get(token, ""), job) for token in dict.fromkeys(work.tasks)
            ]
            job.picture = florence2.prepare(frame.rgb())
        if work.embed:
            if siglip is None:
                raise InferenceFailed("no model is loaded that embeds")
            regions = sorted(work.regions, key=lambda box: -box.area)[:_MAX_REGIONS]
            rgb = frame.rgb()
            job.boxes = [None, *regions]
            job.looks = [siglip.prepare(rgb), *(siglip.prepare(crop(rgb, box)) for box in regions)]
    except BaseException:
        frame.drop()
        raise
    if not work.keep:
        frame.drop()
    return job


def findings(job: Job, florence2: Florence2 | None, siglip: Siglip | None) -> Findings:
    """What a complete job found. Raises InferenceFailed when a row of it failed."""
    answers: dict[str, Answer] = {}
    if florence2 is not None:
        answers = {row.task.token: florence2.answer(row, job.width, job.height) for row in job.rows}
    vectors: tuple[Vector, ...] = ()
    if siglip is not None and job.vectors is not None:
        name = siglip.manifest.version  # a model trained anew under the same name is another one
        vectors = tuple(Vector(name, row, box) for row, box in zip(job.vectors, job.boxes, strict=True))
    return Findings(
        objects=tuple(
            Detection(one.label, one.score, one.box)
            for token in _OBJECTS
            for one in _found(answers, token)
            if one.box is not None
        ),
        caption=next((answers[token].text for token in _CAPTIONS if token in answers), None),
        text=_text(answers),
        vectors=vectors,
        answers={token: answer.plain() for token, answer in answers.items()},
        batch=job.batch,
        compute_ms=job.compute_ms,
        tokens=sum(answer.tokens for answer in answers.values()),
    )


def _found(answers: dict[str, Answer], token: str) -> Sequence[Found]:
    return answers[token].found if token in answers else ()


def _text(answers: dict[str, Answer]) -> tuple[TextRead, ...]:
    """With places where the task gives them; else the whole text as one."""
    if "<OCR_WITH_REGION>" in answers:
        return tuple(TextRead(one.label, one.score, one.quad) for one in answers["<OCR_WITH_REGION>"].found)
    plain = answers.get("<OCR>")
    return (TextRead(plain.text, plain.score),) if plain is not None and plain.text else ()
