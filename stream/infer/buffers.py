"""Tensors with a fixed address on a graph's device, and graphs bound to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from stream.infer.session import Array, Graph, runtime, typed


class Buffer:
    """A tensor whose address never changes, on a graph's device, zero at first.

    On the CPU it is an array that graphs read and write in place. `head(n)` is its first n rows, at the same address.
    """

    def __init__(self, shape: Sequence[int], dtype: Any, device: str = "cpu", device_id: int = 0) -> None:
        self.shape, self.dtype, self.device, self.device_id = tuple(shape), np.dtype(dtype), device, device_id
        zeros = np.zeros(self.shape, self.dtype)
        self.host: Array | None = zeros if device == "cpu" else None
        with typed(f"a buffer of {zeros.nbytes >> 20} MiB"):
            self._value = runtime().OrtValue.ortvalue_from_numpy(zeros, device, device_id)

    @classmethod
    def on(cls, graph: Graph, shape: Sequence[int], dtype: Any) -> Self:
        """On a graph's device."""
        return cls(shape, dtype, graph.device)

    @property
    def address(self) -> int:
        return int(self._value.data_ptr())

    def write(self, values: Array) -> None:
        """Copy `values` of exactly this shape in."""
        if self.host is not None:
            self.host[...] = values
        else:
            self._value.update_inplace(np.ascontiguousarray(values, self.dtype))

    def read(self) -> Array:
        """The contents; on the CPU the memory itself, not a copy."""
        return self.host if self.host is not None else self._value.numpy()

    def clear(self) -> None:
        self.write(np.zeros(self.shape, self.dtype))

    def head(self, rows: int) -> Head:
        return Head(self, (rows, *self.shape[1:]))


class Head(NamedTuple):
    """The first rows of a buffer, or all of them."""

    buffer: Buffer
    shape: tuple[int, ...]


class Bound:
    """A graph with fixed buffers: running it passes no tensor, and a CUDA graph can replay it."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Buffer | Head], outputs: Mapping[str, Buffer | Head]) -> None:
        self._graph, self._keep = graph, (dict(inputs), dict(outputs))
        self._binding = graph.session.io_binding()
        for bind, ports in ((self._binding.bind_input, inputs), (self._binding.bind_output, outputs)):
            for name, given in ports.items():
                buffer, shape = given if isinstance(given, Head) else (given, given.shape)
                bind(name, buffer.device, buffer.device_id, buffer.dtype.type, shape, buffer.address)
        self._options = graph.run_options()

    def run(self) -> None:
        """Raises OutOfMemory, DeviceFailed, BadModel."""
        with typed(self._graph.name):
            self._graph.session.run_with_iobinding(self._binding, self._options)
