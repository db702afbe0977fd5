"""A store in memory, things seen, and the app over them."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from stream.types import (
    Admission,
    Alert,
    Box,
    Detection,
    Digest,
    Hit,
    Media,
    Observation,
    Provenance,
    Query,
    Reason,
    Vector,
)
from stream.web import Live, page

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
COLOURS = {"red": (200, 30, 30), "blue": (30, 60, 200), "green": (30, 140, 60)}


class MemoryStore:
    """The store protocol over a dictionary: cosine where there is a vector, else words of the caption."""

    def __init__(self) -> None:
        self.rows: dict[str, Observation] = {}
        self.queries: list[Query] = []
        self.broken: Exception | None = None

    async def write(self, observations: Sequence[Observation], alerts: Sequence[Alert]) -> None:
        self.rows |= {observation.id: observation for observation in observations}

    async def search(self, query: Query) -> list[Hit]:
        self._work()
        self.queries.append(query)
        rows = [row for row in self.rows.values() if query.source in (None, row.source)]
        rows = [row for row in rows if query.since is None or row.captured_at >= query.since]
        hits = [Hit(row, self._score(row, query)) for row in rows]
        return sorted((hit for hit in hits if hit.score > 0), key=lambda hit: -hit.score)[: query.limit]

    def _score(self, row: Observation, query: Query) -> float:
        if query.vector is not None:
            return max((float(vector.values @ query.vector) for vector in row.vectors), default=0.0)
        return float(sum(word in (row.caption or "") for word in (query.text or "").split())) if query.text else 1.0

    async def get(self, observation_id: str) -> Observation | None:
        self._work()
        return self.rows.get(observation_id)

    async def recent(self, source: str | None = None, limit: int = 20) -> list[Observation]:
        self._work()
        rows = [row for row in self.rows.values() if source in (None, row.source)]
        return sorted(rows, key=lambda row: row.captured_at, reverse=True)[:limit]

    async def purge(self, before: datetime) -> int:
        old = [row.id for row in self.rows.values() if row.captured_at < before]
        for each in old:
            del self.rows[each]
        return len(old)

    def _work(self) -> None:
        if self.broken is not None:
            raise self.broken


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


DIRECTIONS = {"red": unit(1, 0, 0), "blue": unit(0, 1, 0), "green": unit(0, 0, 1)}


def seen(number: int, colour: str = "red", **changes) -> Observation:
    """A car of that colour in a 640 x 480 picture, `number` minutes before noon."""
    values = {
        "id": f"00000000-0000-5000-8000-{number:012}",
        "source": "drive" if number % 2 else "yard",
        "kind": "frame",
        "captured_at": NOW - timedelta(minutes=number),
        "media": Media(640, 480),
        "gate": Admission(True, Reason.MOTION, 0.5, (Box(80, 200, 420, 420),)),
        "provenance": Provenance(
            "frames", 0, number, Digest("ab"), "cd", {"describe": "demo@1"}, False, "CPUExecutionProvider"
        ),
        "objects": (Detection("car", 0.93, Box(100, 220, 400, 400)), Detection("tree", 0.61, Box(470, 10, 630, 380))),
        "caption": f"A {colour} car is parked on the driveway.",
        "vectors": (Vector("demo", DIRECTIONS[colour]),),
        "snapshot": f"{colour}.jpg",
        **changes,
    }
    return Observation(**values)


def drawn(colour: str) -> bytes:
    """A JPEG of what `seen` describes."""
    picture = Image.new("RGB", (640, 480), (150, 190, 220))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 300, 640, 480), fill=(110, 110, 112))
    pen.ellipse((470, 10, 630, 200), fill=(40, 110, 50))
    pen.rectangle((540, 190, 560, 380), fill=(90, 60, 30))
    pen.rounded_rectangle((100, 290, 400, 370), 20, fill=COLOURS[colour])
    pen.polygon([(160, 290), (200, 225), (310, 225), (350, 290)], fill=COLOURS[colour])
    for x in (170, 330):
        pen.ellipse((x - 32, 336, x + 32, 400), fill=(20, 20, 20))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


async def embed_text(text: str) -> np.ndarray:
    """The direction of the colour that is named."""
    return next((vector for colour, vector in DIRECTIONS.items() if colour in text), unit(1, 1, 1))


@pytest.fixture
def see() -> Callable[..., Observation]:
    return seen


@pytest.fixture
def store() -> MemoryStore:
    """Twelve cars: 1, 4, 7 ... red, 2, 5, 8 ... blue, the others green."""
    store = MemoryStore()
    store.rows = {row.id: row for row in (seen(n, ("green", "red", "blue")[n % 3]) for n in range(1, 13))}
    return store


@pytest.fixture
def snapshots(tmp_path):
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for colour in COLOURS:
        (folder / f"{colour}.jpg").write_bytes(drawn(colour))
    (tmp_path / "secret.jpg").write_bytes(b"not yours")
    return folder


@pytest.fixture
def live() -> Live:
    return Live()


@pytest.fixture
def embed():
    return embed_text


@pytest.fixture
def app(store, snapshots, live):
    return page(store, embed_text, snapshots, live=live, model="demo", now=lambda: NOW)


@pytest.fixture
async def client(app):
    # Errors come back as responses, as a browser gets them.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://seestream") as client:
        yield client
