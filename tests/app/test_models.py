"""`seestream models` without a network: says what there is, and what to copy where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def models(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:1", "SEESTREAM_MODELS": str(folder)}
    command = [sys.executable, "-m", "stream", "models", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=environment)


def test_the_bundled_models_are_listed_as_demo_models(tmp_path: Path) -> None:
    lines = models(tmp_path, "list").stdout.splitlines()
    assert len(lines) == 2 and all("DEMO" in line for line in lines)
    assert "florence2" in lines[0] and "siglip" in lines[1]


def test_a_pull_without_a_network_says_what_to_copy_where(tmp_path: Path) -> None:
    result = models(tmp_path, "pull", "onnx-community/Florence-2-base-ft")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert (
        "vision_encoder.onnx" in result.stderr and str(tmp_path / "onnx-community--Florence-2-base-ft") in result.stderr
    )
