"""`seestream check` names every service and its fault, and never a password."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stream import config
from stream.app import engine
from stream.app.samples import write_film
from stream.errors import BadModel, Misconfigured
from tests import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent


def check(folder: Path, settings: str) -> tuple[int, dict[str, tuple[str, str | None]], str]:
    """Exit code, name -> (detail, fault), all that was printed."""
    path = folder / "seestream.yaml"
    path.write_text(settings)
    command = [sys.executable, "-m", "stream", "check", "-c", str(path), "--data", str(folder / "d"), "--json"]
    result = subprocess.run(
        [*command, "--no-forecast"], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    checks = json.loads(result.stdout)["checks"] if result.stdout else []
    return result.returncode, {c["name"]: (c["detail"], c["fault"]) for c in checks}, result.stdout + result.stderr


def test_all_is_well_by_default_and_a_film_as_camera_gives_its_size(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", 1, seconds=1)
    code, checks, printed = check(tmp_path, f"cameras: [{{name: yard, url: {tmp_path}/film.mp4}}]")
    assert code == 0, printed
    assert "not durable" in checks["kafka"][0] and "DEMO MODELS" in checks["models"][0]
    assert checks["camera yard"][0].startswith("576 x 576")


def test_each_fault_is_named_and_no_password_is_printed(tmp_path: Path) -> None:
    code, checks, printed = check(
        tmp_path,
        "kafka: {bootstrap: '127.0.0.1:1'}\n"
        "store: {url: 'ftp://x'}\n"
        "cameras: [{name: yard, url: 'rtsp://me:hunter2@127.0.0.1:1/x'}]\n"
        "folders: [{path: /nowhere/at/all}]\n",
    )
    assert code == 1 and "hunter2" not in printed
    assert "127.0.0.1:1" in (checks["kafka"][1] or "") and "unknown kind" in (checks["store"][1] or "")
    assert checks["camera yard"][1] and checks["folder uploads"][1] == "no such folder"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("models: {tasks: ['<ODD>']}", "'<ODD>' is not a Florence-2 task"),
        ("models: {tasks: ['<OD>', '<REGION_TO_OCR>']}", "<REGION_TO_OCR> asks about a text"),
        ("models: {precision: int8}", "in fp32, not in int8"),
        ("models: {describe: /nowhere/at/all}", "/nowhere/at/all is not a model folder"),
    ],
)
def test_models_that_cannot_do_what_is_asked_are_found_before_the_first_frame(
    tmp_path: Path, settings: str, says: str
) -> None:
    path = tmp_path / "seestream.yaml"
    path.write_text(settings)
    with pytest.raises(BadModel if "tasks" not in settings else Misconfigured, match=says):
        engine.load(config.load(path).models)


def test_a_broker_that_is_not_there_ends_the_process_with_one_line_that_says_what_to_look_at(tmp_path: Path) -> None:
    path = tmp_path / "seestream.yaml"
    path.write_text("kafka: {bootstrap: '127.0.0.1:1'}\nweb: {port: 0}\n")
    command = [
        sys.executable,
        "-m",
        "stream",
        "run",
        "-c",
        str(path),
        "--data",
        str(tmp_path / "d"),
        "--role",
        "capture",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    lines = [line for line in result.stderr.splitlines() if " aiokafka: " not in line]
    assert result.returncode == 1 and len(lines) == 1, result.stderr
    assert lines[0].startswith("seestream: no Kafka broker answers at 127.0.0.1:1") and "kafka.bootstrap" in lines[0]
