"""What was compared, a line each, and the sum."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Report:
    """Counts and prints comparisons as they are made."""

    passed: int = 0
    failed: int = 0
    _started: float = field(default_factory=time.monotonic)

    def check(self, what: str, ok: bool, detail: str = "") -> bool:
        """One comparison; `ok` is handed back."""
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)
        word = "ok  " if ok else "FAIL"
        print(f"{time.monotonic() - self._started:6.1f} s  {word}  {what}{'  ' if detail else ''}{detail}", flush=True)
        return ok

    def note(self, line: str) -> None:
        """A line that is no comparison."""
        print(f"{time.monotonic() - self._started:6.1f} s        {line}", flush=True)

    def close(self, what: str, ours: Any, theirs: Any, tolerance: float) -> bool:
        """Two arrays of one shape whose largest difference is at most `tolerance`."""
        a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        if a.shape != b.shape:
            return self.check(what, False, f"shape {a.shape} instead of {b.shape}")
        worst = float(np.abs(a - b).max()) if a.size else 0.0
        return self.check(what, worst <= tolerance, f"largest difference {worst:.1e}, allowed {tolerance:.0e}")

    def same(self, what: str, ours: Any, theirs: Any) -> bool:
        """Two values that must be equal; the first difference is shown where they are sequences."""
        if ours == theirs:
            return self.check(what, True)
        detail = f"{ours!r:.120} instead of {theirs!r:.120}"
        if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            at = next(index for index, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
            detail = f"at {at}: {ours[at]!r:.120} instead of {theirs[at]!r:.120}"
        return self.check(what, False, detail)

    def end(self) -> int:
        """Prints the sum; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
