"""Sessions say what they got, refuse what cannot work, and turn onnxruntime's errors into ours."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import BadModel, DeviceFailed, Misconfigured
from stream.infer import session
from stream.infer.buffers import Bound, Buffer
from stream.infer.florence2 import _Files
from stream.infer.manifest import Manifest
from stream.infer.session import Graph, OutOfMemory, open_session
from tests import PATIENCE_S


@pytest.fixture(autouse=True)
def say_again() -> Iterator[None]:
    """What is said once for each process is said once for each test."""
    session._say.cache_clear()
    yield
    session._say.cache_clear()


@pytest.fixture
def embed(goldens: Path) -> Graph:
    return open_session(goldens / "florence2" / "onnx" / "embed_tokens.onnx", provider="cpu", threads=1)


def test_a_provider_that_is_not_there_is_said_loudly_and_once(goldens: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = goldens / "florence2" / "onnx" / "embed_tokens.onnx"
    with caplog.at_level(logging.INFO):
        first, second = open_session(path, provider="cuda"), open_session(path, provider="cuda")
    assert first.provider == second.provider == "CPUExecutionProvider"
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "CPUExecutionProvider" in warnings[0] and "not on CUDA" in warnings[0]


def test_the_cpu_when_asked_for_is_no_warning(goldens: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        graph = open_session(goldens / "florence2" / "onnx" / "embed_tokens.onnx", provider="cpu")
    assert graph.device == "cpu"
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_an_unknown_provider_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="'tpu' is not one of auto, cuda, cpu"):
        open_session(tmp_path / "a.onnx", provider="tpu")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"vision\.onnx is missing"):
        open_session(tmp_path / "vision.onnx", provider="cpu")


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vision.onnx"
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(BadModel, match=r"vision\.onnx is not a graph"):
        open_session(path, provider="cpu")


def test_fp16_is_refused_on_the_cpu(goldens: Path) -> None:
    with pytest.raises(Misconfigured, match="fp16 needs CUDA"):
        open_session(goldens / "florence2" / "onnx" / "embed_tokens.onnx", provider="cpu", precision="fp16")


def test_a_graph_of_another_architecture_is_told_from_its_ports(embed: Graph) -> None:
    embed.require(["input_ids"], ["inputs_embeds"])
    with pytest.raises(BadModel, match="another architecture: it has no pixels, image_features"):
        embed.require(["pixels"], ["image_features"])


def test_inputs_that_do_not_fit_are_the_models_fault(embed: Graph) -> None:
    with pytest.raises(BadModel, match=r"embed_tokens\.onnx does not accept its inputs"):
        embed.run({"input_ids": np.zeros((1, 1, 1), np.int64)})


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 33554432", OutOfMemory),
        ("CUDA failure 2: out of memory ; GPU=0", OutOfMemory),
        ("CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED", OutOfMemory),
        ("CUDA failure 700: an illegal memory access was encountered", DeviceFailed),
        ("CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED", DeviceFailed),
        ("Got invalid dimensions for input: pixels", BadModel),
    ],
)
def test_onnxruntimes_errors_become_ours(message: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught, session.typed("graph.onnx"):
        raise RuntimeError(message)
    assert type(caught.value) is kind
    assert "graph.onnx" in str(caught.value)


def test_a_bound_graph_reads_and_writes_its_buffers_in_place(embed: Graph) -> None:
    ids = Buffer.on(embed, (3, 2), np.int64)
    out = Buffer.on(embed, (3, 2, 32), np.float32)
    bound = Bound(embed, {"input_ids": ids.head(2)}, {"inputs_embeds": out.head(2)})
    memory = out.read()
    ids.write(np.array([[5, 6], [7, 8], [9, 9]]))
    bound.run()
    expected = embed.run({"input_ids": np.array([[5, 6], [7, 8]])})["inputs_embeds"]
    np.testing.assert_array_equal(memory[:2], expected)
    assert not memory[2].any()
    ids.write(np.full((3, 2), 7))
    bound.run()
    np.testing.assert_array_equal(memory[0, 0], expected[1, 0])


def test_without_onnxruntime_one_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from pathlib import Path\n"
        "from stream.errors import Misconfigured\n"
        "from stream.infer import open_session\n"
        "try:\n    open_session(Path('x.onnx'))\nexcept Misconfigured as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "seestream[cpu]" in done.stdout and "seestream[gpu]" in done.stdout


def test_a_whole_answer_imports_neither_torch_nor_transformers(goldens: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from stream.infer import Florence2, MicroBatcher, Siglip\n"
        f"folder = Path({str(goldens)!r})\n"
        "rgb = np.zeros((40, 40, 3), np.uint8)\n"
        "answers = Florence2.load(folder / 'florence2', provider='cpu').look(rgb, ['<OD>'])\n"
        "vectors = Siglip.load(folder / 'siglip', provider='cpu').embed_text(['a car'])\n"
        "print(sorted(answers), vectors.shape[0])\n"
        "print(sorted({'torch', 'transformers', 'tensorflow', 'jax', 'onnx'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['<OD>'] 1\n[]\n"


class CudaThatFails:
    """onnxruntime where CUDA is built in and no device is there: it falls back to the CPU without a word."""

    def __init__(self) -> None:
        self._real = session.runtime()
        self.asked: list[tuple[str, str]] = []
        self.preloaded = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_available_providers(self) -> list[str]:
        return [session.CUDA, session.CPU]

    def preload_dlls(self) -> None:
        self.preloaded += 1

    def InferenceSession(self, path: str, options: Any, providers: list[Any]) -> Any:
        name, given = providers[0]
        self.asked.append((name, given["enable_cuda_graph"]))
        if given["enable_cuda_graph"] == "1":
            raise RuntimeError("not all nodes have been partitioned to the CUDAExecutionProvider")
        return self._real.InferenceSession(path, options, providers=[session.CPU])


def test_cuda_that_falls_back_silently_is_said_loudly(
    goldens: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = CudaThatFails()
    monkeypatch.setattr(session, "runtime", lambda: library)
    with caplog.at_level(logging.WARNING):
        graph = open_session(goldens / "florence2" / "onnx" / "embed_tokens.onnx", cuda_graph=True)
    assert graph.provider == session.CPU and library.preloaded == 1
    assert library.asked == [(session.CUDA, "1"), (session.CUDA, "0")]
    assert "runs without CUDA graphs" in caplog.text
    assert "not on CUDA: its libraries or a device are missing" in caplog.text


class CudaThatWorks(CudaThatFails):
    """onnxruntime on a machine with a GPU, as far as what it says of itself goes; the sums are the CPU's."""

    def InferenceSession(self, path: str, options: Any, providers: list[Any]) -> Any:
        wanted = [given if isinstance(given, str) else given[0] for given in providers]
        real = self._real.InferenceSession(path, options, providers=[session.CPU])

        class Session:
            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def get_providers(self) -> list[str]:
                return wanted

        return Session()


