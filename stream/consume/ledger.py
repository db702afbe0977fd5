"""The ledger: before an offset is committed, what became of everything below it is on a topic, acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from stream.consume import edges
from stream.errors import BrokerUnavailable
from stream.types import LedgerEntry
from stream.wire import encode_ledger


class Ledger:
    """Writes entries to the ledger topic, keyed by topic-partition. The broker object is the caller's."""

    def __init__(self, broker: KafkaBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic

    async def write(self, entries: Sequence[LedgerEntry]) -> None:
        """Returns when the broker has acknowledged all of them.

        Raises: BrokerUnavailable. The same entries may then be on the topic or not; write them again unchanged.
        """
        producer = edges.producer(self._broker)
        try:
            sent = []
            for entry in entries:
                out = encode_ledger(entry, self._topic)
                sent.append(await producer.send(out.topic, out.value, out.key))
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise BrokerUnavailable(f"the ledger topic {self._topic!r} did not take an entry: {error!r}") from error
