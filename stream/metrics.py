"""Every metric, once: name, kind, labels and meaning. Rooms import the objects; `web` serves the registry.

Names follow the Prometheus conventions: base units, `_total` for counters. `source` is the only label with many values.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry(auto_describe=True)

_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

RECORDS_IN = Counter("seestream_records_in_total", "Records fetched from an input topic.", ["topic"], registry=REGISTRY)
EVENTS = Counter(
    "seestream_events_total",
    "Events settled, by outcome (processed, gated, shed, dead).",
    ["traffic", "outcome"],
    registry=REGISTRY,
)
FRAMES = Counter(
    "seestream_frames_total", "Frames the gate decided about, by its reason.", ["source", "reason"], registry=REGISTRY
)
CAMERA_CONNECTED = Gauge(
    "seestream_camera_connected",
    "1 while a camera gives frames, 0 while it is being reconnected.",
    ["source"],
    registry=REGISTRY,
)
CAMERA_DROPPED = Counter(
    "seestream_camera_dropped_total",
    "Frames lost in capture: a newer one came while an older one was being published, or publishing failed.",
    ["source"],
    registry=REGISTRY,
)
LAG_RECORDS = Gauge("seestream_lag_records", "Records in the log that are not committed.", ["group"], registry=REGISTRY)
IN_FLIGHT_BYTES = Gauge(
    "seestream_in_flight_bytes",
    "Bytes of events that were fetched and are not settled.",
    ["traffic"],
    registry=REGISTRY,
)
COMMIT_FAILURES = Counter(
    "seestream_commit_failures_total",
    "Commits the broker refused or did not answer in time.",
    ["group"],
    registry=REGISTRY,
)
REBALANCES = Counter("seestream_rebalances_total", "Partitions revoked.", ["group"], registry=REGISTRY)
OFFSETS_ABSENT = Counter(
    "seestream_offsets_absent_total",
    "Offsets that the log never gave: retention, compaction, control records.",
    ["group"],
    registry=REGISTRY,
)
BATCH_SIZE = Histogram(
    "seestream_batch_size",
    "Rows in a micro-batch, by stage (vision, encoder, decoder, embed).",
    ["stage"],
    buckets=_BATCHES,
    registry=REGISTRY,
)
COMPUTE_SECONDS = Histogram(
    "seestream_compute_seconds",
    "Wall time of one model call, by stage.",
    ["stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
QUEUE_SECONDS = Histogram(
    "seestream_queue_seconds",
    "Time a frame waits for its first model call.",
    ["traffic"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
AGE_SECONDS = Histogram(
    "seestream_age_seconds", "From capture to settled outputs.", ["traffic"], buckets=_SECONDS, registry=REGISTRY
)
SINK_SECONDS = Histogram(
    "seestream_sink_seconds", "Time one write takes until it is durable.", ["sink"], buckets=_SECONDS, registry=REGISTRY
)
SINK_RETRIES = Counter("seestream_sink_retries_total", "Writes repeated after a fault.", ["sink"], registry=REGISTRY)
ALERTS = Counter("seestream_alerts_total", "Alerts raised.", ["rule"], registry=REGISTRY)
CAPTIONS_SAVED = Counter(
    "seestream_captions_saved_total",
    "Frames that carry an earlier caption because they show nothing new.",
    ["source"],
    registry=REGISTRY,
)
BACKFILL_RECORDS = Gauge(
    "seestream_backfill_records",
    "Shed records within the back-fill's reach that are still to be looked at.",
    registry=REGISTRY,
)
