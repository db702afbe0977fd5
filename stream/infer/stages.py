"""The model calls, in the order that keeps a device busy: embed, see, encode, one token for every slot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from stream import metrics
from stream.errors import DeviceFailed, InferenceFailed, SeestreamError
from stream.infer.decoding import Row
from stream.infer.florence2 import Florence2
from stream.infer.jobs import Job
from stream.infer.lanes import Lanes
from stream.infer.layout import Seen
from stream.infer.session import OutOfMemory
from stream.infer.siglip import Siglip, checked
from stream.types import Traffic

log = logging.getLogger(__name__)

R = TypeVar("R")
Take = Callable[[Lanes[Job], Callable[[Job], bool]], Job | None]
Finish = Callable[[Job, SeestreamError | None], None]

_UPLOAD_SLOTS = 0.75
"""Uploads never hold more of the slots: a page of text takes hundreds of steps, which live frames must not wait for."""
_REFILL = 4
"""A busy decoder is refilled when a quarter of its slots is free: one picture at a time would waste a large device."""


class Stages:
    """Runs on the device's thread. `finish` ends a job; `take` gives the next job of a lane."""

    def __init__(
        self,
        florence2: Florence2 | None,
        siglip: Siglip | None,
        *,
        max_images: int,
        max_looks: int,
        take: Take,
        finish: Finish,
        clock: Callable[[], float],
    ) -> None:
        self._florence2, self._siglip = florence2, siglip
        self._take, self._finish, self._clock = take, finish, clock
        self.limits = {"vision": max_images, "encoder": 1 << 30, "embed": max_looks}
        self.describe: Lanes[Job] = Lanes()
        self.embed: Lanes[Job] = Lanes()
        self._seen: Seen | None = None
        self._rows: list[Row] = []  # seen, and waiting for slots
        self.call: tuple[str, float] | None = None  # what runs now, and since when

    @property
    def busy(self) -> bool:
        """Whether something can run although nothing new has come."""
        return bool(self._rows) or (self._florence2 is not None and self._florence2.decoding.active > 0)

    def turn(self) -> None:
        """At most one batch of each kind. Raises DeviceFailed and BadModel: no job can be answered any more."""
        if self._siglip is not None and len(self.embed):
            self._run_embed(self._siglip)
        model = self._florence2
        if model is None:
            return
        self._rows = [row for row in self._rows if not row.owner.over]
        if not self._rows and len(self.describe) and self._refill(model):
            self._run_vision(model)
        if self._rows and model.decoding.free:
            self._run_encoder(model)
        if model.decoding.active:
            self._run_step(model)

    def _refill(self, model: Florence2) -> bool:
        free, waiting = model.decoding.free, sum(len(job.rows) for job in self.describe.heads())
        quantum = min(self.limits["vision"], max(1, model.decoding.capacity // _REFILL))
        return free > 0 and (free >= quantum or (free >= waiting and len(self.describe) <= len(Traffic)))

    def _run_embed(self, model: Siglip) -> None:
        jobs: list[Job] = []
        count = 0

        def fits(job: Job) -> bool:
            return not jobs or count + len(job.looks) <= self.limits["embed"]

        while job := self._take(self.embed, fits):
            jobs.append(job)
            count += len(job.looks)
        if not jobs:
            return
        looks = [look for job in jobs for look in job.looks]
        vectors = self._attempt("embed", jobs, len(jobs), lambda: model.embed(looks))
        if vectors is None:
            self._return(self.embed, jobs)
            return
        start = 0
        for job in jobs:
            own = vectors[start : start + len(job.looks)]
            start += len(job.looks)
            try:
                job.vectors = checked(own)
            except InferenceFailed as error:
                self._finish(job, error)
            else:
                self._finish(job, None)

    def _run_vision(self, model: Florence2) -> None:
        jobs: list[Job] = []
        decoding, rows = model.decoding, 0
        uploads = sum(row.owner.traffic is Traffic.UPLOAD for row in decoding.rows)

        def fits(job: Job) -> bool:
            held = uploads + len(job.rows) if uploads else 0  # the first one always fits
            if job.traffic is Traffic.UPLOAD and held > decoding.capacity * _UPLOAD_SLOTS:
                return False
            return not jobs or (len(jobs) < self.limits["vision"] and rows + len(job.rows) <= decoding.free)

        while job := self._take(self.describe, fits):
            jobs.append(job)
            rows += len(job.rows)
            uploads += len(job.rows) if job.traffic is Traffic.UPLOAD else 0
        if not jobs:
            return
        pictures = [job.picture for job in jobs if job.picture is not None]
        self._seen = self._attempt("vision", jobs, len(jobs), lambda: model.see(pictures))
        if self._seen is None:
            self._return(self.describe, jobs)
            return
        for image, job in enumerate(jobs):
            for row in job.rows:
                row.image = image
                self._rows.append(row)

    def _run_encoder(self, model: Florence2) -> None:
        rows, seen = self._rows[: min(model.decoding.free, self.limits["encoder"])], self._seen
        assert seen is not None

        def admit() -> bool:
            model.decoding.admit(seen, rows)
            return True

        if self._attempt("encoder", _owners(rows), len(rows), admit):
            self._rows = self._rows[len(rows) :]

    def _run_step(self, model: Florence2) -> None:
        rows = model.decoding.rows
        ended = self._attempt("decoder", _owners(rows), len(rows), model.decoding.step)
        for row in ended or ():
            row.owner.ended += 1
            self._finish(row.owner, row.error)

    def _attempt(self, stage: str, jobs: Sequence[Job], size: int, call: Callable[[], R]) -> R | None:
        """One model call, measured. None: there was no memory for it, and the next try is half as large."""
        started = self._clock()
        for job in jobs:
            if not job.started:
                job.started = True
                metrics.QUEUE_SECONDS.labels(job.traffic.value).observe(started - job.arrived)
        self.call = (stage, started)
        try:
            result = call()
        except OutOfMemory as error:
            if size == 1 or stage not in self.limits:
                raise DeviceFailed(f"{stage}: not even a batch of {size} fits into the device's memory") from error
            self.limits[stage] = size // 2
            log.warning("%s: no memory for a batch of %d, going on with %d: %s", stage, size, size // 2, error)
            return None
        finally:
            self.call = None
        seconds = self._clock() - started
        metrics.BATCH_SIZE.labels(stage).observe(size)
        metrics.COMPUTE_SECONDS.labels(stage).observe(seconds)
        for job in jobs:
            job.took(size, seconds)
        return result

    def _return(self, lanes: Lanes[Job], jobs: Sequence[Job]) -> None:
        for job in reversed(jobs):
            lanes.put_back(job)


def _owners(rows: Sequence[Row]) -> list[Job]:
    """The jobs of these rows, each once."""
    return list(dict.fromkeys(row.owner for row in rows))
