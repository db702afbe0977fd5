"""The stores' figures: observations written a second, one by one and in batches, and search over what was written.

    make bench ARGS="store"                       both stores, one JSON line each
    make bench ARGS="store --rows 20000 --only sqlite"
    make bench ARGS="store --cost"                what it costs that Weaviate keeps and finds each batch before it counts

Each observation has a caption and two 768-d vectors, of the frame and of one region. Weaviate is the real server, RQ as the
product sets it up.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from stream import wire
from stream.sinks import SqliteStore, WeaviateStore, weaviate_write
from stream.types import Admission, Box, Detection, Digest, Media, Observation, Provenance, Query, Reason, Store, Vector

DIMS = 768
MODEL = "bench@0"
WORDS = (
    "red",
    "blue",
    "white",
    "car",
    "truck",
    "person",
    "dog",
    "cat",
    "garage",
    "night",
    "rain",
    "tree",
    "gate",
    "parked",
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def observations(count: int) -> list[Observation]:
    """Clustered unit vectors and captions of eight words, the same in every run."""
    random = np.random.default_rng(1)
    centres = random.normal(size=(100, DIMS))
    made = []
    for number in range(count):
        values = centres[random.integers(0, 100, 2)] + random.normal(size=(2, DIMS))
        values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
        box = Box(10, 20, 200, 300)
        made.append(
            Observation(
                id=wire.observation_id("bench", str(number), 0, "bench"),
                source=f"camera-{number % 10}",
                kind="frame",
                captured_at=START + timedelta(seconds=number),
                media=Media(1280, 720),
                gate=Admission(True, Reason.MOTION, 0.5, (box,)),
                provenance=Provenance("frames", 0, number, Digest("0" * 64), "bench", {"embed": MODEL}, False, "cpu"),
                objects=(Detection(str(random.choice(WORDS[3:8])), 0.9, box),),
                caption=" ".join(random.choice(WORDS, 8)),
                vectors=(Vector(MODEL, values[0]), Vector(MODEL, values[1], box)),
            )
        )
    return made


async def measure(store: Store, rows: list[Observation], singles: int, batch: int) -> dict[str, Any]:
    """Rows a second, and the median milliseconds of a search."""
    await store.write(rows[:1], [])  # the schema is made before the clock runs
    start = time.perf_counter()
    for row in rows[1 : singles + 1]:
        await store.write([row], [])
    single = singles / (time.perf_counter() - start)
    rest = rows[singles + 1 :]
    start = time.perf_counter()
    for first in range(0, len(rest), batch):
        await store.write(rest[first : first + batch], [])
    batched = len(rest) / (time.perf_counter() - start)
    vector = Query(vector=rows[len(rows) // 2].vectors[1].values, model=MODEL)
    words = dataclasses.replace(vector, text="a red car at night")
    queries = {
        "text": Query(text=words.text),
        "vector": vector,
        "both": words,
        "both, one camera": dataclasses.replace(words, source="camera-3"),
    }
    return {
        "rows": len(rows),
        "single_per_s": round(single),
        f"batch_{batch}_per_s": round(batched),
        "batched_to_single": round(batched / single, 1),
        "search_ms": {name: round(await _ms(store, query), 1) for name, query in queries.items()},
    }


async def _ms(store: Store, query: Query, times: int = 15) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        hits = await store.search(query)
        taken.append(1e3 * (time.perf_counter() - start))
        if len(hits) != query.limit:
            raise RuntimeError(f"{len(hits)} hits instead of {query.limit}")
    return median(taken)


@asynccontextmanager
async def sqlite_store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteStore(Path(folder) / "store.db") as store:
            yield store


@asynccontextmanager
async def weaviate_store() -> AsyncIterator[Store]:
    from tests.services.weaviate import Weaviate

    server = Weaviate()
    await asyncio.to_thread(server.start)
    try:
        async with WeaviateStore(server.url, grpc_port=server.grpc_port, timeout_s=60) as store:
            yield store
    finally:
        await asyncio.to_thread(server.close)


STORES = {"sqlite": sqlite_store, "weaviate": weaviate_store}


async def cost(rows: list[Observation]) -> dict[str, dict[str, float]]:
    """Rates with what makes Weaviate keep a batch (steady), and find it too (wary), over those without; medians."""
    whole, last = weaviate_write._send, None

    async def first_only(data: Any, collection: str, objects: Any) -> None:
        nonlocal last
        if objects[-1] is not last:
            await whole(data, collection, objects)
        last = objects[-1]

    found: dict[str, dict[str, float]] = {}
    taken = iter(rows)
    try:
        async with weaviate_store() as store:
            await store.write([next(taken)], [])
            for size, count in ((1, 60), (8, 30), (64, 6)):
                ratios: dict[str, list[float]] = {"steady": [], "wary": []}
                for _ in range(4):
                    seconds = []
                    for weaviate_write._send, wary_s in ((first_only, 0.0), (whole, 0.0), (whole, 1e9)):
                        store._wary_s, store._wrote_at = wary_s, None  # type: ignore[attr-defined]
                        batches = [[next(taken) for _ in range(size)] for _ in range(count)]
                        start = time.perf_counter()
                        for batch in batches:
                            await store.write(batch, [])
                        seconds.append(time.perf_counter() - start)
                        store._wary_until = 0.0  # type: ignore[attr-defined]
                    for name, took_s in zip(ratios, seconds[1:], strict=True):
                        ratios[name].append(seconds[0] / took_s)
                found[f"batches of {size}"] = {name: round(median(values), 2) for name, values in ratios.items()}
    finally:
        weaviate_write._send = whole
    return found


async def run(given: argparse.Namespace) -> None:
    rows = observations(given.rows)
    if given.cost:
        print(json.dumps({"store": "weaviate", "rate_with_over_without": await cost(rows)}), flush=True)
        return
    for name in [given.only] if given.only else STORES:
        async with STORES[name]() as store:
            print(json.dumps({"store": name, **await measure(store, rows, given.singles, given.batch)}), flush=True)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench store", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--singles", type=int, default=300, help="how many of them are written one by one")
    parser.add_argument("--batch", type=int, default=128, help="observations in a batch; the outbox writes up to 128")
    parser.add_argument(
        "--cost", action="store_true", help="only what it costs that Weaviate keeps and finds each batch"
    )
    parser.add_argument("--only", choices=sorted(STORES))
    asyncio.run(run(parser.parse_args(argv)))
    return 0
