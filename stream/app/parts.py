"""Makes the rooms' objects from the settings: one function a thing, nothing is started here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stream import errors

if TYPE_CHECKING:
    from faststream.kafka import KafkaBroker

    from stream.capture import Camera, Folder
    from stream.config import Settings
    from stream.decode import MediaDecoder
    from stream.rules import Rules, SavedRules
    from stream.sinks import Blobs, EventPublisher, Snapshots
    from stream.types import Publisher, Store

_DAY_S = 86_400.0
_GB = 1_000_000_000


def snapshots(settings: Settings) -> Snapshots:
    from stream.sinks import Snapshots

    age = settings.retention.snapshots
    return Snapshots(settings.data_dir / "snapshots", int(age.max_gb * _GB), age.max_age_days * _DAY_S)


def blobs(settings: Settings) -> Blobs:
    from stream.sinks import Blobs

    age = settings.retention.blobs
    root = settings.blobs or settings.data_dir / "blobs"
    return Blobs(root, max_age_s=age.max_age_days * _DAY_S, max_bytes=int(age.max_gb * _GB))


def store(settings: Settings) -> Store:
    """The store by its URL; an async context manager as well. Raises: Misconfigured for a scheme nobody knows."""
    url = settings.store.url
    if url.startswith("sqlite://"):
        from stream.sinks import SqliteStore

        path = url.removeprefix("sqlite://").removeprefix("/") and Path(url.removeprefix("sqlite://"))
        return SqliteStore(path or settings.data_dir / "store.db")
    if url.startswith(("http://", "https://")):
        from stream.sinks import WeaviateStore

        key = settings.store.api_key
        return WeaviateStore(
            url,
            grpc_port=settings.store.grpc_port,
            name=settings.store.collection,
            api_key=key.get_secret_value() if key else None,
            ttl_s=settings.retention.observations.max_age_days * _DAY_S,
        )
    scheme = url.split(":", 1)[0]
    raise errors.Misconfigured(f"store.url: unknown kind {scheme!r}; use sqlite:///PATH or Weaviate's http(s) URL")


def decoder(settings: Settings) -> MediaDecoder:
    """Opens files below the watched folders and `roots`, and blobs where payloads by reference lie."""
    from stream.decode import MediaDecoder
    from stream.gate import CutDetector

    folders = [str(folder.path) for folder in settings.folders]
    roots = [
        place if "://" in place else str(Path(place).expanduser().absolute()) for place in (*folders, *settings.roots)
    ]
    return MediaDecoder(
        roots,
        blobs=settings.blobs or settings.data_dir / "blobs",
        every_s=settings.sampling.every_s,
        cut_detector=CutDetector,
    )


def rules(settings: Settings) -> Rules:
    from stream.rules import Rules

    return Rules.load(settings.rules if isinstance(settings.rules, Path) else list(settings.rules))


def saved_rules(settings: Settings) -> SavedRules:
    """The rules, with the cool-downs that an earlier process left in the data folder."""
    from stream.rules import SavedRules

    return SavedRules(rules(settings), settings.data_dir / "rules.state")


def publisher(settings: Settings, broker: KafkaBroker) -> EventPublisher:
    """The embedded broker keeps 5 MiB a partition, so there every picture travels by reference."""
    from stream.sinks import EventPublisher
    from stream.sinks.topics import INLINE_BYTES

    kafka = settings.kafka
    inline = 0 if kafka.bootstrap == "embedded" else INLINE_BYTES
    return EventPublisher(broker, kafka.frames, kafka.files, blobs(settings), inline_bytes=inline)


def cameras(settings: Settings, events: Publisher) -> list[Camera]:
    from stream.capture import Camera

    return [
        Camera(
            camera.name, camera.url.get_secret_value(), events, fps=camera.fps, loop=camera.loop, quality=camera.quality
        )
        for camera in settings.cameras
    ]


def watched_folders(settings: Settings, events: Publisher) -> list[Folder]:
    from stream.capture import Folder
    from stream.decode import video_duration_s

    return [
        Folder(
            folder.path.expanduser(),
            folder.source,
            events,
            existing=folder.existing,
            poll=folder.poll,
            duration=video_duration_s,
            journal=settings.data_dir / f"folder-{number}.db",
        )
        for number, folder in enumerate(settings.folders)
    ]
