"""Stand-ins for what tests must control: models whose answers are known in advance."""

from __future__ import annotations

import hashlib

import numpy as np

from stream.types import Box, Detection, Findings, Frame, Models, Vector, Work


class KnownModels:
    """Implements types.Scheduler: the answers are a function of the picture's bytes, so a second look says the same."""

    models = Models({"describe": "known@0", "embed": "known@0"}, demo=False, provider="CPUExecutionProvider")

    async def submit(self, frame: Frame, work: Work) -> Findings:
        digest = hashlib.sha256(frame.encoded or frame.luma.tobytes()).digest()
        values = np.frombuffer(digest, np.uint8).astype(np.float32) - 127.5
        values /= np.linalg.norm(values)
        box = Box(0, 0, frame.width / 2, frame.height / 2)
        return Findings(
            objects=(Detection("thing", digest[0] / 255, box),) if "<OD>" in work.tasks else (),
            caption=f"a thing {digest.hex()[:8]}" if "<CAPTION>" in work.tasks else None,
            vectors=(Vector("known@0", values),) if work.embed else (),
        )
