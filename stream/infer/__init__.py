"""Enters: admitted frames and what is asked of them. Leaves: findings: objects, captions, text, vectors.

Florence-2 and SigLIP on ONNX Runtime, micro-batched over all sources by one scheduler, without torch or transformers.
May import `stream.types`, `stream.errors`, `stream.metrics`; onnxruntime only in `session`.
"""

from stream.infer.florence2 import Florence2
from stream.infer.manifest import Manifest, bundled
from stream.infer.scheduler import MicroBatcher
from stream.infer.session import open_session
from stream.infer.siglip import Siglip
from stream.infer.tasks import TASKS, region

__all__ = ["TASKS", "Florence2", "Manifest", "MicroBatcher", "Siglip", "bundled", "open_session", "region"]
