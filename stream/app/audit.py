"""`seestream audit`: every offset accounted for, from the ledger alone; exit code 1 where something is missing."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
from typing import TYPE_CHECKING

import orjson

from stream.app import common, service

if TYPE_CHECKING:
    from stream.config import Settings
    from stream.consume import Account


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_settings_arguments(parser)
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="the brokers, instead of the settings' ones")
    parser.add_argument("--group", help="only this consumer group")
    parser.add_argument("--json", action="store_true", help="one JSON object for each partition and group")


def run(args: argparse.Namespace) -> int:
    """Prints an account for each partition. Raises: Misconfigured, BrokerUnavailable."""
    common.set_up_logging("WARNING", ends=True)
    settings = common.settings_of(args)
    accounts = asyncio.run(accounts_of(settings, args.bootstrap or service.bootstrap_of(settings), args.group))
    if args.json:
        for account in accounts:
            line = orjson.dumps({**dataclasses.asdict(account), "balances": account.balances})
            sys.stdout.write(line.decode() + "\n")
    else:
        _print(accounts)
    return 0 if all(account.balances for account in accounts) else 1


async def accounts_of(settings: Settings, bootstrap: str, group: str | None = None) -> list[Account]:
    """The audit of the settings' ledger topic. Raises: BrokerUnavailable."""
    from stream import wire
    from stream.consume import audit, committed_offsets, scan

    client = service.client_arguments(settings)
    entries = [
        entry
        async for record in scan(bootstrap, settings.kafka.ledger, client)
        if (entry := wire.parse_ledger(record.value or b"")).group == (group or entry.group)
    ]
    places = {(entry.group, entry.topic, entry.partition) for entry in entries}
    return audit(entries, await committed_offsets(bootstrap, places, client))


def _print(accounts: list[Account]) -> None:
    if not accounts:
        print("the ledger is empty: nothing was committed yet")
        return
    names = ("processed", "gated", "shed", "dead", "absent")
    print(f"{'group':20} {'partition':20} {'offsets':>16} " + " ".join(f"{name:>10}" for name in names) + "  verdict")
    for account in accounts:
        place = f"{account.topic}-{account.partition}"
        counts = " ".join(f"{getattr(account, name):>10}" for name in names)
        verdict = "balances" if account.balances else "; ".join(account.problems)
        print(f"{account.group:20} {place:20} {f'{account.start}-{account.end}':>16} {counts}  {verdict}")
    wrong = sum(not account.balances for account in accounts)
    total = sum(account.end - account.start for account in accounts)
    verdict = f"{wrong} do not balance" if wrong else "all accounted for"
    print(f"{total} offsets in {len(accounts)} partitions: {verdict}")
