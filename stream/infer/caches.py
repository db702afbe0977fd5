"""The key and value caches of a static decoder's slots: allocated once, grown by doubling when a row needs more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream.infer.buffers import Buffer
from stream.infer.session import Array, Graph

TEXT_AT_FIRST = 24
"""Prompt tokens that slots have room for at first: the prompts without input have 8 to 15."""
LENGTH_AT_FIRST = 64
"""Generated tokens that slots have room for at first. Attention on the CPU reads the whole cache: small is fast."""


class Caches:
    """(slots, H, length, Dh) buffers: `own` for self-attention, `cross` for the encoder's output.

    `generation` changes whenever an address does: bindings made before are void.
    """

    def __init__(self, decoder: Graph, slots: int, spare: bool) -> None:
        self._graph, self._slots = decoder, slots
        layers = sum(name.startswith("past_self.") and name.endswith(".key") for name in decoder.inputs)
        self._halves = [f"{layer}.{half}" for layer in range(layers) for half in ("key", "value")]
        self._sets = 2 if spare else 1
        self.text = 0  # prompt tokens that fit
        self.length = 0  # generated tokens that fit
        self.generation = 0
        self.own: dict[str, Buffer] = {}
        self.spare: dict[str, Buffer] = {}
        self.cross: dict[str, Buffer] = {}

    def fit_text(self, image_tokens: int, text: int) -> None:
        """Make room for prompts of so many tokens after the picture's."""
        if text <= self.text:
            return
        self.text = max(TEXT_AT_FIRST, text, 2 * self.text)
        self.cross = self._grown("cross", self.cross, image_tokens + self.text)
        self.generation += 1

    def fit_length(self, length: int) -> None:
        """Make room for rows of so many generated tokens."""
        if length <= self.length:
            return
        self.length = max(LENGTH_AT_FIRST, length, 2 * self.length)
        self.own = self._grown("past_self", self.own, self.length)
        if self._sets == 2:
            self.spare = self._grown("past_self", {}, self.length)
        self.generation += 1

    def feeds(self) -> dict[str, Buffer]:
        """The decoder's cache inputs."""
        own = {f"past_self.{half}": self.own[half] for half in self._halves}
        return own | {f"cross.{half}": self.cross[half] for half in self._halves}

    def swap(self) -> None:
        """What was spare is current now."""
        self.own, self.spare = self.spare, self.own

    def copy_own(self, sources: Mapping[int, int]) -> None:
        """Each slot gets the past of its source."""
        self._assign(self.own, list(sources), list(sources.values()))

    def copy_cross(self, slots: Sequence[int], source: int) -> None:
        self._assign(self.cross, list(slots), [source] * len(slots))

    def clean(self, slots: Sequence[int]) -> None:
        """Zeros in the slots of every buffer."""
        for buffers in (self.own, self.spare, self.cross):
            for buffer in buffers.values():
                memory = buffer.read()
                memory[list(slots)] = 0
                buffer.write(memory)

    def _assign(self, buffers: Mapping[str, Buffer], slots: list[int], sources: list[int]) -> None:
        for buffer in buffers.values():
            memory = buffer.read()
            memory[slots] = memory[sources]
            buffer.write(memory)

    def _grown(self, kind: str, old: Mapping[str, Buffer], length: int) -> dict[str, Buffer]:
        grown = {}
        for half in self._halves:
            port = self._graph.inputs[f"{kind}.{half}"]
            heads, width = int(port.shape[1] or 0), int(port.shape[3] or 0)
            grown[half] = Buffer.on(self._graph, (self._slots, heads, length, width), port.dtype)
            if half in old:
                before: Array = old[half].read()
                memory = grown[half].read()
                memory[:, :, : before.shape[2]] = before
                grown[half].write(memory)
        return grown
