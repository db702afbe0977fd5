"""Fixtures for all tests: real services come from tests/services."""

from __future__ import annotations

pytest_plugins = ["tests.services.fixtures"]
