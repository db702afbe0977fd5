"""Measures the load from the metrics, for the sampler and the status line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from stream import metrics
from stream.gate import Load

STAGES = ("vision", "embed", "encoder", "decoder")


def sample(name: str, **labels: str) -> float:
    """A metric's value now; 0 before it was first used."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums since the start of the process."""

    pictures: float  # in vision batches
    batches: float  # vision batches
    embedded: float  # frames in embedding batches: every frame that is looked at, of all traffic
    compute_s: float  # in all model calls
    looks: float  # live events processed
    dead: float  # live events that failed
    uploads: float
    queued_s: float  # waited by live frames before their first model call
    queued: float
    fetched: float  # records of the frames topic

    @classmethod
    def now(cls, frames_topic: str) -> Totals:
        return cls(
            pictures=sample("seestream_batch_size_sum", stage="vision"),
            batches=sample("seestream_batch_size_count", stage="vision"),
            embedded=sample("seestream_batch_size_sum", stage="embed"),
            compute_s=sum(sample("seestream_compute_seconds_sum", stage=stage) for stage in STAGES),
            looks=sample("seestream_events_total", traffic="live", outcome="processed"),
            dead=sample("seestream_events_total", traffic="live", outcome="dead"),
            uploads=sample("seestream_events_total", traffic="upload", outcome="processed"),
            queued_s=sample("seestream_queue_seconds_sum", traffic="live"),
            queued=sample("seestream_queue_seconds_count", traffic="live"),
            fetched=sample("seestream_records_in_total", topic=frames_topic),
        )


@dataclass(slots=True)
class LoadMeter:
    """The load of the interval since it was last asked. `lag` counts records in the log that are not committed."""

    frames_topic: str
    lag: Callable[[], int]
    _last: tuple[datetime, Totals] | None = field(default=None)

    def measure(self, at: datetime) -> Load | None:
        """None at the first call, which begins the first interval."""
        totals = Totals.now(self.frames_topic)
        last, self._last = self._last, (at, totals)
        if last is None or (passed_s := (at - last[0]).total_seconds()) <= 0:
            return None
        before = last[1]
        waited = totals.queued - before.queued
        return Load(
            at=at,
            # Uploads count: they keep the device busy, and what it could do for live frames is measured by that.
            looked=round(max(totals.embedded - before.embedded, totals.pictures - before.pictures)),
            occupancy=min(1.0, (totals.compute_s - before.compute_s) / passed_s),
            queue_age_s=(totals.queued_s - before.queued_s) / waited if waited else 0.0,
            lag_records=self.lag(),
            consumed=round(totals.fetched - before.fetched),
            ended=round(totals.looks + totals.dead - before.looks - before.dead),
        )
