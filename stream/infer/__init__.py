"""Enters: admitted frames and what is asked of them. Leaves: findings: objects, captions, text, vectors.

Florence-2 and SigLIP on ONNX Runtime, micro-batched over all sources by one scheduler, without torch or transformers.
May import `stream.types`, `stream.errors`, `stream.metrics`; onnxruntime only in `session`. What is exported is loaded
at its first use, because the export environment wants `manifest` alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.infer.florence2 import Florence2
    from stream.infer.manifest import Manifest, bundled
    from stream.infer.scheduler import MicroBatcher
    from stream.infer.session import open_session
    from stream.infer.siglip import Siglip
    from stream.infer.tasks import TASKS, region

__all__ = ["TASKS", "Florence2", "Manifest", "MicroBatcher", "Siglip", "bundled", "open_session", "region"]

_HOMES = {
    "Florence2": "florence2",
    "Manifest": "manifest",
    "MicroBatcher": "scheduler",
    "Siglip": "siglip",
    "TASKS": "tasks",
    "bundled": "manifest",
    "open_session": "session",
    "region": "tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
