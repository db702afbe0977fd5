"""`seestream tail` over a broker that speaks Kafka's protocol, and what each record looks like."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from hypothesis import given
from hypothesis import strategies as st

from stream import wire
from stream.__main__ import main
from stream.app import records, tail
from stream.app.embedded import EmbeddedBroker
from stream.config import load
from stream.errors import BadMedia, BrokerUnavailable
from stream.types import (
    Admission,
    Alert,
    Box,
    Detection,
    Digest,
    FileEvent,
    FrameEvent,
    LedgerEntry,
    Media,
    Observation,
    Provenance,
    Reason,
    Record,
)
from tests import PATIENCE_S
from tests.services.process import free_ports

WHEN = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SEEN = Observation(
    id="00000000-0000-5000-8000-000000000001",
    source="drive",
    kind="frame",
    captured_at=WHEN,
    media=Media(320, 240),
    gate=Admission(True, Reason.MOTION),
    provenance=Provenance("frames", 0, 1, Digest("ab"), "cd", {}, True, "CPUExecutionProvider"),
    objects=(Detection("car", 0.91, Box(1, 2, 30, 40)),),
    caption="a red car\x1b]0;evil\x07",
)
ALERT = Alert("a-1", "Red car", "drive", WHEN, SEEN.id, "car at drive", "car", 0.91)
ENTRY = LedgerEntry("seestream-live", "frames", 3, 7, 10, 20, processed=6, gated=4)
PICTURE = b"\xff\xd8\xff" + bytes(1000)


def record(out: wire.Outgoing, offset: int = 5) -> Record:
    return Record(out.topic, 0, offset, out.key, out.value, tuple(out.headers), WHEN)


BAD = Record("frames", 2, 41, b"drive", b"hello", (), WHEN)
CASES = {
    "detections": (
        record(wire.encode_observation(SEEN, "detections")),
        ["drive", "[motion]", "car 0.91", "a red car", "demo"],
    ),
    "alerts": (record(wire.encode_alert(ALERT, "alerts")), ["Red car", "car at drive 0.91", SEEN.id]),
    "ledger": (
        record(wire.encode_ledger(ENTRY, "ledger")),
        ["frames-3 [10, 20)", "6 processed, 4 gated", "generation 7"],
    ),
    "dead-letters": (
        record(wire.dead_letter(BAD, BadMedia("no picture\x1b[2J"), "decode", 3, WHEN, "dead-letters")),
        ["frames-2@41", "BadMedia in decode after 3 attempts", "no picture"],
    ),
    "frames": (
        record(wire.encode_event(FrameEvent("f-1", "drive", WHEN, PICTURE), "frames")),
        ["drive", "image/jpeg, 1,003 bytes"],
    ),
    "files": (
        record(wire.encode_event(FileEvent("e-1", "uploads", "/nas/a b.mp4", size_bytes=12_345), "files")),
        ["uploads", "created /nas/a b.mp4, 12,345 bytes"],
    ),
    "other": (Record("own", 1, 9, b"k", b"\x00\xffwords", (), WHEN), ["own-1@9 k", "words"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_each_topic_has_a_readable_line(kind):
    given_record, parts = CASES[kind]
    text = records.line(kind, given_record).plain
    assert text.startswith(f"{WHEN.astimezone():%m-%d %H:%M:%S} ")
    for part in parts:
        assert part in text, part
    assert "\x1b" not in text and "\n" not in text


@pytest.mark.parametrize("kind", CASES)
def test_each_topic_has_a_json_line(kind):
    body = json.loads(records.json_line(kind, CASES[kind][0]))
    expected = {
        "detections": ("caption", SEEN.caption),
        "alerts": ("rule", "Red car"),
        "ledger": ("from", 10),
        "files": ("uri", "/nas/a b.mp4"),
        "frames": ("bytes", 1003),
        "other": ("key", "k"),
    }
    if kind == "dead-letters":
        assert body["error"]["exception.message"] == "no picture\x1b[2J"
    else:
        name, value = expected[kind]
        assert body[name] == value


@given(
    st.sampled_from([*tail.TOPICS, "other"]),
    st.none() | st.binary(max_size=60) | st.just(b"[]"),
    st.none() | st.binary(max_size=9),
)
def test_any_bytes_give_one_line_each_way(kind, value, key):
    found = Record(kind, 0, 1, key, value, (("h", b"\xff"), ("n", None)), WHEN)
    text = records.line(kind, found).plain
    assert text.isprintable()
    assert "\n" not in records.json_line(kind, found)


@pytest.fixture
def broker(tmp_path):
    """librdkafka's own broker in this process, found as the user finds it: by settings."""
    from confluent_kafka import Producer

    server = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    found = next(iter(server.list_topics(timeout=PATIENCE_S).brokers.values()))
    path = tmp_path / "settings.yaml"
    path.write_text(f"kafka: {{bootstrap: '{found.host}:{found.port}', detections: seen, partitions: 1}}\n")
    yield f"{found.host}:{found.port}", path
    del server


