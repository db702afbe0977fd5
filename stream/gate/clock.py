"""The clock of one detector: how far frames are apart, and what happens now and then only."""

from __future__ import annotations

_NOMINAL_S = 0.1  # frame distance that is assumed until it is known
_JUMP_S = 5.0  # a larger step says nothing about the rate


class Clock:
    """Follows the times of the frames that are looked at. A step back by less than 5 s is a late frame."""

    def __init__(self) -> None:
        self.at_s = 0.0  # of the last frame
        self.step_s = _NOMINAL_S  # between frames, smoothed
        self.passed_s = _NOMINAL_S  # between the last two
        self._slow_at_s = 0.0  # when the slow work was done last
        self._unknown = True

    def resume(self, step_s: float) -> None:
        """Take the rate over from another clock, whose time is not known."""
        self.step_s, self._unknown = step_s, True

    def tick(self, at_s: float, frames: int) -> bool:
        """Move to `at_s`, after so many frames; whether this frame is a new one."""
        step = at_s - self.at_s
        if self._unknown or frames == 0:
            self.at_s = self._slow_at_s = at_s
            self._unknown = False
            return True
        if -_JUMP_S < step <= 0:
            return False
        self.at_s, self.passed_s = at_s, step
        if 0 < step < _JUMP_S:
            self.step_s += 0.2 * (step - self.step_s) if frames > 2 else step - self.step_s
        elif not 0 < at_s - self._slow_at_s < 60:
            self._slow_at_s = at_s
        return True

    def slow(self, every_s: float) -> bool:
        """Whether the slow work is due."""
        return self.at_s - self._slow_at_s >= every_s

    def done(self) -> None:
        """The slow work is done."""
        self._slow_at_s = self.at_s
