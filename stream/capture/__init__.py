"""Capture: cameras, folders and archives become events on the input topics, through a `Publisher` like anyone else's.

In: RTSP and HTTP streams, films, folders, paths, drawn scenes. Out: `FrameEvent`s (JPEG) and `FileEvent`s. Each source
is an object with `run()`, a coroutine that the app puts into its task group; what blocks runs on threads that it names.
No address is printed with its password.

May import: types, errors, metrics, wire; this room and `decode` are the homes of PyAV. The names are imported when they
are used: `capture.scenery` also serves model training, where neither PyAV nor watchfiles is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.capture.address import redact
    from stream.capture.camera import Camera
    from stream.capture.folder import Folder
    from stream.capture.probe import first_picture
    from stream.capture.submit import Submit, Tally
    from stream.capture.synthetic import SyntheticCamera

__all__ = ["Camera", "Folder", "Submit", "SyntheticCamera", "Tally", "first_picture", "redact"]

_HOMES = {
    "Camera": "camera",
    "Folder": "folder",
    "Submit": "submit",
    "SyntheticCamera": "synthetic",
    "Tally": "submit",
    "first_picture": "probe",
    "redact": "address",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
