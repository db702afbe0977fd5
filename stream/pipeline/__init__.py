"""The loop, and only the loop: deliveries in, observations and alerts out, every delivery settled.

    Source -> [lane: decode + gate] -> Scheduler -> [order per stream] -> rules -> Outbox -> settle

Live frames (`lanes`): a stream's frames always pass through the same lane, one thread, so that they are decoded and
gated in order and a gate is never shared between threads; a chunk costs one hop, not one a record. What the gate admits
goes to the scheduler without waiting for it; order is restored before the rules, because answers come back out of order.
Uploads (`files`): each file is a stream of its own, a few at a time, its frames bounded in bytes.

A permanent error about one event makes a dead letter and its neighbours go on. A transient one that outlasts the
outbox's retries, or a broken device, ends the loop without settling: what was not settled is delivered again.
May import `stream.types`, `stream.errors`, `stream.metrics`.
"""

from stream.pipeline.loop import Pipeline
from stream.pipeline.protocols import LATER, Describe, Limits, Order, Outbox, Seen, Shedding, Watcher, stream_of

__all__ = [
    "LATER",
    "Describe",
    "Limits",
    "Order",
    "Outbox",
    "Pipeline",
    "Seen",
    "Shedding",
    "Watcher",
    "stream_of",
]
