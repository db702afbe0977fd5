"""The journal of the embedded broker: file events that nobody has finished outlive the process.

It reads the files topic like anyone and keeps each record in SQLite; it reads the ledger and forgets what the ledger
accounts for. At the next start what is left is published again as it was; its id makes a second time harmless.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream import wire
from stream.errors import BadRecord, Misconfigured

log = logging.getLogger(__name__)

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS unsettled (
    run TEXT, partition INTEGER, "offset" INTEGER, key BLOB, value BLOB, headers BLOB,
    PRIMARY KEY (run, partition, "offset")
) WITHOUT ROWID;
"""


class Journal:
    """Opened with the broker's address, closed before the broker is. The file outlives both."""

    def __init__(self, path: Path, topics: Mapping[str, int], files: str = "files", ledger: str = "ledger") -> None:
        self._path = path
        self._files = files
        self._partitions = [TopicPartition(topic, n) for topic in (files, ledger) for n in range(topics[topic])]
        self._run = uuid.uuid4().hex
        self._database: apsw.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self, bootstrap: str) -> None:
        """Publish again what an earlier run left, then follow the topics. Raises: Misconfigured."""
        try:
            self._database = apsw.Connection(str(self._path))
            list(self._database.execute(_SCHEMA))  # to the end: apsw runs the statements as they are asked for
            left = list(
                self._database.execute('SELECT key, value, headers FROM unsettled ORDER BY run, partition, "offset"')
            )
        except apsw.Error as error:
            raise Misconfigured(f"embedded broker: the journal {self._path} cannot be used: {error}") from error
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50, enable_auto_commit=False
        )
        await self._consumer.start()
        await self._publish(bootstrap, left)
        self._consumer.assign(self._partitions)
        await self._catch_up(len(left))
        self._database.execute("DELETE FROM unsettled WHERE run != ?", (self._run,))
        self._task = asyncio.create_task(self._follow(), name="journal")

    async def close(self) -> None:
        """Stop following; what was published and not finished stays in the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._consumer is not None:
            await self._catch_up(0)
            await self._consumer.stop()
            self._consumer = None
        if self._database is not None:
            self._database.close()
            self._database = None

    @property
    def unsettled(self) -> int:
        """How many file events nobody has finished, as far as the topics were read."""
        if self._database is None:
            return 0
        return int(self._database.execute("SELECT count(*) FROM unsettled WHERE run = ?", (self._run,)).get)

    async def _publish(self, bootstrap: str, left: Sequence[tuple[bytes | None, bytes | None, bytes]]) -> None:
        if not left:
            return
        log.info("embedded broker: %d file events of an earlier run are published again", len(left))
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        await producer.start()
        try:
            for key, value, headers in left:
                await producer.send_and_wait(self._files, value, key, headers=_load_headers(headers))
        finally:
            await producer.stop()

    async def _catch_up(self, expected: int) -> None:
        """Read what is there; until at least `expected` file events were written down."""
        assert self._consumer is not None
        while True:
            fetched = await self._consumer.getmany(timeout_ms=200)
            self._keep(fetched)
            if not fetched and self.unsettled >= expected:
                return

    async def _follow(self) -> None:
        while self._consumer is not None:
            try:
                self._keep(await self._consumer.getmany(timeout_ms=500))
            except (KafkaError, UnicodeDecodeError) as error:
                log.warning("embedded broker: the journal misses records: %r", error)
                await asyncio.sleep(0.5)

    def _keep(self, fetched: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        if not fetched or self._database is None:
            return
        with self._database:
            for tp, records in sorted(fetched.items()):  # files before ledger: never forget what is not yet kept
                for record in records:
                    self._add(record) if tp.topic == self._files else self._forget(record)

    def _add(self, record: ConsumerRecord) -> None:
        assert self._database is not None
        row = (self._run, record.partition, record.offset, record.key, record.value, _dump_headers(record.headers))
        self._database.execute("INSERT OR REPLACE INTO unsettled VALUES (?, ?, ?, ?, ?, ?)", row)

    def _forget(self, record: ConsumerRecord) -> None:
        assert self._database is not None
        try:
            entry = wire.parse_ledger(record.value or b"")
        except BadRecord:
            return
        if entry.topic == self._files:
            self._database.execute(
                'DELETE FROM unsettled WHERE run = ? AND partition = ? AND "offset" < ?',
                (self._run, entry.partition, entry.end),
            )


def _dump_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    return orjson.dumps([(name, None if value is None else value.hex()) for name, value in headers])


def _load_headers(dumped: bytes) -> list[tuple[str, bytes | None]]:
    return [(name, None if value is None else bytes.fromhex(value)) for name, value in orjson.loads(dumped)]
