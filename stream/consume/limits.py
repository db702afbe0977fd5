"""How a consumer group member behaves: sizes, times and limits, for each traffic class."""

from __future__ import annotations

from dataclasses import dataclass

PARTITION_FETCH_BYTES = 2 << 20  # of one fetch: some frames of each camera; a larger record comes alone


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults are those of uploads; `Limits.live()` gives those of live frames."""

    in_flight_bytes: int = 64 << 20  # of records handed out and not settled; fetching pauses above
    in_flight_records: int = 250  # the same in offsets of one partition; also the window a crash is looked for in
    chunk_records: int = 128  # at most so many in one chunk
    fetch_bytes: int = 8 << 20  # of one fetch; of more, each record costs more (it leaves the processor's cache)
    fetch_wait_s: float = 0.05  # the embedded broker does not wake a waiting fetch
    session_timeout_s: float = 30.0  # a killed member's partitions come back after this
    rebalance_timeout_s: float = 30.0  # at least 5 s below the broker object's request_timeout_ms
    poll_interval_s: float = 300.0  # the loop must fetch at least so often, whatever the models take
    drain_s: float = 20.0  # on revoke and on stop: how long to wait for what is in flight
    commit_interval_s: float = 0.5
    commit_timeout_s: float = 5.0
    max_age_s: float | None = None  # live frames older than this by the log's timestamp are skipped unfetched
    max_attempts: int = 5  # a record that crashed the process so often while alone in flight is a dead letter
    away_s: float = 60.0  # out of the group or without the broker for longer is unhealthy
    stall_s: float = 900.0  # no watermark moved for longer although there is lag is unhealthy

    @classmethod
    def live(cls, max_age_s: float | None = 10.0) -> Limits:
        """Freshness first: short sessions, short drains; many small records may share a partition."""
        return cls(in_flight_records=1000, session_timeout_s=10.0, drain_s=5.0, max_age_s=max_age_s, stall_s=60.0)
