"""What an expiry took away."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Removed:
    """Number of things removed, and their size on disk where it is known (0 where not)."""

    count: int = 0
    size_bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.count + other.count, self.size_bytes + other.size_bytes)
