"""`seestream check` names every service and its fault, and never a password."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from stream.app.samples import write_film

ROOT = Path(__file__).resolve().parent.parent.parent


def check(folder: Path, settings: str) -> tuple[int, dict[str, tuple[str, str | None]], str]:
    """Exit code, name -> (detail, fault), all that was printed."""
    path = folder / "seestream.yaml"
    path.write_text(settings)
    command = [sys.executable, "-m", "stream", "check", "-c", str(path), "--data", str(folder / "d"), "--json"]
    result = subprocess.run(
        [*command, "--no-forecast"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
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
