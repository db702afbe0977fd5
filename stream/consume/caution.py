"""Native crashes: who did it, remembered in the commit's metadata, because a crashed process remembers nothing.

Metadata says whether the owner was at work (`open`), how many owners in a row ended without closing (`crashes`), and
which record was alone in flight and how often (`alone`). After two unclean ends without progress a partition is read
with caution: one record at a time in the whole process, each written down before it is tried. So a crash blames exactly
one record, and the next owner tries that one first: the guilty one does it again, an innocent one that happened to be
alone when the worker was killed from outside is done and forgotten. Only a record that was alone `max_attempts` times
becomes a dead letter.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import orjson

CAREFUL_AFTER = 2  # unclean ends in a row


@dataclass(frozen=True, slots=True)
class Past:
    """What the last owner of a partition wrote into its last commit."""

    open: bool = False
    crashes: int = 0
    alone: tuple[int, int] | None = None  # offset, how often it was tried alone

    def dump(self) -> str:
        """As commit metadata, far below Kafka's limit of 4 KiB."""
        body = {"v": 1, "open": self.open, "crashes": self.crashes, "alone": self.alone}
        return orjson.dumps(body).decode()

    @classmethod
    def load(cls, metadata: str | None) -> Past:
        """From commit metadata; what another program wrote there counts as nothing."""
        try:
            body = orjson.loads(metadata or "")
            alone = body["alone"]
            pair = None if alone is None else (int(alone[0]), int(alone[1]))
            return cls(body["open"] is True, int(body["crashes"]), pair)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError):
            return cls()


@dataclass(slots=True)
class Caution:
    """Shared by all consumers of one process: while any partition is under caution, one record at a time."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    careful: set[int] = field(default_factory=set)  # ids of the parts under caution

    @property
    def active(self) -> bool:
        return bool(self.careful)
