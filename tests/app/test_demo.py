"""The main job end to end: what the synthetic camera shows is what comes out, and the demo behaves in a terminal."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from stream import config
from stream.app.samples import write_picture
from stream.app.worker import ROLES, Quiet, open_worker
from stream.capture import SyntheticCamera
from stream.capture.scenery import CameraFrame, DrivewayCamera
from stream.errors import Misconfigured
from stream.types import Box, FrameEvent, Observation
from tests import PATIENCE_S
from tests.fakes import KnownModels

ROOT = Path(__file__).resolve().parent.parent.parent


class Witness(Quiet):
    """Keeps what was seen."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []

    def seen(self, observation: Observation, alerts: object) -> None:
        self.observations.append(observation)


def matched(observation: Observation, frame: CameraFrame) -> tuple[int, int, int]:
    """(true positives, false positives, misses) at IoU 0.5 with the same label, best pairs first."""
    truth = [(label, Box(*box)) for label, _, box in frame.truth]
    hits = 0
    for found in sorted(observation.objects, key=lambda one: -one.score):
        pairs = [(box.iou(found.box), index) for index, (label, box) in enumerate(truth) if label == found.label]
        overlap, index = max(pairs, default=(0.0, -1))
        if overlap >= 0.5:
            hits += 1
            del truth[index]
    return hits, len(observation.objects) - hits, len(truth)


async def film(folder: Path, seconds: float) -> tuple[list[Observation], dict[datetime, CameraFrame]]:
    """Runs all roles on the synthetic camera for a while; what was seen, and the truth by capture time."""
    settings = config.load(data_dir=folder, web={"port": 0})
    truth: dict[datetime, CameraFrame] = {}
    witness = Witness()

    def note(event: FrameEvent, frame: CameraFrame) -> None:
        truth[event.captured_at] = frame

    async with open_worker(settings, frozenset(ROLES), lambda worker: witness) as worker:
        camera = SyntheticCamera("driveway", worker.publisher, driveway=DrivewayCamera(1), on_frame=note)
        worker.jobs.append(camera.run)
        running = asyncio.create_task(worker.run())
        await asyncio.wait({running}, timeout=seconds)
        worker.stop.set()
        await running
        stored = await worker.store.recent(source="driveway", limit=1000)  # type: ignore[union-attr]
    assert {one.id for one in stored} == {one.id for one in witness.observations}
    return witness.observations, truth


async def test_what_the_camera_shows_is_what_is_seen(tmp_path: Path) -> None:
    observations, truth = await film(tmp_path, 30)
    assert len(observations) >= 15, "the red car and the person pass within the first 30 s"
    assert len(observations) < 0.8 * len(truth), "the gate must drop the frames in which nothing moves"
    counts = [matched(one, truth[one.captured_at]) for one in observations]
    hits, false, missed = (sum(column) for column in zip(*counts, strict=True))
    f1 = 2 * hits / (2 * hits + false + missed)
    assert f1 >= 0.8, (hits, false, missed)
    described = [
        one for one in observations if one.caption and one.derived_from is None and truth[one.captured_at].truth
    ]
    named = [all(label in (one.caption or "") for label, _, _ in truth[one.captured_at].truth) for one in described]
    assert described and sum(named) >= 0.8 * len(named), [one.caption for one in described]
    assert all(one.provenance.demo for one in observations)


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`seestream demo` on that data folder; killed if the test leaves it running, or waits in vain for a line of it."""
    command = [sys.executable, "-m", "stream", "demo", "--data", str(folder), "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    in_vain = threading.Timer(PATIENCE_S, process.kill)
    in_vain.start()
    try:
        yield process
    finally:
        in_vain.cancel()
        process.kill()
        _, errors = process.communicate()
        sys.stderr.write(errors or "")  # pytest shows it when the test fails


def seestream(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream", *arguments, "--data", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_other_terminals_find_broker_and_store_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with demo(tmp_path, "--json") as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(12)]
        address = json.loads((tmp_path / "broker.json").read_text())["bootstrap"]
        kcat = ["kcat", "-b", address, "-C", "-t", "detections", "-o", "beginning"]
        read = subprocess.run(
            [*kcat, "-e", "-q"], capture_output=True, text=True, timeout=PATIENCE_S, check=True
        ).stdout
        seen_by_kcat = {json.loads(line)["id"] for line in read.splitlines()}
        found = seestream(tmp_path, "search", "a red car", "--json")
        followed = seestream(tmp_path, "tail", "detections", "--json", "--since", "start", "--once")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert {line["id"] for line in lines} <= seen_by_kcat
    best = [json.loads(line)["observation"] for line in found.stdout.splitlines()[:3]]
    assert any(one["label"] == "car" for one in best[0]["objects"]), found.stderr
    assert len(followed.stdout.splitlines()) >= 12, followed.stderr
    assert process.returncode == 0 and "processed" in errors and "Demo models" in errors
    assert "Traceback" not in errors


def test_a_bare_picture_from_kcat_is_seen(tmp_path: Path) -> None:
    write_picture(tmp_path / "garage.jpg", 7)
    with demo(tmp_path / "data", "--json", "--seconds", "90") as process:
        assert process.stdout is not None
        process.stdout.readline()
        address = json.loads((tmp_path / "data" / "broker.json").read_text())["bootstrap"]
        kcat = ["kcat", "-b", address, "-X", "topic.partitioner=murmur2_random", "-P", "-t", "frames", "-k", "garage"]
        subprocess.run([*kcat, "garage.jpg"], cwd=tmp_path, timeout=PATIENCE_S, check=True)
        lines = (json.loads(line) for line in process.stdout)
        seen = next(one for one in lines if one["source"] == "garage")
    assert seen["provenance"]["topic"] == "frames"
    assert [one["label"] for one in seen["objects"]] == ["car"], "what the picture shows"


def test_it_ends_by_itself_with_a_table_an_alert_and_a_summary(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "25") as process:
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "car" in out and "person at the house" in out and "events in" in out
    assert "Demo models: they understand the drawn scenes only" in out
    assert list((tmp_path / "snapshots").rglob("*.jpg"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "/dev/null/x"], "cannot write to the data folder /dev/null/x"),
        (["--video", "/nowhere/film.mp4"], "--video /nowhere/film.mp4: no such file"),
        (["--port", "99999"], "--port 99999: a port is a number from 0"),
        (["--seconds", "0"], "--seconds 0: must be more than 0"),
    ],
)
def test_a_machine_that_cannot_run_it_gets_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    command = [sys.executable, "-m", "stream", "demo", "--data", str(tmp_path), *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert result.returncode == 1 and says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "stream", "demo", "--data", str(tmp_path), "--port", str(port)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert result.returncode == 1 and f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


async def test_without_a_port_of_its_own_it_takes_a_free_one_even_if_another_took_it_meanwhile(tmp_path: Path) -> None:
    """Two demos that start together: the port is taken after the settings were read, and before the page listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = config.load(data_dir=tmp_path, web={"port": port})
        async with open_worker(
            settings, frozenset({"web"}), lambda worker: Quiet(), KnownModels(), any_port=True
        ) as worker:
            assert worker.address and worker.address != f"http://127.0.0.1:{port}"
        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1:{port}"):
            async with open_worker(settings, frozenset({"web"}), lambda worker: Quiet(), KnownModels()):
                pass


def test_a_second_demo_on_the_same_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with demo(tmp_path, "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()
        second = seestream(tmp_path, "demo", "--seconds", "1", "--port", "0")
    assert second.returncode == 1 and str(tmp_path) in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
