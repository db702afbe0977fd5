"""Cool-downs that outlive the process: the rules' state in a file."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from stream.errors import Misconfigured, StoreUnavailable
from stream.rules.rules import Rules
from stream.types import Alert, Observation

log = logging.getLogger(__name__)


class SavedRules:
    """`Rules` whose state lies in a file of this process alone; call `apply` as theirs.

    The file is written before `apply` returns an alert, so before the alert's event can be settled: whatever is
    delivered again after a crash is decided as it was the first time.
    """

    def __init__(self, rules: Rules, path: Path) -> None:
        """Takes up what the file says. A damaged one is reported and left aside: cool-downs then start afresh.

        Raises: Misconfigured when the file cannot be read.
        """
        self.rules = rules
        self._path = path
        self._saved: bytes | None = None
        try:
            self._saved = path.read_bytes()
            rules.restore(self._saved)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Misconfigured(f"cannot read the rules' state {path}: {error.strerror}") from error
        except Misconfigured as error:
            log.warning("%s: %s", path, error)

    def apply(self, observation: Observation) -> list[Alert]:
        """As `Rules.apply`. Blocking for one small write when there is an alert. Raises: StoreUnavailable."""
        alerts = self.rules.apply(observation)
        if alerts:
            self._save()
        return alerts

    def _save(self) -> None:
        state = self.rules.state()
        if state == self._saved:
            return
        # Processes that share a data folder write the same file: each beside it under a name of its own.
        beside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.new")
        try:
            # Not forced to the disk: after a power cut the worst is one alert more for each rule and source.
            beside.write_bytes(state)
            beside.replace(self._path)
        except OSError as error:
            raise StoreUnavailable(f"cannot write the rules' state {self._path}: {error.strerror}") from error
        self._saved = state
