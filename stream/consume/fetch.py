"""Fetching: `getmany`, never cancelled, and what to do when it raises.

aiokafka forgets what it had already taken from other partitions when `getmany` raises. So after every error each
partition is sought back to the first offset that has not been seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, RecordTooLargeError

from stream.consume import edges
from stream.consume.member import Member
from stream.consume.parts import Part
from stream.consume.salvage import unreadable
from stream.types import Record

log = logging.getLogger(__name__)

POLL_MS = 100
RETRY_S = 0.5

Fetched = Mapping[TopicPartition, Sequence[ConsumerRecord]]


class Fetch:
    """Gives what the log has next, and finds the record that cannot be read."""

    def __init__(
        self,
        member: Member,
        dispatch: Callable[[AIOKafkaConsumer, Fetched], None],
        bury_unreadable: Callable[[Part, Record], None],
    ) -> None:
        self._member = member
        self._dispatch = dispatch
        self._bury_unreadable = bury_unreadable

    async def next(self, consumer: AIOKafkaConsumer) -> Fetched:
        """What came within the poll time; nothing after an error, which is logged."""
        try:
            found: Fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._member.limits.chunk_records)
            return found
        except RecordTooLargeError as error:
            log.error("group %s: a record is larger than a fetch and is passed over: %s", self._member.group, error)
        except KafkaError as error:
            log.warning("group %s: fetching failed: %r", self._member.group, error)
            self._seek_back(consumer)
            await asyncio.sleep(RETRY_S)
        except UnicodeDecodeError:
            self._seek_back(consumer)
            await self._singly(consumer)
        return {}

    def _seek_back(self, consumer: AIOKafkaConsumer) -> None:
        for part in self._member.open_parts():
            position = edges.position(consumer, part.tp)
            if position is not None and position != part.tracker.next_offset:
                consumer.seek(part.tp, part.tracker.next_offset)

    async def _singly(self, consumer: AIOKafkaConsumer) -> None:
        """A header name somewhere is not UTF-8: read record by record up to it, and bury that one."""
        for part in self._member.open_parts():
            for _ in range(self._member.limits.chunk_records + 1):
                try:
                    fetched = await consumer.getmany(part.tp, timeout_ms=5 * POLL_MS, max_records=1)
                except UnicodeDecodeError:
                    self._seek_back(consumer)
                    await self._pass(consumer, part)
                    return
                except KafkaError:
                    return
                if not fetched or not part.current:
                    break
                self._dispatch(consumer, fetched)

    async def _pass(self, consumer: AIOKafkaConsumer, part: Part) -> None:
        try:
            async with asyncio.timeout(self._member.limits.commit_timeout_s):
                record = await unreadable(consumer, part.tp, part.tracker.next_offset)
        except (KafkaError, TimeoutError) as error:
            log.warning("%s: an unreadable record could not be fetched again: %r", part.tp, error)
            return
        if record is not None and part.current:
            consumer.seek(part.tp, record.offset + 1)
            self._bury_unreadable(part, record)
