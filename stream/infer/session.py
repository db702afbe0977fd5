"""ONNX Runtime, and the only place that imports it: graphs on a provider, and typed errors."""

from __future__ import annotations

import functools
import itertools
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import BadModel, DeviceFailed, Misconfigured

log = logging.getLogger(__name__)

Array = NDArray[Any]

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
PROVIDERS = ("auto", "cuda", "cpu")

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
# BFCArena, the CUDA runtime, cuDNN and cuBLAS each say it in their own words.
_NO_MEMORY = re.compile(r"failed to allocate|out of memory|alloc_failed|bad_alloc|bad allocation", re.IGNORECASE)
_DEVICE = re.compile(r"cuda|cudnn|cublas|device|gpu", re.IGNORECASE)


class OutOfMemory(DeviceFailed):
    """The device has no memory for a batch of this size; a smaller one may fit."""


class Port(NamedTuple):
    """An input or output of a graph. A dimension is a number, or a name where it may vary."""

    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...]


@functools.cache
def runtime() -> Any:
    """The library. Raises Misconfigured when it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise Misconfigured(
            f"onnxruntime cannot be imported ({error}): install exactly one of seestream[cpu] and seestream[gpu]"
        ) from error
    return onnxruntime


@functools.cache
def _faults() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its classes share no base but Exception."""
    state = runtime().capi.onnxruntime_pybind11_state
    names = (
        "Fail", "InvalidArgument", "NoSuchFile", "NoModel", "EngineError", "RuntimeException", "InvalidProtobuf",
        "NotImplemented", "InvalidGraph", "EPFail",
    )  # fmt: skip
    return (RuntimeError, ValueError, MemoryError, *(getattr(state, name) for name in names if hasattr(state, name)))


@contextmanager
def typed(name: str) -> Iterator[None]:
    """Turns onnxruntime's errors at run time into ours."""
    try:
        yield
    except _faults() as error:
        line = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        if _NO_MEMORY.search(str(error)) or isinstance(error, MemoryError):
            raise OutOfMemory(f"{name}: no memory on the device: {line}") from error
        if _DEVICE.search(str(error)):
            raise DeviceFailed(f"{name}: the device failed, restart the process: {line}") from error
        raise BadModel(f"{name} does not accept its inputs, is its config.json its own? {line}") from error


@functools.cache
def _say(level: int, message: str) -> None:
    """Logs a message once for each process, however many graphs it is true of."""
    log.log(level, message)


