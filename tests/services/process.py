"""A service as an operating-system process that a test may stop, kill, freeze, restart and empty.

Plain synchronous code: signals act at once and waiting is what a test wants; inside an event loop call `start`, `stop`
and `restart` through `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.services.cache import Unobtainable, root

_PORTS = range(21000, 29000)  # below the ephemeral range: nothing else takes the port while its service is down


def free_ports(count: int) -> list[int]:
    """Consecutive loopback ports that nobody listens on now: Weaviate derives some of its ports from others."""
    for first in random.SystemRandom().sample(_PORTS, 200):
        ports = list(range(first, first + count))
        if all(_free(port) for port in ports):
            return ports
    raise Unobtainable(f"no {count} free loopback ports in {_PORTS.start}-{_PORTS.stop}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Service:
    """One process with a data folder of its own. Subclasses say what to run and when it is ready.

    `with Service() as service:` starts it and, at the end, stops it and removes its folder. `keep` leaves process and
    folder alone at the end (the `up` command).
    """

    name: ClassVar[str]
    ready_within_s: ClassVar[float] = 90.0

    def __init__(self, *, folder: Path | None = None, keep: bool = False) -> None:
        self.folder = folder or root() / "run" / f"{self.name}-{os.getpid()}-{random.SystemRandom().randrange(10**6)}"
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Program and arguments. Called before each start; may prepare the data folder."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Variables beside those of this process."""
        return {}

    def answers(self) -> bool:
        """Whether the service does its work now; asked until it does."""
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, empty: bool = False) -> Self:
        """Start and wait until it is ready; `empty` forgets all data first. Raises Unobtainable with the log's end."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        if empty:
            shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True, exist_ok=True)
        command = self.command()
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        (self.folder / "pid").write_text(f"{self._process.pid} {os.getpid()}")
        self._wait_ready()
        return self

    def stop(self, grace_s: float = 30.0) -> None:
        """SIGTERM, and SIGKILL after the grace period. Nothing happens when it is not running."""
        if self._process is None or not self.running:
            return
        self.thaw()
        self._process.terminate()
        try:
            self._process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL: as a power cut would, minus the page cache."""
        if self._process is not None and self.running:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart(self, *, empty: bool = False) -> None:
        """Kill it if it still runs, then start on the same ports, with its data or without."""
        self.kill()
        self.start(empty=empty)

    def close(self) -> None:
        """Stop and remove the folder."""
        self.stop(grace_s=10.0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self, lines: int = 5) -> str:
        """The last lines of the service's own log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    def _signal(self, number: int) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + self.ready_within_s
        while not self.answers():
            ended = not self.running
            if ended or time.monotonic() > deadline:
                self.kill()
                what = "ended at once" if ended else f"not ready after {self.ready_within_s:.0f} s"
                raise Unobtainable(f"{self.name}: {what}; {self.log} ends with:\n{self.log_tail()}")
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep:
            self.close()


def end_strays() -> None:
    """End what an earlier test process left behind when it was killed, and remove its folder."""
    for folder in (root() / "run").glob("*-*"):
        with contextlib.suppress(OSError, ValueError):
            service, owner = (int(word) for word in (folder / "pid").read_text().split())
            if Path(f"/proc/{owner}").exists():
                continue
            end(folder, service)


def end(folder: Path, pid: int, grace_s: float = 10.0) -> None:
    """Terminate the service whose folder this is, and remove the folder. A reused process id is left alone."""
    deadline = time.monotonic() + grace_s
    while _is_service(pid, folder):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.2)
    shutil.rmtree(folder, ignore_errors=True)


def _is_service(pid: int, folder: Path) -> bool:
    """Whether the process works in that folder; a zombie, which has no folder any more, does not."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder.resolve()
    except OSError:
        return False