async def produce(bootstrap, *outgoing):
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for out in outgoing:
            await producer.send_and_wait(out.topic, out.value, key=out.key, headers=out.headers)


def observations(count):
    return [wire.encode_observation(SEEN, "seen")._replace(key=f"s{n}".encode()) for n in range(count)]


def test_once_prints_all_partitions_of_the_topic_by_its_settings_name(broker, capsys):
    bootstrap, path = broker
    asyncio.run(produce(bootstrap, *observations(6)))
    assert main(["tail", "detections", "-c", str(path), "--once", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [SEEN.id] * 6
    assert main(["tail", "seen", "-c", str(path), "--once"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all("drive" in line and "car 0.91" in line for line in lines)


async def test_following_shows_only_what_comes_from_now_on(broker):
    bootstrap, path = broker
    await produce(bootstrap, *observations(3))
    shown: asyncio.Queue[Record] = asyncio.Queue()
    ready = asyncio.Event()
    seek = tail._seek

    async def seek_and_tell(*args, **kwargs):
        await seek(*args, **kwargs)
        ready.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "_seek", seek_and_tell)
        following = asyncio.create_task(tail.follow(load(path), "seen", None, shown.put_nowait))
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
            await produce(bootstrap, wire.encode_alert(ALERT, "seen"))
            assert (await shown.get()).key == b"Red car"
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert shown.empty()


def test_a_topic_that_is_not_there_is_named_with_those_that_are(broker, capsys):
    bootstrap, path = broker
    asyncio.run(produce(bootstrap, *observations(1)))
    assert main(["tail", "alerts", "-c", str(path), "--once"]) == 1
    assert capsys.readouterr().err == "seestream: there is no topic 'alerts' yet; topics: seen\n"


async def test_no_broker_is_one_line(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("kafka: {bootstrap: '127.0.0.1:1'}")
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
        await tail.follow(load(path), "frames", None, lambda record: None)


def test_a_bad_time_is_refused(broker, capsys):
    assert main(["tail", "frames", "-c", str(broker[1]), "--since", "tuesday"]) == 1
    assert "write 30m, 2h" in capsys.readouterr().err


async def test_since_begins_at_a_time_of_the_log(kafka, tmp_path):
    """On a real broker, which can look times up; the timestamps are the producer's."""
    topic = kafka.create_topic("tail-since", partitions=1)
    path = tmp_path / "settings.yaml"
    path.write_text(f"kafka: {{bootstrap: '{kafka.bootstrap}'}}")
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for minutes in (90, 45, 15):
            stamp = int((WHEN - timedelta(minutes=minutes)).timestamp() * 1000)
            await producer.send_and_wait(topic, str(minutes).encode(), timestamp_ms=stamp)
    shown: list[bytes | None] = []
    since = WHEN - timedelta(minutes=60)
    await tail.follow(load(path), topic, since, lambda record: shown.append(record.value), once=True)
    assert shown == [b"45", b"15"]


async def test_the_embedded_broker_is_found_by_the_data_folder(tmp_path):
    """It cannot look times up, so that what is too old is read and not shown."""
    settings = load(data_dir=tmp_path)
    shown: list[bytes | None] = []
    async with EmbeddedBroker(tmp_path) as embedded:
        await produce(embedded.bootstrap, wire.encode_alert(ALERT, "alerts"))
        for since in (datetime.fromtimestamp(0, UTC), datetime.now(UTC) + timedelta(hours=1)):
            async with asyncio.timeout(PATIENCE_S):
                await tail.follow(settings, "alerts", since, lambda record: shown.append(record.key), once=True)
    assert shown == [b"Red car"]


def test_without_an_embedded_broker_running_it_says_so(tmp_path, capsys):
    assert main(["tail", "alerts", "--data", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("seestream: ") and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "command", [["tail", "frames", "--once"], ["audit"], ["dead", "list"], ["submit", "a.jpg"]], ids=lambda it: it[0]
)
def test_a_command_that_finds_no_broker_says_so_in_one_line(tmp_path: Path, command: list[str]) -> None:
    [port] = free_ports(1)
    there = {**os.environ, "SEESTREAM__KAFKA__BOOTSTRAP": f"127.0.0.1:{port}"}
    arguments = [sys.executable, "-m", "stream", *command, "--data", str(tmp_path)]
    ended = subprocess.run(arguments, env=there, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode != 0 and not ended.stdout
    [line] = ended.stderr.splitlines()
    assert line.startswith("seestream: ") and f"127.0.0.1:{port}" in line
