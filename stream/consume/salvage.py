"""A record that aiokafka cannot read: a header whose name is not UTF-8 raises in its parser, every time.

The record is fetched once more as raw bytes and read here (Kafka's message format v2), names with their odd bytes shown
as `\\xff`, so that it becomes a dead letter like any other and its partition goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy

from stream.types import Record

_MAX_BYTES = 32 << 20
_BATCH_HEAD = struct.Struct(">qi")  # base offset, length of the rest


async def unreadable(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> Record | None:
    """The first record at or after `offset` with a header name that is not UTF-8; None where there is none.

    Raises: KafkaError.
    """
    leader = consumer._client.cluster.leader_for_partition(tp)
    request = FetchRequest(500, 1, _MAX_BYTES, 0, [(tp.topic, [(tp.partition, offset, _MAX_BYTES)])])
    response: Any = await consumer._client.send(leader, request)
    data = bytes(response.topics[0][1][0][-1] or b"")
    for batch in _batches(data):
        for record, odd in _records(batch, tp):
            if odd and record.offset >= offset:
                return record
    return None


def _batches(data: bytes) -> Iterator[_DefaultRecordBatchPy]:
    start = 0
    while start + _BATCH_HEAD.size <= len(data):
        _, length = _BATCH_HEAD.unpack_from(data, start)
        end = start + _BATCH_HEAD.size + length
        if end > len(data):
            return  # cut off by the fetch limit
        if data[start + 16] == 2:  # magic; older formats have no headers
            yield _DefaultRecordBatchPy(data[start:end])
        start = end


def _records(batch: _DefaultRecordBatchPy, tp: TopicPartition) -> Iterator[tuple[Record, bool]]:
    """Each record of a batch, and whether a header name of it is not UTF-8."""
    batch._maybe_uncompress()
    reader = _Reader(bytes(batch._buffer), batch._pos)
    for _ in range(batch._num_records):
        end = reader.varint() + reader.position
        reader.position += 1  # attributes, unused
        milliseconds = batch.first_timestamp + reader.varint()
        offset = batch.base_offset + reader.varint()
        key, value = reader.sized(), reader.sized()
        raw = [(reader.sized() or b"", reader.sized()) for _ in range(reader.varint())]
        headers = tuple((name.decode(errors="backslashreplace"), content) for name, content in raw)
        odd = any(name.encode() != before for (name, _), (before, _) in zip(headers, raw, strict=True))
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=max(0, min(milliseconds, 2**47)))
        yield Record(tp.topic, tp.partition, offset, key, value, headers, when), odd
        reader.position = end


class _Reader:
    """Zigzag varints and byte strings with a length before them."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return (value >> 1) ^ -(value & 1)

    def sized(self) -> bytes | None:
        length = self.varint()
        if length < 0:
            return None
        self.position += length
        return self.data[self.position - length : self.position]
