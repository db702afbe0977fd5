"""Asks the models about one admitted frame and makes the observation.

Embed first, describe only what is new: SigLIP runs on every admitted frame; the caption runs only when the frame or its
moving region is new for that source. Otherwise the observation carries the earlier caption and `derived_from`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, Protocol

from stream import metrics, wire
from stream.pipeline import stream_of
from stream.types import (
    Admission,
    Delivery,
    FileEvent,
    Findings,
    Frame,
    Media,
    Observation,
    Provenance,
    Scheduler,
    Vector,
    Work,
)

CAPTIONS = ("<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>")
MAX_REGIONS = 4
"""Most of the gate's regions that are embedded beside the whole frame; the largest ones."""


class Novelty(Protocol):
    """Remembers what each source showed lately."""

    def known(
        self, source: str, observation_id: str, vectors: Sequence[Vector], moving: int = 0
    ) -> tuple[str, str | None] | None:
        """(id, caption) of an earlier observation of another id that shows the same; None when this is new."""
        ...

    def remember(
        self,
        source: str,
        observation_id: str,
        vectors: Sequence[Vector],
        caption: str | None,
        moving: int = 0,
    ) -> None: ...


class Describer:
    """Makes one observation of one frame. Called concurrently; the scheduler owns all batching."""

    def __init__(
        self,
        scheduler: Scheduler,
        novelty: Novelty | None,
        *,
        tasks: Sequence[str],
        revision: str,
        embed: bool = True,
        detect: Literal["always", "novel"] = "always",
    ) -> None:
        """`detect`: whether objects and text are asked of every admitted frame, or of one that shows something new."""
        self._scheduler = scheduler
        self._novelty = novelty
        self._always = tuple(task for task in tasks if task not in CAPTIONS)
        self._captions = tuple(task for task in tasks if task in CAPTIONS)
        self._tasks = (*self._always, *self._captions)
        self._revision = revision
        self._embed, self._detect = embed, detect

    async def __call__(self, frame: Frame, admission: Admission, delivery: Delivery) -> Observation:
        """Raises: InferenceFailed, DeviceFailed."""
        identity = wire.observation_id(frame.source, frame.event_id, frame.index, self._revision)
        regions = admission.boxes
        if len(regions) > 1:
            regions = tuple(sorted(regions, key=lambda box: -box.area)[:MAX_REGIONS])
        spared = self._captions or (self._detect == "novel" and self._always)
        if self._novelty is None or not spared or not self._embed:
            work = Work(self._tasks, embed=self._embed, regions=regions, traffic=delivery.traffic)
            findings = await self._scheduler.submit(frame, work)
            return self._observation(identity, frame, admission, delivery, findings, None)
        seen = await self._scheduler.submit(
            frame, Work(embed=True, regions=regions, traffic=delivery.traffic, keep=True)
        )
        stream = frame.source if isinstance(delivery.event, FileEvent) else stream_of(delivery)
        moving = len(admission.boxes)
        earlier = self._novelty.known(stream, identity, seen.vectors, moving)
        tasks = self._tasks
        if earlier:
            tasks = self._always if self._detect == "always" else ()
        findings = await self._scheduler.submit(frame, Work(tasks, traffic=delivery.traffic)) if tasks else Findings()
        findings = dataclasses.replace(findings, vectors=seen.vectors)
        if earlier is None:
            self._novelty.remember(stream, identity, seen.vectors, findings.caption, moving=moving)
            return self._observation(identity, frame, admission, delivery, findings, None)
        if earlier[1] is not None:
            metrics.CAPTIONS_SAVED.labels(frame.source).inc()
        findings = dataclasses.replace(findings, caption=earlier[1])
        return self._observation(identity, frame, admission, delivery, findings, earlier[0])

    def _observation(
        self,
        identity: str,
        frame: Frame,
        admission: Admission,
        delivery: Delivery,
        findings: Findings,
        derived_from: str | None,
    ) -> Observation:
        event, models = delivery.event, self._scheduler.models
        record = event.record
        return Observation(
            id=identity,
            source=frame.source,
            kind=_kind(frame, delivery),
            captured_at=frame.captured_at,
            media=Media(frame.width, frame.height, frame.index, event.uri, frame.pts_s),
            gate=admission,
            provenance=Provenance(
                topic=record.topic if record else "",
                partition=record.partition if record else -1,
                offset=record.offset if record else -1,
                sha256=frame.digest(),
                pipeline=self._revision,
                models=models.names,
                demo=models.demo,
                provider=models.provider,
            ),
            objects=findings.objects,
            caption=findings.caption,
            text=findings.text,
            vectors=findings.vectors,
            derived_from=derived_from,
        )


def _kind(frame: Frame, delivery: Delivery) -> Literal["frame", "image", "video"]:
    if not isinstance(delivery.event, FileEvent):
        return "frame"
    return "image" if frame.pts_s is None else "video"
