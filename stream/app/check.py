"""`seestream check`: validates settings, reaches every service, says what would run where, and forecasts."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from stream import errors
from stream.app import common

if TYPE_CHECKING:
    from stream.app.forecast import Forecast
    from stream.config import Settings

TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. `fault` is None when it is well."""

    name: str
    detail: str
    fault: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_settings_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-forecast", action="store_true", help="leave the measurement of this machine out")


def run(args: argparse.Namespace) -> int:
    common.set_up_logging("ERROR", ends=True)
    settings = common.settings_of(args)
    findings = asyncio.run(_check_all(settings))
    models_well = not any(finding.fault for finding in findings if finding.name == "models")
    forecast = None
    if models_well and not args.no_forecast:
        from stream.app.forecast import measure

        forecast = measure(settings)
    if args.json:
        body = {"checks": [asdict(finding) for finding in findings], "forecast": forecast and asdict(forecast)}
        print(json.dumps(body, ensure_ascii=False))
    else:
        _print(findings, forecast)
    return 1 if any(finding.fault for finding in findings) else 0


async def _check_all(settings: Settings) -> list[Finding]:
    checks: dict[str, Callable[[Settings], Awaitable[str]]] = {
        "data folder": _data_folder,
        "kafka": _kafka,
        "store": _store,
        "models": _models,
        "rules": _rules,
    }
    findings = [await _run_one(name, check, settings) for name, check in checks.items()]
    for folder in settings.folders:
        fault = None if folder.path.expanduser().is_dir() else "no such folder"
        findings.append(Finding(f"folder {folder.source}", str(folder.path), fault))
    findings += await asyncio.gather(*(_camera(settings, number) for number in range(len(settings.cameras))))
    return findings


async def _run_one(name: str, check: Callable[[Settings], Awaitable[str]], settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return Finding(name, await check(settings))
    except errors.SeestreamError as error:
        return Finding(name, "", str(error))
    except TimeoutError:
        return Finding(name, "", f"no answer within {TIMEOUT_S:.0f} s")


async def _data_folder(settings: Settings) -> str:
    return str(common.data_folder(settings))


async def _kafka(settings: Settings) -> str:
    from stream.app import service

    kafka = settings.kafka
    if kafka.bootstrap == "embedded":
        return "embedded: in this process, in memory, not durable"
    from aiokafka.errors import KafkaError

    try:
        async with service.admin(settings, kafka.bootstrap) as admin:
            there = set(await admin.list_topics())
    except (KafkaError, OSError) as error:
        raise service.no_broker(kafka.bootstrap, error) from error
    missing = ", ".join(sorted(set(kafka.topics) - there))
    return f"{kafka.bootstrap}; " + (f"will be created: {missing}" if missing else "all topics are there")


async def _store(settings: Settings) -> str:
    from stream.app import parts

    async with parts.store(settings) as store:  # type: ignore[attr-defined]
        latest = await store.recent(limit=1)
    newest = f"newest observation of {latest[0].captured_at:%Y-%m-%d %H:%M:%S} UTC" if latest else "empty"
    return f"{settings.store.url}; {newest}"


async def _models(settings: Settings) -> str:
    from stream.app import engine

    florence, siglip = await asyncio.to_thread(engine.load, settings.models)
    if settings.models.provider == "cuda" and florence.provider != "CUDAExecutionProvider":
        raise errors.Misconfigured(f"models.provider is cuda, but they run on {florence.provider}, many times slower")
    demo = "; DEMO MODELS: they understand the drawn scenes only" if florence.manifest.demo else ""
    return f"{florence.manifest.name} and {siglip.manifest.name}, {florence.precision} on {florence.provider}{demo}"


async def _rules(settings: Settings) -> str:
    from stream.app import parts

    return f"{len(parts.rules(settings).rules)} rules"


async def _camera(settings: Settings, number: int) -> Finding:
    """Opens the camera and waits for one picture."""
    from stream.capture import first_picture

    camera = settings.cameras[number]
    name = f"camera {camera.name}"
    try:
        async with asyncio.timeout(TIMEOUT_S):
            width, height = await asyncio.to_thread(first_picture, camera.url.get_secret_value())
    except errors.SeestreamError as error:
        return Finding(name, "", str(error))
    except TimeoutError:
        return Finding(name, "", f"no picture within {TIMEOUT_S:.0f} s")
    return Finding(name, f"{width} x {height}, {camera.fps:g} frames/s wanted")


def _print(findings: list[Finding], forecast: Forecast | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold")  # paths are long words, and their ends tell
    for finding in findings:
        mark = Text("FAIL", style="bold red") if finding.fault else Text("ok", style="green")
        table.add_row(mark, Text(finding.name), Text(finding.fault or finding.detail))
    console = Console()
    console.print(table)
    for line in forecast.lines() if forecast else ():
        console.print(Text(line))
