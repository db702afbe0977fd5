"""The outbox: one writer before all sinks. It batches what many sources finish and retries until everything is durable.

Order is kept: a batch is written to every sink before the next one starts, so `detections` carries each source's
observations in capture order. While a sink is down the outbox retries for ever with backoff and jitter, nothing is
dropped, and the callers wait; the in-flight bounds of the consumers then pause the input.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Protocol, TypeVar

from stream import metrics, wire
from stream.errors import Permanent, Transient, Unavailable
from stream.types import Alert, Frame, Observation, Sink

log = logging.getLogger(__name__)
T = TypeVar("T")


class SnapshotSaver(Protocol):
    """Keeps the picture of an observation; blocking, runs on a thread."""

    def save(self, observation_id: str, frame: Frame) -> str:
        """The path below the snapshot folder. Idempotent. Raises: Unavailable when the disk refuses; a permanent error
        about this picture alone."""
        ...


@dataclasses.dataclass(slots=True)
class _Parcel:
    observation: Observation
    alerts: Sequence[Alert]
    frame: Frame
    done: asyncio.Future[None]


class Outbox:
    """Use as an async context manager; what `write` gives is done when snapshot and all sinks are durable."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        snapshots: SnapshotSaver | None,
        *,
        max_batch: int = 128,
        max_delay_s: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._sinks = sinks
        self._snapshots = snapshots
        self._max_batch = max_batch
        self._max_delay_s = max_delay_s
        self._sleep = sleep
        self._jitter = jitter
        self._waiting: list[_Parcel] = []
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._troubles: dict[int, str] = {}  # by sink; -1 for the snapshots

    @property
    def trouble(self) -> str | None:
        """Why sinks are refusing now, for readiness; None while all are well."""
        return "; ".join(dict.fromkeys(self._troubles.values())) or None

    async def __aenter__(self) -> Outbox:
        self._writer = asyncio.create_task(self._write_all(), name="outbox")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stops. What was not written yet is not: its callers are cancelled."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        for parcel in self._waiting:
            parcel.done.cancel()

    def write(self, observation: Observation, alerts: Sequence[Alert], frame: Frame) -> asyncio.Future[None]:
        """Done when the snapshot and every sink are durable; raises what a sink raises that is not transient."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Parcel(observation, alerts, frame, done))
        self._wake.set()
        return done

    async def _write_all(self) -> None:
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
            if not self._waiting:
                self._wake.clear()
            try:
                await self._write_batch(batch)
            except asyncio.CancelledError:
                for parcel in batch:
                    parcel.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001  the callers own it
                for parcel in batch:
                    if not parcel.done.done():
                        parcel.done.set_exception(error)
            else:
                for parcel in batch:
                    if not parcel.done.done():
                        parcel.done.set_result(None)

    async def _write_batch(self, batch: list[_Parcel]) -> None:
        if self._snapshots is not None:
            saver = self._snapshots
            paths = await self._retry(-1, "snapshots", lambda: asyncio.to_thread(_save_all, saver, batch))
            kept = []
            for parcel, path in zip(batch, paths, strict=True):
                if isinstance(path, Permanent):  # about this picture only: its neighbours go on
                    if not parcel.done.done():
                        parcel.done.set_exception(path)
                    continue
                parcel.observation = dataclasses.replace(parcel.observation, snapshot=path)
                parcel.alerts = [dataclasses.replace(alert, snapshot=path) for alert in parcel.alerts]
                kept.append(parcel)
            batch = kept
        observations = [parcel.observation for parcel in batch]
        alerts = [alert for parcel in batch for alert in parcel.alerts]
        if len(self._sinks) > 1:  # once for all of them, which begin at the same time
            await asyncio.to_thread(_encode_all, observations)
        async with asyncio.TaskGroup() as group:
            for number, sink in enumerate(self._sinks):
                name = type(sink).__name__
                group.create_task(self._retry(number, name, lambda sink=sink: sink.write(observations, alerts)))  # type: ignore[misc]

    async def _retry(self, number: int, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Calls until it succeeds; waits 0.1 s, doubling, with full jitter, at most `max_delay_s`."""
        delay_s = 0.1
        while True:
            start = time.perf_counter()
            try:
                result = await _uncancelled(call)
            except Transient as error:
                metrics.SINK_RETRIES.labels(name).inc()
                if number not in self._troubles:
                    log.warning("%s: %s; waiting until it is back", name, error)
                self._troubles[number] = f"{name}: {error}"
                await self._sleep(delay_s * (0.5 + self._jitter() / 2))
                delay_s = min(2 * delay_s, self._max_delay_s)
            else:
                if self._troubles.pop(number, None) is not None:
                    log.warning("%s: writing again", name)
                metrics.SINK_SECONDS.labels(name).observe(time.perf_counter() - start)
                return result


async def _uncancelled(call: Callable[[], Awaitable[T]]) -> T:
    """The call's result. A sink's library may cancel a call by itself; a task group would take that for its end.

    Raises: Unavailable then, so that it is tried again.
    """
    try:
        return await call()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Unavailable("the call was cancelled by the sink's own client") from error


def _encode_all(observations: list[Observation]) -> None:
    for observation in observations:
        wire.observation_json(observation)


def _save_all(saver: SnapshotSaver, batch: list[_Parcel]) -> list[str | Permanent]:
    """The path of each parcel's picture, or why it can never have one."""
    paths: list[str | Permanent] = []
    for parcel in batch:
        try:
            paths.append(saver.save(parcel.observation.id, parcel.frame))
        except Permanent as error:
            paths.append(error)
    return paths
