"""Cost of a picture before and after the gate, and of a camera's picture: one JSON line, one thread.

    make bench ARGS="decode"

The pictures are camera-like: structure, texture and sensor noise, JPEG quality 85. Figures are medians; trust the ratios.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np

from stream.capture.footage import Encoder
from stream.decode import MediaDecoder, luma_of_jpeg
from stream.decode.images import read_picture
from stream.types import FileEvent, Pixels

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "2160p": (3840, 2160)}


def picture(width: int, height: int, shift: int = 0) -> Pixels:
    """(H, W, 3) uint8 RGB."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(20, 235, (9, 16, 3), dtype=np.uint8)
    fine = rng.integers(0, 60, (height // 8, width // 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    image += cv2.resize(fine, (width, height), interpolation=cv2.INTER_NEAREST)
    image += rng.normal(0, 3, image.shape).astype(np.int16)
    return np.roll(np.clip(image, 0, 255).astype(np.uint8), shift, axis=1)


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """After two rounds that do not count."""
    times = []
    for number in range(rounds + 2):
        started = time.perf_counter()
        work()
        if number >= 2:
            times.append((time.perf_counter() - started) * 1000)
    return round(median(times), 3)


def stills(rounds: int) -> dict[str, Any]:
    """Luma for the gate against the pixels for the models, by size."""
    found: dict[str, Any] = {}
    for name, (width, height) in SIZES.items():
        image = picture(width, height)
        data = Encoder(85).rgb(image)
        pixels = read_picture(data).pixels
        luma_ms, full_ms = median_ms(lambda data=data: luma_of_jpeg(data), rounds), median_ms(pixels, rounds)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        encode_ms = median_ms(lambda frame=frame: Encoder(85).film_frame(frame), rounds)
        found[name] = {
            "jpeg_kb": round(len(data) / 1000),
            "luma": list(luma_of_jpeg(data)[0].shape),
            "luma_ms": luma_ms,
            "full_ms": full_ms,
            "luma_share": round(luma_ms / full_ms, 2),
            "camera_encode_ms": encode_ms,
        }
    return found


def film(seconds: int) -> dict[str, Any]:
    """A 1080p H.264 film of 25 frames/s with B-frames: how much faster than it plays, a frame every 2 s or all of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=25, options={"preset": "veryfast", "g": "50", "bf": "2"})
            stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
            for number in range(25 * seconds):
                frame = av.VideoFrame.from_ndarray(picture(1920, 1080, 8 * number), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        found = {}
        for name, every_s in (("every_2_s", 2.0), ("every_frame", 0.0)):
            started = time.perf_counter()
            frames = sum(1 for _ in MediaDecoder([folder], every_s=every_s).decode(FileEvent("e", "s", str(path))))
            wall_s = time.perf_counter() - started
            found[name] = {"frames": frames, "times_real_time": round(seconds / wall_s, 1)}
        return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench decode", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--film-s", type=int, default=4)
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    print(json.dumps({"bench": "decode", "stills": stills(args.rounds), "film_1080p": film(args.film_s)}))
    return 0
