"""A box that is reported, and how it goes on."""

from __future__ import annotations

from typing import NamedTuple

from stream.gate.picture import Rect


class Shown(NamedTuple):
    """One box of an answer. Reduced px, px a second."""

    rect: Rect
    moves: bool  # it changes now
    vx: float = 0.0
    vy: float = 0.0

    def later(self, passed_s: float) -> Rect:
        """Where it will be."""
        x1, y1, x2, y2 = self.rect
        dx, dy = round(self.vx * passed_s), round(self.vy * passed_s)
        return x1 + dx, y1 + dy, x2 + dx, y2 + dy
