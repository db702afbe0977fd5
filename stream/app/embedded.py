"""The embedded broker: librdkafka's mock cluster in this process, speaking Kafka's protocol on a loopback port.

The same clients talk to it as to a real broker. It is not durable and says so: everything is in memory, each partition
keeps 5 MiB or 100,000 batches and drops the oldest (consumers report the jump in offsets), and a group has one member.
What must not be forgotten, file events that nobody has finished, is kept in a journal beside it and published again at
the next start. Its address is in a state file in the data folder, so that other processes find it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from stream.app.journal import Journal
from stream.errors import Misconfigured

NOTICE = "embedded broker: in memory, oldest records dropped beyond 5 MiB a partition; not for data you must keep"
PARTITIONS = 12
TOPICS: Mapping[str, int] = {
    "frames": PARTITIONS,
    "files": PARTITIONS,
    "detections": PARTITIONS,
    "alerts": 4,
    "dead-letters": 4,
    "ledger": 4,
}
_STATE = "broker.json"
_LOCK = "broker.lock"


class EmbeddedBroker:
    """An async context manager; `bootstrap` is the address while it is open. One for each data folder."""

    def __init__(self, data_folder: Path, topics: Mapping[str, int] = TOPICS, journal: bool = True) -> None:
        self.bootstrap = ""
        self._folder = data_folder
        self._topics = topics
        self._journal = Journal(data_folder / "journal.db", topics) if journal else None
        self._cluster: _MockCluster | None = None
        self._lock: IO[str] | None = None

    async def __aenter__(self) -> Self:
        """Start it, and publish again what the journal holds.

        Raises: Misconfigured, with one line: the folder cannot be written, another process has it, no port is free.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._cluster = await asyncio.to_thread(_MockCluster, self._topics)
            self.bootstrap = self._cluster.bootstrap
            if self._journal is not None:
                await self._journal.open(self.bootstrap)
            self._write_state()
        except OSError as error:
            await self._close()
            raise Misconfigured(f"embedded broker: cannot use the data folder {self._folder}: {error}") from error
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._journal is not None:
            await self._journal.close()
        if self._lock is not None:
            (self._folder / _STATE).unlink(missing_ok=True)
        if self._cluster is not None:
            await asyncio.to_thread(self._cluster.close)
            self._cluster = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        handle = open(self._folder / _LOCK, "w")  # noqa: PTH123, SIM115  held open as long as the broker lives
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.close()
            raise Misconfigured(
                f"embedded broker: another seestream runs on {self._folder}; use it, or choose another with --data"
            ) from error
        self._lock = handle

    def _write_state(self) -> None:
        part = self._folder / f"{_STATE}.part"
        part.write_text(json.dumps({"bootstrap": self.bootstrap, "pid": os.getpid()}))
        part.replace(self._folder / _STATE)


def find(data_folder: Path) -> str | None:
    """The address of the embedded broker that runs on this data folder; None where none does, also after a crash."""
    try:
        state = json.loads((data_folder / _STATE).read_text())
        host, port = str(state["bootstrap"]).split(",")[0].rsplit(":", 1)
        with open(data_folder / _LOCK) as handle:  # noqa: PTH123
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None  # nobody holds the lock: the state file was left behind
    except BlockingIOError:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=2.0):
            return str(state["bootstrap"])
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _MockCluster:
    """librdkafka's mock cluster through its C interface, from the library inside the confluent-kafka wheel."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._library = _librdkafka()
        message = ctypes.create_string_buffer(512)
        configuration = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        self._library.rd_kafka_conf_set(configuration, b"log_level", b"2", message, len(message))
        self._handle = ctypes.c_void_p(self._library.rd_kafka_new(0, configuration, message, len(message)))
        if not self._handle:
            raise Misconfigured(f"embedded broker: {message.value.decode(errors='replace')}")
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(self._handle, 1))
        if not self._cluster:
            self._library.rd_kafka_destroy(self._handle)
            raise Misconfigured("embedded broker: cannot open a port on 127.0.0.1")
        # Otherwise the only member of a group waits 3 s for others.
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        for name, partitions in topics.items():
            self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        self.bootstrap: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)


def _librdkafka() -> Any:
    import confluent_kafka

    package = Path(confluent_kafka.__file__).parent
    found = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    if not found:
        raise Misconfigured(
            "embedded broker: this confluent-kafka brings no librdkafka; install it as a wheel with pip"
        )
    library = ctypes.CDLL(str(found[0]))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
