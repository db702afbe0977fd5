"""Liveness, readiness and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from stream.errors import SeestreamError
from stream.metrics import REGISTRY

log = logging.getLogger(__name__)

Check = Callable[[], str | Awaitable[str | None] | None]
"""None while all is well, else what is wrong in a few words, without secrets."""


async def run_checks(checks: Mapping[str, Check], timeout_s: float) -> dict[str, str]:
    """All at once, each under the timeout; name -> "ok" or what is wrong."""
    answers = await asyncio.gather(*(_answer(name, check, timeout_s) for name, check in checks.items()))
    return dict(zip(checks, answers, strict=True))


async def _answer(name: str, check: Check, timeout_s: float) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            answer = check()
            return (await answer if isawaitable(answer) else answer) or "ok"
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except SeestreamError as error:
        return str(error)
    except Exception as error:  # a broken check is a failed check
        # A foreign message may hold an address with a password: it goes to the log, whose readers are the operators.
        log.warning("the check %r failed", name, exc_info=error)
        return f"failed with {type(error).__name__}; the log says more"


class Health:
    """`/healthz` (restart me if it fails), `/readyz` (send me no work if it fails), `/metrics`."""

    def __init__(self, liveness: Mapping[str, Check], readiness: Mapping[str, Check], timeout_s: float = 3.0) -> None:
        self._liveness = liveness
        self._readiness = readiness
        self._timeout_s = timeout_s

    async def healthz(self, request: Request) -> Response:
        """200 or 503, `{status, checks: {name: "ok" or what is wrong}}`."""
        return await self._report(self._liveness)

    async def readyz(self, request: Request) -> Response:
        """200 or 503, as `healthz`; a process that is not alive is not ready either."""
        return await self._report({**self._liveness, **self._readiness})

    async def metrics(self, request: Request) -> Response:
        """Prometheus text format."""
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    async def _report(self, checks: Mapping[str, Check]) -> Response:
        answers = await run_checks(checks, self._timeout_s)
        fine = all(answer == "ok" for answer in answers.values())
        body = orjson.dumps({"status": "ok" if fine else "failing", "checks": answers})
        return Response(
            body, 200 if fine else 503, media_type="application/json", headers={"Cache-Control": "no-store"}
        )
