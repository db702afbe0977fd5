"""The load as it is measured: consumer lag, the queue's age and the device's occupancy, of one interval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stream import metrics
from stream.app.load import LoadMeter
from stream.gate import Load

START = datetime(2026, 1, 1, tzinfo=UTC)
TOPIC = "frames-of-the-load-test"


def work(live: int, uploads: int) -> None:
    """So many frames looked at, in batches of one, each half a second on the device."""
    for _ in range(live + uploads):
        metrics.BATCH_SIZE.labels("embed").observe(1)
        metrics.COMPUTE_SECONDS.labels("embed").observe(0.1)
        metrics.COMPUTE_SECONDS.labels("decoder").observe(0.4)
    for _ in range(live):
        metrics.QUEUE_SECONDS.labels("live").observe(0.75)
        metrics.EVENTS.labels("live", "processed").inc()
    for _ in range(uploads):
        metrics.EVENTS.labels("upload", "processed").inc()


def test_all_three_signals_reach_the_sampler_and_count_one_interval_only() -> None:
    meter = LoadMeter(TOPIC, lambda: 17)
    work(live=9, uploads=0)  # before the first interval
    assert meter.measure(START) is None
    work(live=2, uploads=1)
    metrics.RECORDS_IN.labels(TOPIC).inc(40)
    metrics.EVENTS.labels("live", "dead").inc()
    at = START + timedelta(seconds=2)
    load = meter.measure(at)
    assert load is not None
    assert (load.looked, load.ended, load.lag_records, load.consumed) == (3, 3, 17, 40)
    assert abs(load.occupancy - 0.75) < 1e-9 and abs(load.queue_age_s - 0.75) < 1e-9
    later = meter.measure(at + timedelta(seconds=2))
    assert later == Load(at + timedelta(seconds=2), 0, 0.0, 0.0, 17, 0, 0)


def test_a_clock_that_stands_still_or_goes_back_gives_no_load() -> None:
    meter = LoadMeter(TOPIC, lambda: 0)
    assert meter.measure(START) is None
    assert meter.measure(START) is None
    assert meter.measure(START - timedelta(seconds=5)) is None
    assert meter.measure(START) is not None
