"""A model folder hands out only what it promised."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from stream.errors import BadModel, Misconfigured
from stream.infer import manifest
from stream.infer.manifest import Manifest, sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "config.json").write_text('{"model_type": "florence2"}')
    (tmp_path / "onnx" / "vision.onnx").write_bytes(b"graph")
    (tmp_path / "onnx" / "vision_quantized.onnx").write_bytes(b"small graph")
    manifest.write(tmp_path, name="tiny", architecture="florence2", demo=True, tasks=["<OD>"])
    return tmp_path


def test_what_is_written_is_read_and_verifies(folder: Path) -> None:
    found = Manifest.read(folder)
    assert (found.name, found.architecture, found.demo, found.tasks) == ("tiny", "florence2", True, ("<OD>",))
    assert set(found.files) == {"config.json", "onnx/vision.onnx", "onnx/vision_quantized.onnx"}
    found.verify()


def test_precisions_are_found_by_their_suffix(folder: Path) -> None:
    found = Manifest.read(folder)
    assert found.graph("vision", "fp32") == folder / "onnx" / "vision.onnx"
    assert found.graph("vision", "int8") == folder / "onnx" / "vision_quantized.onnx"
    assert found.has("vision", "int8") and not found.has("vision", "fp16")
    with pytest.raises(Misconfigured, match="precision 'int4' is not one of fp32, fp16, int8"):
        found.graph("vision", "int4")


def test_a_precision_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    with pytest.raises(BadModel, match=r"has vision in fp32 and int8, not in fp16: set models\.precision"):
        Manifest.read(folder).graph("vision", "fp16")


def test_an_altered_file_is_named_with_the_expected_hash(folder: Path) -> None:
    expected = sha256(folder / "onnx" / "vision.onnx")
    (folder / "onnx" / "vision.onnx").write_bytes(b"other graph")
    with pytest.raises(BadModel, match=rf"vision\.onnx was altered.*expects {expected}"):
        Manifest.read(folder).graph("vision", "fp32")


def test_a_missing_file_is_named_with_the_expected_hash(folder: Path) -> None:
    expected = sha256(folder / "onnx" / "vision.onnx")
    (folder / "onnx" / "vision.onnx").unlink()
    with pytest.raises(BadModel, match=rf"vision\.onnx is missing \(sha256 {expected}\)"):
        Manifest.read(folder).graph("vision", "fp32")
    with pytest.raises(BadModel, match="is missing"):
        Manifest.read(folder).verify()


def test_a_folder_without_a_manifest_works_and_says_that_it_is_unverified(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / manifest.NAME).unlink()
    with caplog.at_level(logging.WARNING):
        found = Manifest.read(folder)
    assert found.graph("vision", "fp32").is_file()
    assert found.architecture == "florence2" and not found.demo
    assert "unverified" in caplog.text


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"name": "tiny"}', '{"name": "a", "architecture": "b", "files": {"c": {}}}']
)
def test_a_manifest_that_cannot_be_read_is_a_bad_model(folder: Path, text: str) -> None:
    (folder / manifest.NAME).write_text(text)
    with pytest.raises(BadModel, match=r"manifest\.json"):
        Manifest.read(folder)


def test_a_folder_of_something_else_is_a_bad_model(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"no config\.json"):
        Manifest.read(tmp_path)


def test_the_version_names_the_bytes_in_use(folder: Path) -> None:
    one, other = Manifest.read(folder), Manifest.read(folder)
    one.graph("vision", "fp32")
    other.graph("vision", "int8")
    assert one.version.startswith("tiny@") and len(one.version) == len("tiny@") + 12
    assert one.version != other.version
    again = Manifest.read(folder)
    again.graph("vision", "fp32")
    assert again.version == one.version


def test_optional_json_may_be_absent(folder: Path) -> None:
    found = Manifest.read(folder)
    assert found.json("generation_config.json", optional=True) == {}
    with pytest.raises(BadModel, match=r"generation_config\.json is missing"):
        found.json("generation_config.json")


def test_the_bundled_models_are_where_they_are_said_to_be() -> None:
    folders = [path for path in manifest.bundled().iterdir() if path.is_dir()]
    assert {path.name for path in folders} >= {"florence2-demo", "siglip-demo"}
    for path in folders:
        said = json.loads((path / manifest.NAME).read_text())
        assert said["demo"] is True
        Manifest.read(path).verify()
