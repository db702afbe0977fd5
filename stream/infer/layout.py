"""What both file layouts of Florence-2 have in common: pictures in, slots filled, one token a step for every slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.infer.generate import Feed
from stream.types import Pixels


class Seen(NamedTuple):
    """One vision pass. It lives until the next one: admit every row that reads it before that."""

    features: Any  # (I, N, D), wherever the layout keeps it
    images: int
    tokens: int  # N


class Seat(NamedTuple):
    """A prompt about one picture of a vision pass, and the slots that shall decode it (several for beams)."""

    image: int  # index in the vision pass
    ids: Sequence[int]  # `<s>prompt</s>`
    slots: Sequence[int]


class Guess(NamedTuple):
    """What one step gave, by row of the slots that were fed, in their order."""

    ids: NDArray[np.int64]  # (n,) the likeliest token that is not banned
    logprobs: NDArray[np.float32]  # (n,) its log probability before the ban; not finite when the logits are not
    logits: NDArray[np.float32] | None  # (n, V), when asked for


class Layout(Protocol):
    """Florence-2's graphs behind slots. Everything runs on one thread.

    All calls raise session.OutOfMemory (a smaller batch may fit), errors.DeviceFailed and errors.BadModel.
    """

    provider: str
    slots: int

    def see(self, images: Sequence[Pixels]) -> Seen:
        """Vision for pictures (height, width, 3) uint8 of the model's size."""
        ...

    def admit(self, seen: Seen, seats: Sequence[Seat]) -> None:
        """Encodes prompts with their pictures, into free slots."""
        ...

    def step(self, feeds: Mapping[int, Feed], logits: bool) -> Guess:
        """One token for each slot that is fed. The rows of the answer are in the order of `feeds`."""
        ...

    def reorder(self, sources: Mapping[int, int]) -> None:
        """Slot -> the slot whose past it continues from; both of the same seat."""
        ...

    def release(self, slots: Sequence[int], clean: bool) -> None:
        """The slots are free again. `clean` False: they may hold NaN, which would spread through attention's zeros."""
        ...
