"""What never changes between runs, kept outside of the tree: the H.264 of each clip, and what the peers scored on it.

A folder for each version of the lab: whoever changes a clip, a peer or the score begins anew. The gate is never kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import asdict
from pathlib import Path

import av
import cv2
import numpy as np

from bench.lab.score import Score

_SOURCES = ("actors.py", "clips.py", "judge.py", "peers.py", "scenery.py", "score.py", "weather.py")
_LENGTH = struct.Struct("<I")


def folder() -> Path:
    """`seestream/lab` in the XDG cache, and there one named after the lab's sources and the libraries that it draws with."""
    digest = hashlib.sha256(f"{av.__version__} {cv2.__version__} {np.__version__}".encode())
    for name in _SOURCES:
        digest.update((Path(__file__).parent / name).read_bytes())
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return caches / "seestream" / "lab" / digest.hexdigest()[:12]


class Kept:
    """One folder of clips and scores; safe to use from several processes (files appear whole)."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def packets(self, name: str, seed: int) -> list[bytes] | None:
        """The clip's H.264 packets, one a frame; None: not there."""
        data = self._read(f"{name}-{seed}.h264")
        if data is None:
            return None
        found, at = [], 0
        while at < len(data):
            (size,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size + size
            found.append(data[at - size : at])
        return found

    def keep_packets(self, name: str, seed: int, packets: list[bytes]) -> None:
        """Write them down."""
        self._write(f"{name}-{seed}.h264", b"".join(_LENGTH.pack(len(packet)) + packet for packet in packets))

    def scores(self, name: str, seed: int, detectors: list[str]) -> dict[str, Score]:
        """What is known of these detectors on this clip."""
        found = {}
        for detector in detectors:
            data = self._read(f"{name}-{seed}.{detector}.json")
            if data is not None:
                found[detector] = Score(**json.loads(data))
        return found

    def keep_score(self, name: str, seed: int, detector: str, score: Score) -> None:
        """Write it down."""
        self._write(f"{name}-{seed}.{detector}.json", json.dumps(asdict(score)).encode())

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        part = self._root / f"{name}.{os.getpid()}.part"
        part.write_bytes(data)
        part.replace(self._root / name)
