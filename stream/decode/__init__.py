"""Decoding: an event becomes frames.

In: `FrameEvent` (a picture in the record or by reference) and `FileEvent` (a picture or film below the allowed roots).
Out: `Frame`s with a small luma picture for the gate; the pixels are decoded when someone asks. Blocking: runs on the
decoding pool, in order per stream. What the bytes are is decided by `sniff`'s table, never by a name or media type.

May import: types, errors, metrics, wire; this room and `capture` are the homes of PyAV.
"""

from __future__ import annotations

from stream.decode.decoder import MediaDecoder, video_duration_s
from stream.decode.film import CutDetector
from stream.decode.images import luma_of_jpeg

__all__ = ["CutDetector", "MediaDecoder", "luma_of_jpeg", "video_duration_s"]
