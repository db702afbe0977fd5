"""`seestream dead list|show|retry`: look at dead letters, and give them back to their topic as they were."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from stream import errors
from stream.app import common, service

if TYPE_CHECKING:
    from stream.config import Settings
    from stream.types import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A letter's id is its place in the dead-letter topic, PARTITION:OFFSET, as `list` prints it."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="a line for each letter, oldest first")
    showing = actions.add_parser("show", help="all of one letter: headers, reason, and its bytes with --value")
    retrying = actions.add_parser("retry", help="publish letters again to the topic they came from")
    for action in (listing, showing, retrying):
        common.add_settings_arguments(action)
        action.add_argument("--bootstrap", metavar="HOST:PORT", help="the brokers, instead of the settings' ones")
    for action in (listing, retrying):
        action.add_argument("--stage", help="only letters of this stage: consume, decode, infer, process")
        action.add_argument("--topic", help="only letters that came from this topic")
    listing.add_argument("--json", action="store_true", help="one JSON object for each letter")
    showing.add_argument("id", metavar="PARTITION:OFFSET")
    showing.add_argument("--value", action="store_true", help="write the original bytes to standard output")
    retrying.add_argument("id", metavar="PARTITION:OFFSET", nargs="*", help="which; or --all")
    retrying.add_argument("--all", action="store_true", help="every letter that --stage and --topic leave")


def run(args: argparse.Namespace) -> int:
    """Raises: Misconfigured, BrokerUnavailable."""
    common.set_up_logging("WARNING", ends=True)
    settings = common.settings_of(args)
    bootstrap = args.bootstrap or service.bootstrap_of(settings)
    letters = asyncio.run(_letters(settings, bootstrap))
    if args.action == "show":
        _show(_one(letters, args.id), args.value)
        return 0
    chosen = [letter for letter in letters if _matches(letter, args.stage, args.topic)]
    if args.action == "list":
        for letter in chosen:
            print(orjson.dumps(_described(letter)).decode() if args.json else _line(letter))
        return 0
    if not args.id and not args.all:
        raise errors.Misconfigured("dead retry: name letters by PARTITION:OFFSET, or give --all")
    if args.id:
        chosen = [_one(chosen, wanted) for wanted in args.id]
    asyncio.run(retry(settings, bootstrap, chosen))
    print(f"{len(chosen)} published again")
    return 0


async def _letters(settings: Settings, bootstrap: str) -> list[Record]:
    from stream.consume import scan

    client = service.client_arguments(settings)
    found = [letter async for letter in scan(bootstrap, settings.kafka.dead_letters, client)]
    return sorted(found, key=lambda letter: (letter.timestamp, letter.partition, letter.offset))


async def retry(settings: Settings, bootstrap: str, letters: Sequence[Record]) -> None:
    """Key, value and headers as they were, acknowledged. Ids decide, so that trying twice changes nothing.

    Raises: BrokerUnavailable; Misconfigured for a letter that does not say where it came from or lost its value.
    """
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import KafkaError

    from stream import wire

    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_request_size=2 << 20, **service.client_arguments(settings)
    )
    try:
        await producer.start()
        for letter in letters:
            told = wire.error_headers(letter.headers)
            if "topic" not in told or any(name == "x-value-omitted" for name, _ in letter.headers):
                raise errors.Misconfigured(f"dead letter {_id(letter)} cannot be published again: {_line(letter)}")
            headers = wire.original_headers(letter.headers)
            # The timestamp is a new one: the old one may be past the age at which live frames are shed.
            await producer.send_and_wait(told["topic"], letter.value, letter.key, headers=headers)
    except (KafkaError, OSError, TimeoutError) as error:
        raise errors.BrokerUnavailable(f"cannot publish at {bootstrap}: {error!r}") from error
    finally:
        await producer.stop()


def _id(letter: Record) -> str:
    return f"{letter.partition}:{letter.offset}"


def _one(letters: Sequence[Record], wanted: str) -> Record:
    for letter in letters:
        if _id(letter) == wanted:
            return letter
    raise errors.Misconfigured(f"there is no dead letter {wanted!r}; `seestream dead list` prints their ids")


def _matches(letter: Record, stage: str | None, topic: str | None) -> bool:
    from stream import wire

    told = wire.error_headers(letter.headers)
    return (stage is None or told.get("stage") == stage) and (topic is None or told.get("topic") == topic)


def _described(letter: Record) -> dict[str, Any]:
    from stream import wire

    return {
        "id": _id(letter),
        "at": letter.timestamp.isoformat(),
        "key": None if letter.key is None else letter.key.decode(errors="replace"),
        "bytes": None if letter.value is None else len(letter.value),
        **wire.error_headers(letter.headers),
    }


def _line(letter: Record) -> str:
    told = _described(letter)
    place = f"{told.get('topic', '?')}-{told.get('partition', '?')}@{told.get('offset', '?')}"
    key, stage, message = told["key"] or "-", told.get("stage", "?"), told.get("exception.message", "")
    return f"{told['id']:>8}  {letter.timestamp:%Y-%m-%d %H:%M:%S}  {place}  {key}  {stage}: {message}".replace(
        "\n", " "
    )


def _show(letter: Record, value: bool) -> None:
    from stream import wire

    if value:
        sys.stdout.buffer.write(letter.value or b"")
        return
    for name, told in _described(letter).items():
        print(f"{name}: {told}")
    for name, content in wire.original_headers(letter.headers):
        print(f"header {name}: {'null' if content is None else content.decode(errors='backslashreplace')}")