class Graph:
    """One ONNX graph, ready to run. Not shared between threads."""

    def __init__(self, session: Any, name: str, cuda_graph: bool = False) -> None:
        self.session, self.name, self._cuda_graph = session, name, cuda_graph
        self.provider: str = session.get_providers()[0]
        self.device = "cuda" if self.provider == CUDA else "cpu"
        self.inputs = {port.name: _port(port) for port in session.get_inputs()}
        self.outputs = {port.name: _port(port) for port in session.get_outputs()}
        self._graph_ids = itertools.count(1)

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """One run with arrays in and out; floats are cast to what the graph takes.

        Raises:
            OutOfMemory, DeviceFailed, BadModel.
        """
        names = list(outputs or self.outputs)
        given = {name: np.asarray(value, self.inputs[name].dtype) for name, value in feeds.items()}
        with typed(self.name):
            return dict(zip(names, self.session.run(names, given), strict=True))

    def step(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """One run whose tensors stay on the device: OrtValues in (see `value`) and out, by name."""
        names = list(self.outputs)
        with typed(self.name):
            if self.device == "cpu":
                return dict(zip(names, self.session.run_with_ort_values(names, feeds), strict=True))
            binding = self.session.io_binding()
            for name, value in feeds.items():
                binding.bind_ortvalue_input(name, value)
            for name in names:
                binding.bind_output(name, self.device)
            self.session.run_with_iobinding(binding)
            return dict(zip(names, binding.get_outputs(), strict=True))

    def value(self, name: str, array: Array) -> Any:
        """An OrtValue on this graph's device for input `name`."""
        given = np.ascontiguousarray(array, self.inputs[name].dtype)
        return runtime().OrtValue.ortvalue_from_numpy(given, self.device, 0)

    def run_options(self) -> Any:
        """Options for one `Bound`; with CUDA graphs each has its own number, so that each is captured once."""
        if not self._cuda_graph:
            return None
        options = runtime().RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(next(self._graph_ids)))
        return options

    def require(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Raises BadModel when the graph lacks one of these: it is another architecture's."""
        lacking = [name for name in inputs if name not in self.inputs]
        lacking += [name for name in outputs if name not in self.outputs]
        if lacking:
            raise BadModel(
                f"{self.name} is of another architecture: it has no {', '.join(lacking)} "
                f"(it has {', '.join([*self.inputs, *self.outputs][:8])} …)"
            )


def _port(port: Any) -> Port:
    return Port(np.dtype(_DTYPES.get(port.type, np.float32)), tuple(port.shape))


def open_session(
    path: Path,
    *,
    provider: str = "auto",
    precision: str = "fp32",
    threads: int = 0,
    cuda_graph: bool = False,
) -> Graph:
    """Loads one ONNX file.

    `provider` is auto (CUDA where it works, else CPU), cuda or cpu; what it really became is `Graph.provider`, and is
    logged as a warning, once, when it is not what was asked for. `threads` 0 lets onnxruntime choose. `cuda_graph`
    captures each `Bound` at its first run; it is ignored on the CPU.

    Raises:
        BadModel: the file is missing or not an ONNX graph that this onnxruntime can run.
        Misconfigured: no onnxruntime, an unknown provider, or a precision that the provider cannot run.
    """
    wanted = _wanted(provider)
    if not path.is_file():
        raise BadModel(f"{path} is missing: pull or export the model again")
    options = runtime().SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what fails is raised, and what matters of the rest is said below in words
    # Idle threads that spin take a core from the decoders, and between two frames the models are idle most of the time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graph = _open(path, options, wanted, cuda_graph and CUDA in wanted)
    _check(graph, provider, precision)
    return graph


def _open(path: Path, options: Any, wanted: Sequence[str], captured: bool) -> Graph:
    cuda = {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "enable_cuda_graph": "1" if captured else "0",
    }
    providers = [(CUDA, cuda) if name == CUDA else name for name in wanted]
    try:
        session = runtime().InferenceSession(str(path), options, providers=providers)
    except _faults() as error:
        if _NO_MEMORY.search(str(error)):
            raise DeviceFailed(f"{path.name}: no memory on the device to load it") from error
        if captured:
            # A graph with a node that only the CPU has cannot be captured; it can still run.
            _say(logging.WARNING, f"{path.name} runs without CUDA graphs: {str(error)[:200]}")
            return _open(path, options, wanted, False)
        raise BadModel(f"{path} is not a graph that this onnxruntime can run: {str(error)[:300]}") from error
    return Graph(session, path.name, captured and session.get_providers()[0] == CUDA)


def _wanted(provider: str) -> list[str]:
    if provider not in PROVIDERS:
        raise Misconfigured(f"provider {provider!r} is not one of {', '.join(PROVIDERS)}")
    library = runtime()
    if provider == "cpu" or CUDA not in library.get_available_providers():
        return [CPU]
    # Finds the CUDA libraries of the nvidia wheels, which no loader path names.
    library.preload_dlls()
    return [CUDA, CPU]


def _check(graph: Graph, provider: str, precision: str) -> None:
    """Says what was got when it is not what was asked for, and refuses what it cannot run well."""
    offered = CUDA in runtime().get_available_providers()
    if graph.provider != CUDA and (provider == "cuda" or (provider == "auto" and offered)):
        why = "its libraries or a device are missing" if offered else "this onnxruntime has no CUDA provider"
        _say(logging.WARNING, f"models run on {graph.provider}, not on CUDA: {why}. Expect a fraction of the speed.")
    else:
        _say(logging.INFO, f"models run on {graph.provider}")
    if precision == "fp16" and graph.device == "cpu":
        raise Misconfigured(f"{graph.name}: fp16 needs CUDA, and this runs on the CPU: choose fp32 or int8")
    if precision == "int8" and graph.device == "cuda":
        raise Misconfigured(f"{graph.name}: int8 files are for the CPU, on CUDA choose fp16")