@pytest.mark.parametrize(
    ("provider", "precision", "refused"),
    [
        ("cuda", "fp32", None),
        ("cuda", "fp16", None),
        ("cuda", "int8", "int8 files are for the CPU, on CUDA choose fp16"),
        ("auto", "fp16", None),
        ("auto", "int8", "int8 files are for the CPU, on CUDA choose fp16"),
        ("cpu", "fp32", None),
        ("cpu", "fp16", "fp16 needs CUDA, and this runs on the CPU: choose fp32 or int8"),
        ("cpu", "int8", None),
    ],
)
def test_each_provider_has_its_precisions(
    goldens: Path, monkeypatch: pytest.MonkeyPatch, provider: str, precision: str, refused: str | None
) -> None:
    library = CudaThatWorks()
    monkeypatch.setattr(session, "runtime", lambda: library)
    path = goldens / "florence2" / "onnx" / "embed_tokens.onnx"
    if refused:
        with pytest.raises(Misconfigured, match=rf"embed_tokens\.onnx: {refused}"):
            open_session(path, provider=provider, precision=precision)
    else:
        graph = open_session(path, provider=provider, precision=precision)
        assert graph.device == ("cpu" if provider == "cpu" else "cuda")


def test_auto_precision_is_fp16_on_a_gpu_that_has_such_files_and_never_int8(
    goldens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = goldens / "florence2" / "onnx" / "static_vision.onnx"
    (tmp_path / "config.json").write_text("{}")
    for suffix in ("", "_int8"):
        shutil.copy(vision, tmp_path / f"static_vision{suffix}.onnx")

    def chosen(provider: str) -> str:
        return _Files(Manifest.read(tmp_path), provider, "auto", 1, False).precision

    library: CudaThatFails = CudaThatWorks()
    monkeypatch.setattr(session, "runtime", lambda: library)
    assert chosen("auto") == "fp32", "there is no fp16 file"
    shutil.copy(vision, tmp_path / "static_vision_fp16.onnx")
    assert (chosen("auto"), chosen("cuda"), chosen("cpu")) == ("fp16", "fp16", "fp32")
    library = CudaThatFails()
    assert chosen("auto") == "fp32", "CUDA is built in, and no device is there"
