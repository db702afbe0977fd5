"""The gates of this process's live sources, and their states in the data folder: what the next owner resumes from."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING

from stream.pipeline import LATER
from stream.types import Delivery

if TYPE_CHECKING:
    from stream.config import CameraSettings, Settings
    from stream.gate import MotionGate

log = logging.getLogger(__name__)

STALE_S = 600.0
"""A background of ten minutes ago shows another light: the gate learns it anew instead."""


class GateStates:
    """One small file a source, written whole or not at all. What is old, damaged or of another version is ignored.

    Processes that share the folder hand cameras over through it; others warm up, which takes three frames.
    """

    def __init__(self, folder: Path, *, most: int = 4096, now: Callable[[], float] = time.time) -> None:
        self._folder, self._most, self._now = folder, most, now

    def save(self, states: dict[str, bytes]) -> None:
        """Best effort: a disk that is full costs a warm-up, not the process."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for source, state in states.items():
                path = self._path(source)
                beside = path.with_suffix(f".{secrets.token_hex(4)}.new")
                beside.write_bytes(state)
                beside.replace(path)
            files = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)
            for path in files[: max(0, len(files) - self._most)]:
                path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the gates' states cannot be kept in %s: %s", self._folder, error.strerror)

    def load(self, source: str) -> bytes:
        """Empty where there is none that can be used. The gate itself checks that the bytes are whole."""
        path = self._path(source)
        try:
            if self._now() - path.stat().st_mtime > STALE_S:
                return b""
            return path.read_bytes()
        except OSError:
            return b""

    def _path(self, source: str) -> Path:
        return self._folder / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.gate"


class Gates:
    """One gate a stream, kept across rebalances; dropped are those of partitions that are not given back, and the longest
    unused beyond `most`."""

    def __init__(self, settings: Settings, states: GateStates | None = None, most: int = 4096) -> None:
        self._options = settings.gate
        self._cameras = {camera.name: camera for camera in settings.cameras}
        self._states, self._most = states, most
        self._gates: OrderedDict[str, MotionGate] = OrderedDict()
        self._partitions: dict[str, int] = {}
        self._lock = threading.Lock()  # lanes touch different gates, and this table together

    def __len__(self) -> int:
        return len(self._gates)

    def __call__(self, stream: str, delivery: Delivery) -> MotionGate:
        """Called on the stream's own lane."""
        record = delivery.event.record
        with self._lock:
            self._partitions[stream] = record.partition if record else -1
            if (gate := self._gates.get(stream)) is not None:
                self._gates.move_to_end(stream)
                return gate
        gate = self._make(self._cameras.get(stream.removesuffix(LATER)))
        if self._states is not None and (state := self._states.load(stream)):
            resumed = gate.restore(state)
            log.info("%s: %s", stream, "its gate resumes" if resumed else "its gate's state cannot be used")
        with self._lock:
            self._gates[stream] = gate
            while len(self._gates) > self._most:
                self._partitions.pop(self._gates.popitem(last=False)[0], None)
        return gate

    def save(self) -> None:
        """Write down all states. Blocking; call it when the lanes are quiet: on revoke and at the end."""
        if self._states is None:
            return
        with self._lock:
            gates = list(self._gates.items())
        states = {stream: state for stream, gate in gates if not stream.endswith(LATER) and (state := gate.state())}
        self._states.save(states)

    def keep(self, partitions: Set[int]) -> None:
        """After an assignment: drop the gates of partitions that are not ours any more."""
        with self._lock:
            for stream in [name for name, number in self._partitions.items() if number not in partitions]:
                self._partitions.pop(stream)
                self._gates.pop(stream, None)

    def _make(self, camera: CameraSettings | None) -> MotionGate:
        from stream.gate import GateSettings, MotionGate

        options = self._options
        return MotionGate(
            GateSettings(
                zones=camera.zones if camera else (),
                masks=camera.masks if camera else (),
                min_size=options.min_size,
                max_size=options.max_size,
                interval_s=options.interval_s,
                every_frame=not options.enabled,
            )
        )
