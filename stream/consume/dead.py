"""The dead-letter topic: records that can never be processed, byte for byte, with the reason in their headers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faststream.kafka import KafkaBroker

from stream.consume import edges
from stream.errors import BadMedia, BadRecord, BrokerUnavailable, Forbidden, InferenceFailed, NotFound
from stream.types import Record
from stream.wire import Outgoing, dead_letter

_STAGES: dict[type[BaseException], str] = {
    BadRecord: "consume",
    BadMedia: "decode",
    NotFound: "decode",
    Forbidden: "decode",
    InferenceFailed: "infer",
}


def stage_of(error: BaseException) -> str:
    """The room that gave up, for the dead letter's header."""
    return next((stage for kind, stage in _STAGES.items() if isinstance(error, kind)), "process")


class DeadLetterTopic:
    """`DeadLetters` on a Kafka topic. The broker object is the caller's."""

    def __init__(
        self, broker: KafkaBroker, topic: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._broker = broker
        self._topic = topic
        self._now = now

    async def put(self, record: Record, error: BaseException, stage: str, attempts: int) -> None:
        """Returns when the broker has acknowledged the letter.

        Raises: BrokerUnavailable.
        """
        out = dead_letter(record, error, stage, attempts, self._now(), self._topic)
        try:
            try:
                await self._send(out)
            except MessageSizeTooLargeError:
                # With our headers it no longer fits: better a letter that names the place in the log than none.
                omitted = ("x-value-omitted", f"{len(out.value or b'')} bytes".encode())
                await self._send(out._replace(value=None, headers=[*out.headers, omitted]))
        except KafkaError as failure:
            raise BrokerUnavailable(f"topic {self._topic!r} did not take a dead letter: {failure!r}") from failure

    async def _send(self, out: Outgoing) -> None:
        producer = edges.producer(self._broker)
        # aiokafka refuses a record that has neither key nor value.
        value = b"" if out.key is None and out.value is None else out.value
        await (await producer.send(out.topic, value, out.key, headers=out.headers))
