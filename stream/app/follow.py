"""What is seen now, for a page whose process does not look itself: follows the output topics into `Live`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from stream import errors, wire
from stream.app import tail

if TYPE_CHECKING:
    from stream.config import Settings
    from stream.types import Record
    from stream.web import Live

RETRY_S = 5.0
log = logging.getLogger(__name__)


async def keep_live(settings: Settings, live: Live) -> None:
    """Until it is cancelled; a broker that does not answer is asked again."""

    def detection(record: Record) -> None:
        live.tell([wire.parse_observation(record.value or b"")], ())

    def alert(record: Record) -> None:
        live.tell((), [wire.parse_alert(record.value or b"")])

    async with asyncio.TaskGroup() as group:
        group.create_task(_follow(settings, settings.kafka.detections, detection))
        group.create_task(_follow(settings, settings.kafka.alerts, alert))


async def _follow(settings: Settings, topic: str, show: Callable[[Record], None]) -> None:
    def show_what_can_be_read(record: Record) -> None:
        try:
            show(record)
        except errors.BadRecord as error:
            log.warning("%s-%d@%d is left out of the page: %s", topic, record.partition, record.offset, error)

    while True:
        try:
            await tail.follow(settings, topic, None, show_what_can_be_read)
        except (errors.BrokerUnavailable, errors.Misconfigured) as error:
            log.warning("the page does not follow %s: %s; trying again in %.0f s", topic, error, RETRY_S)
        await asyncio.sleep(RETRY_S)
