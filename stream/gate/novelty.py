"""Embed first, describe only what is new: whether a source has shown the same before."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.errors import Misconfigured
from stream.types import Vector


@dataclass(frozen=True, slots=True)
class _Seen:
    observation: str
    caption: str | None
    frames: NDArray[np.float16]  # (models, dims): the whole frame
    regions: NDArray[np.float16]  # (regions, dims)
    models: tuple[str, ...]
    moving: int  # regions that moved, embedded or not


class Novelty:
    """Remembers the vectors of what each source showed lately, in bounded memory.

    A frame is known when one earlier frame of the same source looks the same as a whole and each moving region of either
    has its like in the other, of which there are no more now than then: a whole-frame vector misses small things, a caption
    must not name what has left, and a second person looks much like the first.
    Observations are compared with those of other ids only, so a redelivery cannot find itself and lose its caption.
    Not shared between threads. Holds about 10 kB for each remembered frame of 768 dims with four regions.
    """

    def __init__(
        self, alike: float = 0.95, regions_alike: float | None = None, *, per_source: int = 12, sources: int = 4096
    ) -> None:
        """`alike` is the cosine from which whole frames show the same, 0 to 1; regions (by default .13 below) vary more:
        they hold what moves, cut a little differently each time. Found with `bench/novelty.py`.

        Raises:
            Misconfigured: a cosine outside 0 to 1, or nothing is to be remembered.
        """
        self._alike = alike
        self._regions_alike = max(0.0, alike - 0.13) if regions_alike is None else regions_alike
        if not (0 <= alike <= 1 and 0 <= self._regions_alike <= 1):
            raise Misconfigured(f"novelty cosines are 0 to 1, got {alike} and {regions_alike}")
        if per_source < 1 or sources < 1:
            raise Misconfigured(f"novelty must remember at least 1 frame of 1 source, got {per_source} of {sources}")
        self._per_source, self._sources = per_source, sources
        self._seen: OrderedDict[str, deque[_Seen]] = OrderedDict()

    def known(
        self, source: str, observation_id: str, vectors: Sequence[Vector], moving: int = 0
    ) -> tuple[str, str | None] | None:
        """(id, caption) of the earlier observation of `source` that shows the same; None when this is new.

        `moving` is how many regions moved, where more did than have a vector: one more in a crowd is new.
        Without vectors, or with vectors that are not finite, everything is new. At `alike` 1 everything is new too.
        """
        recent = self._seen.get(source)
        if not recent or self._alike >= 1:
            return None
        now = _packed(observation_id, None, vectors, moving)
        if now is None:
            return None
        best: tuple[float, _Seen] | None = None
        for seen in recent:
            if seen.observation == observation_id or seen.models != now.models or seen.frames.shape != now.frames.shape:
                continue
            cosine = float((seen.frames.astype(np.float32) * now.frames).sum(axis=1).min())
            better = cosine >= self._alike and (best is None or cosine > best[0])
            if better and now.moving <= seen.moving and self._same_regions(seen.regions, now.regions):
                best = (cosine, seen)
        return (best[1].observation, best[1].caption) if best else None

    def remember(
        self,
        source: str,
        observation_id: str,
        vectors: Sequence[Vector],
        caption: str | None,
        moving: int = 0,
    ) -> None:
        """Keep a described frame for comparison. A redelivery replaces its earlier self."""
        seen = _packed(observation_id, caption, vectors, moving)
        if seen is None:
            return
        recent = self._seen.setdefault(source, deque(maxlen=self._per_source))
        for index, other in enumerate(recent):
            if other.observation == observation_id:
                recent[index] = seen
                break
        else:
            recent.append(seen)
        self._seen.move_to_end(source)
        while len(self._seen) > self._sources:
            self._seen.popitem(last=False)

    def _same_regions(self, before: NDArray[np.float16], now: NDArray[np.float16]) -> bool:
        if not len(before) or not len(now):
            return len(before) == len(now)
        if before.shape[1] != now.shape[1]:
            return False
        cosines = before.astype(np.float32) @ now.astype(np.float32).T
        return bool(min(cosines.max(axis=0).min(), cosines.max(axis=1).min()) >= self._regions_alike)


def _packed(observation: str, caption: str | None, vectors: Sequence[Vector], moving: int) -> _Seen | None:
    """None when there is no whole-frame vector or one is not a unit vector."""
    frames = [vector for vector in vectors if vector.box is None]
    regions = [vector.values for vector in vectors if vector.box is not None]
    if not frames or len({vector.values.shape for vector in frames}) > 1 or len({r.shape for r in regions}) > 1:
        return None
    whole = np.stack([vector.values for vector in frames])
    parts = np.stack(regions) if regions else np.zeros((0, whole.shape[1]), np.float32)
    if not (np.isfinite(whole).all() and np.isfinite(parts).all()):
        return None
    models = tuple(vector.model for vector in frames)
    return _Seen(
        observation, caption, whole.astype(np.float16), parts.astype(np.float16), models, max(moving, len(parts))
    )
