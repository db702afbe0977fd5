"""Fixtures for all tests: real services come from tests/services."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.services.fixtures"]


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """A command that a test calls sets levels for its process; what comes after must not find them."""
    loggers = [logging.getLogger(name) for name in ("stream", "aiokafka")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
