"""One record at a time, each written down before it is tried: how the record that crashes the process is found."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from stream.consume.caution import Caution
from stream.consume.chunks import Chunks
from stream.consume.duty import Duty
from stream.consume.member import Member
from stream.errors import Permanent
from stream.types import Event, Outcome, Traffic

log = logging.getLogger(__name__)

_RETRY_S = 0.5


class Careful:
    """Holds records back while any partition of the process is under caution, and lets them go one by one."""

    def __init__(self, member: Member, chunks: Chunks, caution: Caution, traffic: Traffic) -> None:
        self._member = member
        self._chunks = chunks
        self._caution = caution
        self._traffic = traffic
        self._held: deque[tuple[Duty, Sequence[Event]]] = deque()
        self._ready = asyncio.Event()

    @property
    def active(self) -> bool:
        """Whether a record must be held; also while older ones are, so that order stays."""
        return self._caution.active or bool(self._held)

    def hold(self, duty: Duty, events: Sequence[Event]) -> None:
        self._held.append((duty, events))
        self._ready.set()

    def drop(self) -> list[Duty]:
        """Take back everything that was not let go."""
        duties = [duty for duty, _ in self._held]
        self._held.clear()
        return duties

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._held:
                if self._caution.active:
                    async with self._caution.turn:
                        await self._next_alone()
                else:
                    duty, events = self._held.popleft()
                    self._chunks.put([(duty, duty.deliveries(events, self._traffic))])

    async def _next_alone(self) -> None:
        if not self._held:
            return
        duty, events = self._suspect_first()
        part, offset = duty.part, duty.record.offset
        tried = part.blamed[1] if part.blamed is not None and part.blamed[0] == offset else 0
        duty.attempt = tried + 1
        if tried >= self._member.limits.max_attempts:
            await self._give_up(duty, tried)
            return
        part.alone = (offset, duty.attempt)
        while part.current and not await self._member.commit([part]):
            await asyncio.sleep(_RETRY_S)
        if not part.current:
            self._member.abandon(duty)
            return
        self._chunks.put([(duty, duty.deliveries(events, self._traffic))])
        while duty.outcome is None and part.current:
            self._member.settled.clear()
            await self._member.settled.wait()
        part.alone = None

    def _suspect_first(self) -> tuple[Duty, Sequence[Event]]:
        """The oldest; but first of all what was alone at a crash: it does it again, or is done before it is blamed anew.

        Only the first of a partition, so that order stays there.
        """
        seen: set[int] = set()
        for number, (duty, events) in enumerate(self._held):
            part = duty.part
            if id(part) not in seen and part.blamed is not None and part.blamed[0] == duty.record.offset:
                del self._held[number]
                return duty, events
            seen.add(id(part))
        return self._held.popleft()

    async def _give_up(self, duty: Duty, tried: int) -> None:
        record = duty.record
        log.error("%s-%d@%d crashed the process %d times", record.topic, record.partition, record.offset, tried)
        duty.remaining, duty.attempt = 1, tried
        error = Permanent(f"the process crashed {tried} times while this record was the only one in its hands")
        await duty.end(Outcome.DEAD, error)
