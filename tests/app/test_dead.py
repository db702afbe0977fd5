"""`seestream dead` and `seestream audit` on topics as a worker leaves them."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest

from stream.__main__ import main
from stream.consume import DeadLetterTopic, Ledger, scan
from stream.errors import BadMedia, BadRecord
from stream.types import LedgerEntry, Record
from tests.consume.harness import connection
from tests.services.kafka import Kafka
from tests.wire.strategies import NOON

VALUE = b"\xff\x00 any bytes"
HEADERS = (("ce_id", b"7"), ("odd", b"\xff"), ("odd", b"again"), ("none", None))


class Topics:
    """Topics of its own and the settings that name them."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        name = secrets.token_hex(4)
        self.bootstrap = kafka.bootstrap
        self.files, self.dead, self.ledger = f"files-{name}", f"dead-{name}", f"ledger-{name}"
        for topic in (self.files, self.dead, self.ledger):
            kafka.create_topic(topic, 1)
        self.settings = folder / "settings.yaml"
        names = {"files": self.files, "dead_letters": self.dead, "ledger": self.ledger}
        self.settings.write_text(json.dumps({"kafka": {"bootstrap": kafka.bootstrap, **names}}))

    async def bury(self) -> None:
        broker = connection(self.bootstrap)
        await broker.start()
        letters = DeadLetterTopic(broker, self.dead)
        record = Record(self.files, 3, 41, b"yard", VALUE, HEADERS, NOON)
        await letters.put(record, BadMedia("cannot be decoded"), "decode", 2)
        await letters.put(Record(self.files, 0, 0, None, b"{", (), NOON), BadRecord("no JSON"), "consume", 1)
        await broker.stop()

    async def account(self, entries: Sequence[LedgerEntry]) -> None:
        broker = connection(self.bootstrap)
        await broker.start()
        await Ledger(broker, self.ledger).write(entries)
        await broker.stop()

    async def read(self, topic: str) -> list[Record]:
        return [record async for record in scan(self.bootstrap, topic)]

    def run(self, *words: str) -> int:
        command, *rest = words
        return main([command, *rest[:1], "-c", str(self.settings), *rest[1:]] if command == "dead" else [
            command, "-c", str(self.settings), *rest])  # fmt: skip


@pytest.fixture
def topics(kafka: Kafka, tmp_path: Path) -> Topics:
    return Topics(kafka, tmp_path)


def test_letters_are_listed_shown_and_given_back_as_they_were(
    topics: Topics, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    asyncio.run(topics.bury())
    assert topics.run("dead", "list", "--json") == 0
    first, second = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert (first["id"], first["topic"], first["partition"], first["offset"], first["stage"]) == (
        "0:0", topics.files, "3", "41", "decode",
    )  # fmt: skip
    assert second["stage"] == "consume"
    assert topics.run("dead", "list", "--stage", "consume") == 0
    [line] = capfdbinary.readouterr().out.splitlines()
    assert b"no JSON" in line
    assert topics.run("dead", "show", "0:0", "--value") == 0
    assert capfdbinary.readouterr().out == VALUE
    assert topics.run("dead", "retry", "0:0") == 0
    [again] = asyncio.run(topics.read(topics.files))
    assert (again.key, again.value, again.headers) == (b"yard", VALUE, HEADERS)
    assert topics.run("dead", "retry", "9:9") != 0
    assert b"9:9" in capfdbinary.readouterr().err


def test_the_audit_finds_a_hole_that_was_made_on_purpose(
    topics: Topics, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    entries = [LedgerEntry("g", topics.files, 0, 1, at, at + 10, processed=10) for at in (0, 10, 30)]
    asyncio.run(topics.account(entries[:2]))
    assert topics.run("audit") == 0
    assert b"all accounted for" in capfdbinary.readouterr().out
    asyncio.run(topics.account(entries[2:]))
    assert topics.run("audit", "--json") == 1
    [account] = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert account["problems"] == ["hole: nothing is known of offsets 20 to 29"]
