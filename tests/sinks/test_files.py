"""Snapshots, blobs and retention: files on a real disk, a clock that the tests set."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.errors import Forbidden, Misconfigured, NotFound, StoreUnavailable, Unavailable
from stream.sinks import Blobs, Removed, Retention, Snapshots, SqliteStore
from tests.sinks.made import START, frame, observation

JPEG = b"\xff\xd8\xff original bytes"


def written(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def test_original_bytes_are_kept_as_they_are(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    path = snapshots.save("abc-1", frame(JPEG, "image/jpeg"))
    assert path == "2026-11-01/12/abc-1.jpg"
    assert (tmp_path / path).read_bytes() == JPEG
    assert snapshots.save("abc-2", frame(b"p", "image/png")) == "2026-11-01/12/abc-2.png"
    assert snapshots.path(path).read_bytes() == JPEG


@pytest.mark.parametrize("given", [frame(), frame(b"II*\0 a tiff", "image/tiff")])
def test_what_a_browser_cannot_show_is_encoded(tmp_path: Path, given: object) -> None:
    one = frame() if not isinstance(given, type(frame())) else given
    path = Snapshots(tmp_path).save("abc", one)
    assert path.endswith(".jpg")
    pixels = cv2.imread(str(tmp_path / path))
    assert pixels is not None
    assert pixels.shape == (6, 8, 3)
    assert np.abs(pixels[:, :, ::-1].astype(int) - one.pixels().astype(int)).mean() < 12


def test_saving_again_changes_nothing(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    path = tmp_path / snapshots.save("abc", frame(JPEG, "image/jpeg"))
    written(path, START)
    before = path.stat()
    assert tmp_path / snapshots.save("abc", frame(JPEG + b"2", "image/jpeg")) == path
    assert (path.stat().st_mtime_ns, path.read_bytes()) == (before.st_mtime_ns, JPEG)
    assert [file.name for file in path.parent.iterdir()] == ["abc.jpg"]


def test_a_path_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    for outside in ("../secret", "/etc/passwd", "2026-11-01/../../secret"):
        with pytest.raises(Forbidden):
            snapshots.path(outside)
    for bad in ("../x", "a/b", "", ".hidden", "a b"):
        with pytest.raises(Forbidden):
            snapshots.save(bad, frame(JPEG, "image/jpeg"))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Misconfigured, match="cannot write below"):
        Snapshots(tmp_path / "file").save("abc", frame(JPEG, "image/jpeg"))


def test_snapshots_expire_by_when_they_were_written(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, max_age_s=3600)
    paths = [
        tmp_path / snapshots.save(f"id{n}", frame(JPEG, "image/jpeg", START + timedelta(minutes=n)))
        for n in range(0, 180, 10)
    ]
    archive = tmp_path / snapshots.save("old", frame(JPEG, "image/jpeg", START - timedelta(days=9000)))
    for n, path in enumerate(paths):
        written(path, START + timedelta(minutes=10 * n))
    now = START + timedelta(minutes=170)
    written(archive, now)
    assert snapshots.expire(now) == Removed(11, 11 * len(JPEG))
    assert [path for path in paths if path.exists()] == paths[11:]
    assert archive.exists()
    assert not (tmp_path / "2026-11-01" / "12").exists()
    assert snapshots.expire(now) == Removed()
    assert snapshots.expire(now + timedelta(days=1)).count == 8
    assert list(tmp_path.iterdir()) == []


def test_snapshots_are_held_below_their_size(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, max_bytes=5 * len(JPEG))
    for n in range(12):
        path = tmp_path / snapshots.save(f"id{n}", frame(JPEG, "image/jpeg", START + timedelta(minutes=20 * n)))
        written(path, START + timedelta(minutes=20 * n))
    assert snapshots.expire(START) == Removed(7, 7 * len(JPEG))
    assert sorted(path.stem for path in tmp_path.rglob("*.jpg")) == ["id10", "id11", "id7", "id8", "id9"]
    snapshots.save("id99", frame(JPEG, "image/jpeg", START + timedelta(days=1)))
    assert snapshots.expire(START).count == 1


@pytest.mark.parametrize("as_url", [False, True])
def test_a_blob_comes_back_by_its_uri(tmp_path: Path, as_url: bool) -> None:
    folder = tmp_path / "bl obs"
    blobs = Blobs(folder.as_uri().replace("%20", " ") if as_url else folder, clock=lambda: START)
    uri = blobs.put(JPEG, "image/jpeg")
    assert uri.startswith("file:///")
    assert uri.endswith(".jpg")
    assert blobs.get(uri) == JPEG
    assert blobs.put(JPEG, "image/jpeg") == uri
    assert len(list(folder.rglob("*.*"))) == 1


def test_a_blob_on_another_file_system(tmp_path: Path) -> None:
    now = START
    blobs = Blobs(f"memory://{tmp_path.name}/blobs", max_age_s=3600, clock=lambda: now)
    uri = blobs.put(JPEG)
    assert uri.startswith(f"memory://{tmp_path.name}/blobs/2026-11-01T12/")
    assert blobs.get(uri) == JPEG
    assert blobs.expire(START + timedelta(hours=1)) == Removed()
    assert blobs.expire(START + timedelta(hours=2)) == Removed(1, len(JPEG))
    with pytest.raises(NotFound, match="is gone"):
        blobs.get(uri)


def test_only_blobs_are_blobs(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    blobs = Blobs(tmp_path / "blobs")
    blobs.put(JPEG)
    for uri in ((tmp_path / "secret").as_uri(), f"file://{tmp_path}/blobs/../secret", "/etc/passwd"):
        with pytest.raises(Forbidden):
            blobs.get(uri)
    with pytest.raises(Misconfigured, match="cannot use"):
        Blobs("nosuchprotocol://x")


def test_blobs_expire_by_the_hour_and_by_size(tmp_path: Path) -> None:
    now = START.replace(minute=0)
    blobs = Blobs(tmp_path, max_age_s=7200, max_bytes=250, clock=lambda: now)
    (tmp_path / "not-ours").mkdir()
    uris = []
    for hour in range(5):
        now = START + timedelta(hours=hour)
        uris.append(blobs.put(bytes([hour]) * 100))
    assert blobs.expire(START) == Removed(3, 300)  # by size: two hours of 100 bytes fit into 250
    now = START + timedelta(hours=5)
    assert [blobs.get(uri)[0] for uri in uris[3:]] == [3, 4]
    assert blobs.expire(START + timedelta(hours=6)) == Removed(1, 100)
    assert (tmp_path / "not-ours").exists()
    assert Blobs(tmp_path / "nothing-yet").expire(START) == Removed()


async def test_one_pass_clears_every_class(tmp_path: Path) -> None:
    now = START + timedelta(days=10)
    snapshots = Snapshots(tmp_path / "snapshots", max_age_s=3600)
    blobs = Blobs(tmp_path / "blobs", max_age_s=3600, clock=lambda: START)
    written(tmp_path / "snapshots" / snapshots.save("abc", frame(JPEG, "image/jpeg")), START)
    blobs.put(JPEG)
    async with SqliteStore(tmp_path / "store.db", clock=lambda: START) as store:
        await store.write([observation(n) for n in range(3)], [])
        retention = Retention(
            {"snapshots": snapshots, "blobs": blobs}, store, observations_max_age_s=3600, clock=lambda: now
        )
        removed = await retention.once()
        assert {name: what.count for name, what in removed.items()} == {"snapshots": 1, "blobs": 1, "observations": 3}
        assert await store.recent() == []


class Refusing:
    """A class of things that cannot be cleared now."""

    def __init__(self) -> None:
        self.asked = 0

    def expire(self, now: datetime) -> Removed:
        self.asked += 1
        raise Unavailable("the disk is away")


class RefusingStore:
    async def expire(self, before: datetime) -> int:
        raise StoreUnavailable("the store is away")

    async def trim(self, max_bytes: int) -> int:
        raise StoreUnavailable("the store is away")


async def test_what_cannot_be_cleared_is_tried_again_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rounds: asyncio.Queue[None] = asyncio.Queue()
    refusing = Refusing()
    snapshots = Snapshots(tmp_path, max_bytes=0)

    async def sleep(seconds: float) -> None:
        assert seconds == 60
        snapshots.save("abc", frame(JPEG, "image/jpeg"))
        await rounds.put(None)
        await asyncio.Event().wait() if refusing.asked > 2 else None

    retention = Retention(
        {"blobs": refusing, "snapshots": snapshots},
        RefusingStore(),
        observations_max_age_s=5,
        every_s=60,
        sleep=sleep,
        clock=lambda: datetime.now(UTC),
    )
    async with retention:
        for _ in range(3):
            await asyncio.wait_for(rounds.get(), 10)
        removed = await retention.once()
    assert refusing.asked >= 3
    assert removed == {"snapshots": Removed(1, len(JPEG))}
    assert "the disk is away" in caplog.text
    assert "the store is away" in caplog.text
