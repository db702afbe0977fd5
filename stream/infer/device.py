"""The one thread that runs models: jobs in from any thread, answers and failures out through one callback."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from stream.errors import DeviceFailed, SeestreamError
from stream.infer.florence2 import Florence2
from stream.infer.jobs import Job
from stream.infer.lanes import Lanes
from stream.infer.siglip import Siglip
from stream.infer.stages import Stages

log = logging.getLogger(__name__)

Done = Callable[[Job, SeestreamError | None], None]


class Device:
    """Owns the models and their thread: a daemon, so that a call that hangs in a driver does not hold up the exit.

    `done(job, error)` is called once for each job that was put and not given up, on whichever thread ends it.
    """

    def __init__(
        self,
        florence2: Florence2 | None,
        siglip: Siglip | None,
        *,
        max_images: int,
        max_looks: int,
        max_wait_s: float,
        done: Done,
        clock: Callable[[], float],
    ) -> None:
        self._done, self._clock, self._max_wait_s = done, clock, max_wait_s
        self._ready = threading.Condition()
        self._jobs: set[Job] = set()
        self._stages = Stages(
            florence2, siglip, max_images=max_images, max_looks=max_looks, take=self._take, finish=self._finish,
            clock=clock,
        )  # fmt: skip
        self._stopping = False
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._work, name="infer-device", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ends after the call that is running, or after `timeout_s`. Jobs that are left fail. Blocking."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
        self._thread.join(timeout_s)
        self.fail("the scheduler was stopped")

    def put(self, job: Job) -> None:
        """Raises DeviceFailed when the device has failed or was stopped."""
        with self._ready:
            if self.failure is not None:
                raise DeviceFailed(self.failure)
            self._jobs.add(job)
            if job.rows:
                self._stages.describe.put(job)
            if job.looks:
                self._stages.embed.put(job)
            self._ready.notify()

    def discard(self, job: Job) -> None:
        """Nobody waits for this job any more. What of it is in slots runs to its end."""
        with self._ready:
            job.over = True
            self._jobs.discard(job)

    def running(self) -> tuple[str, float] | None:
        """The model call that runs now, and for how many seconds."""
        call = self._stages.call
        return None if call is None else (call[0], self._clock() - call[1])

    def fail(self, reason: str) -> None:
        """Every job fails with DeviceFailed, and every later one; the first reason stays."""
        with self._ready:
            self.failure = self.failure or reason
            jobs, self._jobs = self._jobs, set()
            self._stages.describe.drain()
            self._stages.embed.drain()
            self._ready.notify()
        for job in jobs:
            job.over = True
            self._done(job, DeviceFailed(self.failure))

    def _work(self) -> None:
        try:
            while self._await_work():
                self._stages.turn()
        except SeestreamError as error:
            log.error("models stopped: %s", error)
            self.fail(str(error))
        except Exception as error:
            # This thread is owned here: nobody else would hear of it, and every caller would wait for ever.
            log.exception("models stopped")
            self.fail(f"the models' thread failed: {error!r}")

    def _await_work(self) -> bool:
        """Waits until a model can run; False when it is time to end."""
        with self._ready:
            while not self._stopping and self.failure is None:
                wait_s = self._wait_s()
                if wait_s is not None and wait_s <= 0:
                    return True
                self._ready.wait(wait_s)
        return False

    def _wait_s(self) -> float | None:
        """Seconds until there is something to run: 0 for now, None while nothing waits."""
        stages = self._stages
        if stages.busy:
            return 0
        waits: list[float] = []
        for lanes, limit in ((stages.describe, stages.limits["vision"]), (stages.embed, stages.limits["embed"])):
            if len(lanes) >= limit:
                return 0
            waits += [job.arrived + self._max_wait_s - self._clock() for job in lanes.heads()]
        return min(waits, default=None)

    def _take(self, lanes: Lanes[Job], fits: Callable[[Job], bool]) -> Job | None:
        with self._ready:
            while (job := lanes.take(lambda job: job.over or fits(job))) is not None:
                if not job.over:
                    return job
        return None

    def _finish(self, job: Job, error: SeestreamError | None) -> None:
        """A part of a job has ended: the job has, when that was the last part or has failed."""
        with self._ready:
            if job.over or not (error or job.complete):
                return
            job.over = True
            self._jobs.discard(job)
        self._done(job, error)
