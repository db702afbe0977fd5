"""The roles as processes of their own, around a real Kafka and one store."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from stream.app.samples import write_film
from tests import PATIENCE_S
from tests.services.kafka import Kafka

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def role(folder: Path, settings: Path, name: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`seestream run --role NAME` and its log; killed if the test leaves it running."""
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "stream", "run", "-c", str(settings), "--role", name]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, text=True)
        try:
            yield process, log
        finally:
            process.kill()
            process.wait()


def page_of(log: Path, deadline: float) -> str:
    while not (found := re.search(r"page: (http://\S+)", log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return found[1]


def ask(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def test_capture_process_and_web_work_as_three_processes(kafka: Kafka, tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", 1, seconds=12)
    prefix = f"roles-{uuid.uuid4().hex[:8]}"
    topics = {key: f"{prefix}-{key}" for key in ("frames", "files", "detections", "alerts", "dead_letters", "ledger")}
    settings = tmp_path / "seestream.yaml"
    settings.write_text(
        json.dumps(
            {
                "data_dir": str(tmp_path / "data"),
                "kafka": {"bootstrap": kafka.bootstrap, "group": prefix, "partitions": 2, **topics},
                "cameras": [{"name": "yard", "url": str(tmp_path / "film.mp4"), "loop": True}],
                "web": {"port": 0},
            }
        )
    )
    deadline = time.monotonic() + PATIENCE_S
    with ExitStack() as stack:
        logs = {}
        processes = {}
        for name in ("web", "process", "capture"):  # the reader before the writer: the store is made by whoever comes
            processes[name], logs[name] = stack.enter_context(role(tmp_path, settings, name))
        address = page_of(logs["web"], deadline)
        with urllib.request.urlopen(f"{address}/api/live", timeout=PATIENCE_S) as live:
            told = next(line for line in live if line.startswith(b"data:"))
        assert json.loads(told[5:])["source"] == "yard", "what another process sees comes to the page by itself"
        while not (hits := ask(f"{address}/api/search?q=a+red+car&source=yard")["hits"]):
            assert time.monotonic() < deadline, logs["process"].read_text()
            time.sleep(0.2)
        assert hits[0]["observation"]["source"] == "yard"
        for process in processes.values():
            process.terminate()
        codes = {name: process.wait(timeout=PATIENCE_S) for name, process in processes.items()}
    said = {name: log.read_text() for name, log in logs.items()}
    assert codes == dict.fromkeys(processes, 0), said
    assert not any("Traceback" in text for text in said.values()), said


def test_a_role_alone_on_the_embedded_broker_gets_one_line_that_says_what_does_not_work(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stream", "run", "--data", str(tmp_path), "--role", "capture,web"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert result.returncode == 1 and "need a real Kafka: set kafka.bootstrap" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
