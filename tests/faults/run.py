"""One run of a fault, and what the faults wait for."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.proxy import Proxy
from tests.faults.stage import Stage
from tests.faults.told import told_by


@dataclass
class Run:
    """What a fault is given, and what it found beside the oracle's verdict."""

    stage: Stage
    records: int
    quick: bool  # the selection in the test suite: the same faults for a shorter time
    broker_proxy: Proxy | None = None
    store_proxies: tuple[Proxy, ...] = ()
    in_store: set[str] | None = None  # events that the store must hold; None: all
    absent_may: int = 0  # events that the log may have lost
    looks: int = 0  # at what was committed, while the fault went on
    lost: int = 0  # found by the fault itself, before what it did next hides it
    problems: list[str] = field(default_factory=list)
    table: list[dict[str, float]] = field(default_factory=list)

    @property
    def limit_s(self) -> float:
        return 180 + self.records / 20

    def expect(self, held: bool, what: str) -> None:
        if not held:
            self.problems.append(what)


async def all_ready(stage: Stage) -> None:
    """Until every worker that runs has its signal handlers: an interpreter that is still starting cannot drain."""

    def ready() -> bool:
        return all(told_by(stage.folder, process.pid).ready for process in stage.workers.running)

    await stage.wait(ready, 120, "all workers ready")


async def moved(stage: Stage, count: int = 0) -> bool:
    """Whether more than that was committed."""
    return sum((await stage.committed()).values()) > count
