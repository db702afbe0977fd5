"""Worker processes and their supervisor: what dies is started again, as Kubernetes or systemd would."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """`start` and `stop` set how many there are; whatever ends by itself is replaced."""

    def __init__(self, configuration: Path, folder: Path) -> None:
        self._configuration = configuration
        self._folder = folder
        self._count = 0
        self.running: list[subprocess.Popen[bytes]] = []
        self.arguments: tuple[str, ...] = ()  # for those that are started from now on
        self.always: tuple[str, ...] = ()  # for each of them
        self.plans: list[tuple[str, ...]] = []  # further arguments, one worker each, used up first
        self.ended: list[int] = []  # exit codes of those that ended by themselves
        self.restart = True

    def start(self, count: int = 1) -> None:
        for _ in range(count):
            self.running.append(self._spawn())

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._count += 1
        plan = self.plans.pop(0) if self.plans else ()
        command = [sys.executable, "-m", "tests.faults.worker", str(self._configuration)]
        command += [*self.always, *self.arguments, *plan]
        with open(self._folder / f"worker-{self._count}.log", "wb") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "SEESTREAM_DATA_DIR": str(self._folder / f"worker-{self._count % 8}")},
            )

    def look(self) -> None:
        """Replace what has ended. Called often."""
        for process in list(self.running):
            if process.poll() is not None:
                self.running.remove(process)
                self.ended.append(process.returncode)
                if self.restart:
                    self.running.append(self._spawn())

    async def stop(
        self, processes: Sequence[subprocess.Popen[bytes]] | None = None, limit_s: float = 60.0
    ) -> list[int]:
        """SIGTERM and wait; exit codes. Those that do not end are killed and give -9."""
        chosen = list(self.running if processes is None else processes)
        self.running = [process for process in self.running if process not in chosen]
        for process in chosen:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        codes = []
        for process in chosen:
            try:
                codes.append(await asyncio.to_thread(process.wait, limit_s))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        return codes

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL; the supervisor replaces it."""
        process.kill()
        process.wait()

    def logs(self) -> str:
        """The end of every worker's log, for a failure's message."""
        told = []
        for log in sorted(self._folder.glob("worker-*.log")):
            lines = log.read_text(errors="replace").splitlines()[-6:]
            told.append(f"--- {log.name}\n" + "\n".join(line[:300] for line in lines))
        return "\n".join(told[-6:])
