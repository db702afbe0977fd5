"""`seestream models`: lists, pulls from a hub on loopback, and says what to do where something is missing."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from stream.app import hub as hubs
from stream.errors import Misconfigured
from stream.infer.florence2 import Florence2
from stream.infer.siglip import Siglip
from tests import PATIENCE_S
from tests.app.fake_hub import Hub, serve

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "tests" / "infer" / "goldens"


def models(folder: Path, *arguments: str, endpoint: str = "http://127.0.0.1:1") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "SEESTREAM_MODELS": str(folder), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("SEESTREAM_EXPORT_PYTHON", None)
    command = [sys.executable, "-m", "stream", "models", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment
    )


def repository(name: str) -> dict[str, bytes]:
    """A model folder of the goldens as a repository: without our manifest, calibration and static graphs."""
    folder = GOLDENS / name
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ours = ("manifest.json", "calibration.json")
    return {name: data for name, data in files.items() if name not in ours and "static" not in name}


def checkpoint(scale: float, bias: float) -> bytes:
    """A safetensors file with a large tensor before the two numbers."""
    header = {
        "__metadata__": {"format": "pt"},
        "weights": {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]},
        "logit_bias": {"dtype": "F32", "shape": [1], "data_offsets": [256, 260]},
        "logit_scale": {"dtype": "F32", "shape": [1], "data_offsets": [260, 264]},
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(256) + struct.pack("<ff", bias, scale)


@pytest.fixture
def florence() -> Hub:
    files = repository("florence2") | {"README.md": b"card", "onnx/vision_encoder_q4.onnx": b"not wanted"}
    return Hub({"owner/Florence-2-tiny": files}, {"owner/Florence-2-tiny": {"license": "mit"}})


def test_the_bundled_models_are_listed_as_demo_models(tmp_path: Path) -> None:
    result = models(tmp_path, "list")
    lines = result.stdout.splitlines()
    assert len(lines) == 2 and all("DEMO" in line and "fp32" in line for line in lines)
    assert "florence2" in lines[0] and "siglip" in lines[1]
    assert "onnx-community/Florence-2-base-ft" in result.stderr


def test_a_pull_without_a_network_says_what_to_copy_where(tmp_path: Path) -> None:
    result = models(tmp_path, "pull", "onnx-community/Florence-2-base-ft")
    assert result.returncode == 1 and "Traceback" not in result.stderr and result.stderr.count("\n") == 1
    assert "onnx/vision_encoder.onnx" in result.stderr and "tokenizer.json" in result.stderr
    assert str(tmp_path / "onnx-community--Florence-2-base-ft") in result.stderr


def test_a_pull_fetches_what_is_needed_and_the_runtime_reads_it(tmp_path: Path, florence: Hub) -> None:
    with serve(florence):
        result = models(tmp_path, "pull", "owner/Florence-2-tiny", endpoint=florence.url)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "owner--Florence-2-tiny"
    assert str(folder) in result.stdout and "models.describe" in result.stdout
    fetched = {name for name, _ in florence.log}
    assert fetched == set(repository("florence2"))
    said = json.loads((folder / "manifest.json").read_text())
    assert said["source"] == "owner/Florence-2-tiny" and said["licence"] == "mit" and not said["demo"]
    assert set(said["files"]) == fetched and not (folder / ".cache").exists()
    assert Florence2.load(folder, provider="cpu").manifest.name == "owner/Florence-2-tiny"
    assert "owner--Florence-2-tiny" in models(tmp_path, "list").stdout


def test_a_broken_pull_goes_on_where_it_stopped(tmp_path: Path, florence: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library writes whole chunks of 10 MB, and the goldens are smaller than one.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 16_384)
    name, size = "onnx/vision_encoder.onnx", len(repository("florence2")["onnx/vision_encoder.onnx"])
    florence.break_after[name] = 100_000
    with serve(florence):
        hubs.pull("owner/Florence-2-tiny", tmp_path / "m", "fp32", endpoint=florence.url)
    asked = [header for file, header in florence.log if file == name]
    assert asked[0] is None and len(asked) == 2
    resumed = int((asked[1] or "").removeprefix("bytes=").removesuffix("-"))
    assert 0 < resumed <= 100_000 < size
    assert (tmp_path / "m" / name).read_bytes() == repository("florence2")[name]


def test_a_second_pull_fetches_only_what_is_missing(tmp_path: Path, florence: Hub) -> None:
    with serve(florence):
        hubs.pull("owner/Florence-2-tiny", tmp_path / "m", "fp32", endpoint=florence.url)
        (tmp_path / "m" / "onnx" / "embed_tokens.onnx").unlink()
        florence.log.clear()
        hubs.pull("owner/Florence-2-tiny", tmp_path / "m", "fp32", endpoint=florence.url)
    assert [name for name, _ in florence.log if name.endswith(".onnx")] == ["onnx/embed_tokens.onnx"]


@pytest.mark.parametrize("name", ["onnx/encoder_model.onnx", "tokenizer.json"])
def test_a_damaged_file_is_deleted_and_named(name: str, tmp_path: Path, florence: Hub) -> None:
    florence.damaged.add(name)
    with (
        serve(florence),
        pytest.raises(Misconfigured, match=f"{name} of owner/Florence-2-tiny has the hash .* instead"),
    ):
        hubs.pull("owner/Florence-2-tiny", tmp_path / "m", "fp32", endpoint=florence.url)
    assert not (tmp_path / "m" / name).exists() and not (tmp_path / "m" / "manifest.json").exists()


def test_a_repository_that_is_not_there(tmp_path: Path, florence: Hub) -> None:
    with serve(florence):
        with pytest.raises(Misconfigured, match="the hub shows no owner/other"):
            hubs.pull("owner/other", tmp_path / "m", "fp32", endpoint=florence.url)
        with pytest.raises(Misconfigured, match="at v9"):
            hubs.pull("owner/Florence-2-tiny", tmp_path / "m", "fp32", "v9", endpoint=florence.url)


def test_a_precision_that_is_not_offered(tmp_path: Path, florence: Hub) -> None:
    with serve(florence), pytest.raises(Misconfigured, match="no fp16 files; it offers fp32"):
        hubs.pull("owner/Florence-2-tiny", tmp_path / "m", "fp16", endpoint=florence.url)


def test_towers_borrow_tokenizer_and_calibration_from_the_original(tmp_path: Path) -> None:
    files = repository("siglip")
    tokenizer = {name: files.pop(name) for name in ("tokenizer.json", "tokenizer_config.json")}
    original = tokenizer | {"model.safetensors": checkpoint(2.0, -1.5)}
    hub = Hub({"owner/siglip": files, "maker/siglip": original}, {"owner/siglip": {"base_model": ["maker/siglip"]}})
    with serve(hub):
        folder = hubs.pull("owner/siglip", tmp_path / "m", "fp32", endpoint=hub.url)
    assert json.loads((folder / "calibration.json").read_text()) == {"logit_scale": 2.0, "logit_bias": -1.5}
    weights = [header for name, header in hub.log if name == "model.safetensors"]
    assert all(weights) and len(weights) == 4, "only parts of the checkpoint are read"
    siglip = Siglip.load(folder, provider="cpu")
    words = siglip.embed_text(["a red car"])
    assert siglip.probability(words, words).shape == (1, 1)


def test_towers_without_their_original_still_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = Hub({"owner/siglip": repository("siglip")})
    with serve(hub):
        folder = hubs.pull("owner/siglip", tmp_path / "m", "fp32", endpoint=hub.url)
    assert "probabilities do not" in capsys.readouterr().err
    assert Siglip.load(folder, provider="cpu").embed_text(["a red car"]).shape == (1, 32)


def test_a_joint_graph_is_refused_with_a_way_out() -> None:
    with pytest.raises(Misconfigured, match=r"one graph for pictures and texts together.*export"):
        hubs.choose("owner/siglip", ["config.json", "onnx/model.onnx"], "fp32")


def test_published_eight_bit_files_and_their_data() -> None:
    stems = hubs.GRAPHS["towers"]
    names = [f"onnx/{stem}{suffix}.onnx" for stem in stems for suffix in ("", "_int8", "_quantized")]
    kind, wanted = hubs.choose("owner/clip", [*names, "config.json", "onnx/text_model_quantized.onnx_data"], "int8")
    assert kind == "towers"
    assert wanted == [
        "config.json",
        "onnx/vision_model_quantized.onnx",
        "onnx/text_model_quantized.onnx",
        "onnx/text_model_quantized.onnx_data",
    ]


def test_export_runs_in_the_environment_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    python.chmod(0o755)
    monkeypatch.setenv("SEESTREAM_EXPORT_PYTHON", str(python))
    command = [
        sys.executable,
        "-m",
        "stream",
        "models",
        "export",
        "owner/name",
        str(tmp_path / "out"),
        "--precision=int8",
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert result.returncode == 3
    assert result.stdout.split() == [
        "-P",
        "-m",
        "models.export",
        "owner/name",
        str(tmp_path / "out"),
        "--precision=int8",
    ]


def test_export_without_torch_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.app import models as command

    monkeypatch.delenv("SEESTREAM_EXPORT_PYTHON", raising=False)
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Misconfigured, match="make export-env"):
        command._export_python(tmp_path)


def test_the_exporter_says_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.export"]
    usage = subprocess.run(
        [*command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert usage.returncode == 0 and "--layout" in usage.stdout
    command += ["owner/name", str(tmp_path / "out")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert result.returncode == 1 and "make export-env" in result.stderr and "Traceback" not in result.stderr
