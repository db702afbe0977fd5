"""Observations to try rules on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stream.types import Admission, Box, Detection, Digest, Media, Observation, Provenance, Reason

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def make(at_s: float = 0.0, *objects: Detection, source: str = "drive", **changes: Any) -> Observation:
    """An observation of a 1000 x 500 picture, `at_s` seconds after noon UTC."""
    values: dict[str, Any] = {
        "id": f"{source}-{at_s}",
        "source": source,
        "kind": "frame",
        "captured_at": NOON + timedelta(seconds=at_s),
        "media": Media(1000, 500),
        "gate": Admission(True, Reason.MOTION),
        "provenance": Provenance(
            "frames", 0, 1, Digest("ab"), "cd", {"describe": "demo@1"}, True, "CPUExecutionProvider"
        ),
        "objects": objects,
        **changes,
    }
    return Observation(**values)


@pytest.fixture(scope="session")
def see() -> Callable[..., Observation]:
    return make


@pytest.fixture(scope="session")
def thing() -> Callable[..., Detection]:
    def detection(label: str = "car", score: float = 0.9, box: tuple[float, ...] = (100, 100, 300, 200)) -> Detection:
        return Detection(label, score, Box(*box))

    return detection
