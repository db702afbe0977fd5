"""A pytest plugin: fixtures `kafka` and `weaviate`, each one process for the whole session.

A test needs a service when it takes the fixture or carries the marker of the same name (for parametrized tests that ask
for the fixture at run time). Where a service cannot be had, its tests are left out and one line says so; where `CI` is
set, the run fails instead. Tests share the server: each makes topics and collections with names of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.services.cache import Unobtainable
from tests.services.fetch import lacking
from tests.services.kafka import Kafka
from tests.services.process import end_strays
from tests.services.weaviate import Weaviate

SERVICES = ("kafka", "weaviate")
_left_out = pytest.StashKey[dict[str, tuple[str, int]]]()


def pytest_configure(config: pytest.Config) -> None:
    for service in SERVICES:
        config.addinivalue_line("markers", f"{service}: needs the real {service} process")
    config.stash[_left_out] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for service in SERVICES:
        needing = [item for item in items if _needs(item, service)]
        why = lacking(service) if needing else None
        if why is None:
            continue
        if os.environ.get("CI"):
            raise pytest.UsageError(f"{len(needing)} tests need {service}, and CI must have it: {why}")
        items[:] = [item for item in items if item not in needing]
        config.hook.pytest_deselected(items=needing)
        config.stash[_left_out][service] = (why, len(needing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for service, (why, count) in config.stash[_left_out].items():
        terminalreporter.write_line(f"left out {count} tests on a real {service}: {why}", yellow=True)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """A running Kafka broker."""
    with _aloud(request):
        service = Kafka()
    with service:
        yield service


@pytest.fixture(scope="session")
def weaviate(request: pytest.FixtureRequest) -> Iterator[Weaviate]:
    """A running Weaviate."""
    with _aloud(request):
        service = Weaviate()
    with service:
        yield service


class _aloud:
    """Lets progress lines of a download through pytest's capturing, and turns its failure into one line."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        capture = request.config.pluginmanager.getplugin("capturemanager")
        self._open = capture.global_and_fixture_disabled() if capture else None

    def __enter__(self) -> None:
        end_strays()
        if self._open:
            self._open.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._open:
            self._open.__exit__(None, None, None)
        if isinstance(error, Unobtainable):
            pytest.fail(str(error), pytrace=False)


def _needs(item: pytest.Item, service: str) -> bool:
    return service in getattr(item, "fixturenames", ()) or item.get_closest_marker(service) is not None
