"""The harness itself: what is obtained is checked, a killed test run leaves nothing behind, data survive or not as told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.services import cache, fetch, process
from tests.services.kafka import Kafka

pytest_plugins = ["pytester"]


def test_a_cache_is_complete_only_as_it_was_verified(tmp_path: Path) -> None:
    binary = tmp_path / "server"
    binary.write_bytes(b"one")
    assert not cache.stamped(tmp_path, "1.0")
    cache.stamp(tmp_path, "1.0", {"server": binary})
    assert cache.stamped(tmp_path, "1.0")
    assert not cache.stamped(tmp_path, "1.1")
    binary.write_bytes(b"two")
    assert not cache.stamped(tmp_path, "1.0")
    binary.unlink()
    assert not cache.stamped(tmp_path, "1.0")


def test_a_tool_that_is_absent_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEESTREAM_SERVICES", str(tmp_path / "empty"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Java" in (fetch.lacking("kafka") or "")
    assert "Go" in (fetch.lacking("weaviate") or "")
    for obtain in (fetch.kafka_jars, fetch.weaviate_binary):
        with pytest.raises(cache.Unobtainable) as caught:
            obtain()
        assert "\n" not in str(caught.value)


def test_no_registry_is_named() -> None:
    for template in cache.TEMPLATES.iterdir():
        text = template.read_text()
        assert "http" not in text
        assert "<repositor" not in text


def test_docker_users_get_the_tested_versions() -> None:
    services = yaml.safe_load((cache.TEMPLATES.parent / "compose.yaml").read_text())["services"]
    assert services["kafka"]["image"] == f"apache/kafka:{fetch.kafka_version()}"
    assert services["weaviate"]["image"].endswith(f":{fetch.WEAVIATE_VERSION}")
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name


TEST_FILE = "def test_one(): pass\ndef test_two(kafka): raise AssertionError('must not run')\n"


def run_without_java(folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str | None) -> pytest.RunResult:
    monkeypatch.setenv("SEESTREAM_SERVICES", str(folder.path / "empty"))
    monkeypatch.setenv("PATH", str(folder.path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", ci)
    folder.makepyfile(TEST_FILE)
    return folder.runpytest_subprocess("-p", "tests.services.fixtures", "-p", "no:cacheprovider")


def test_a_missing_service_leaves_its_tests_out_and_says_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_without_java(pytester, monkeypatch, ci=None)
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["left out 1 tests on a real kafka: no Java*"])


def test_in_ci_a_missing_service_fails_the_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_without_java(pytester, monkeypatch, ci="true")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*1 tests need kafka, and CI must have it: no Java*"])


def test_what_a_killed_run_left_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEESTREAM_SERVICES", str(tmp_path))
    folder = tmp_path / "run" / "sleeper-1-2"
    folder.mkdir(parents=True)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=folder)
    owner = subprocess.Popen([sys.executable, "-c", ""])
    owner.wait()
    (folder / "pid").write_text(f"{sleeper.pid} {owner.pid}")
    process.end_strays()
    assert sleeper.wait(timeout=10) < 0
    assert not folder.exists()


def test_a_process_id_that_now_belongs_to_another_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "kafka-1-2"
    folder.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=tmp_path)
    try:
        process.end(folder, other.pid)
        assert other.poll() is None
        assert not folder.exists()
    finally:
        other.kill()
        other.wait()


@pytest.mark.kafka
def test_kafka_keeps_its_data_over_a_kill_and_forgets_when_told() -> None:
    with Kafka() as kafka:
        topic = kafka.create_topic("t", 1)
        produce(kafka, topic, 5)
        kafka.restart()
        assert high_watermark(kafka, topic) == (0, 5)
        kafka.truncate(topic, 0, before=3)
        assert high_watermark(kafka, topic) == (3, 5)
        kafka.restart(empty=True)
        assert topic not in kafka.admin().list_topics(timeout=10).topics
        folder = kafka.folder
    assert not folder.exists()
    assert not kafka.running


def produce(kafka: Kafka, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number in range(count):
        producer.produce(topic, json.dumps(number).encode())
    assert producer.flush(30) == 0


def high_watermark(kafka: Kafka, topic: str) -> tuple[int, int]:
    """First and next offset of partition 0."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "x"})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        return low, high
    finally:
        consumer.close()
