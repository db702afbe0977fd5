"""Apache Kafka, one KRaft node, as a process."""

from __future__ import annotations

import base64
import secrets
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from string import Template

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.services.cache import TEMPLATES, Unobtainable
from tests.services.fetch import kafka_jars
from tests.services.process import Service, free_ports

_NO_LEADER_YET = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class Kafka(Service):
    """`bootstrap` is the address, the same over every restart. `settings` go into server.properties after ours."""

    name = "kafka"

    def __init__(
        self, settings: Mapping[str, str] | None = None, *, folder: Path | None = None, keep: bool = False
    ) -> None:
        super().__init__(folder=folder, keep=keep)
        self.jars = kafka_jars()
        self.port, self._controller_port = free_ports(2)
        self.settings = dict(settings or {})

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        properties = self.folder / "server.properties"
        template = Template((TEMPLATES / "server.properties").read_text().split("\n", 1)[1])
        filled = template.substitute(port=self.port, controller_port=self._controller_port, data=self.data)
        extra = "".join(f"{key}={value}\n" for key, value in self.settings.items())
        properties.write_text(filled + extra)
        if not (self.data / "meta.properties").exists():
            self._format(properties)
        return [*self._java(512), "kafka.Kafka", str(properties)]

    def answers(self) -> bool:
        try:
            return bool(self.admin().list_topics(timeout=0.5).brokers)
        except KafkaException:
            return False

    def admin(self) -> AdminClient:
        """A client for what tests arrange beside the code under test. Quiet while the broker is down."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def create_topic(self, topic: str, partitions: int = 12, settings: Mapping[str, str] | None = None) -> str:
        """Create it and wait until it is there; the name, for chaining."""
        new = NewTopic(topic, partitions, replication_factor=1, config=dict(settings or {}))
        admin = self.admin()  # a name, so that it outlives the wait
        admin.create_topics([new])[topic].result(timeout=30)
        return topic

    def truncate(self, topic: str, partition: int, before: int) -> None:
        """Delete all records of a partition below offset `before`, as retention would."""
        where = TopicPartition(topic, partition, before)
        admin = self.admin()
        deadline = time.monotonic() + 30
        while True:
            try:
                admin.delete_records([where])[where].result(timeout=30)
                return
            except KafkaException as error:  # a new partition has no leader for a moment
                if error.args[0].code() not in _NO_LEADER_YET or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _java(self, heap_mb: int) -> list[str]:
        return [
            "java", f"-Xmx{heap_mb}m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            "-Dorg.apache.logging.log4j.level=WARN", "-cp", f"{self.jars}/*",
        ]  # fmt: skip

    def _format(self, properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A")
        command = [*self._java(256), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Unobtainable(f"kafka: formatting its folder failed: {(done.stdout + done.stderr).strip()[-300:]}")
