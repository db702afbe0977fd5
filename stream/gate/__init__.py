"""Decides which frames of a source are worth a look, and why.

Enters: `Frame`s of one stream, in order (only their `luma` is read). Leaves: an `Admission` for each. Beside the gate:
`CutDetector` (scene changes in films), `Novelty` (describe only what is new) and `Sampler` (how much of what moves can
be looked at under the present load). May import `stream.types`, `stream.errors`, numpy and OpenCV.
"""

from stream.gate.answer import Motion
from stream.gate.cuts import CutDetector
from stream.gate.motion import MotionGate
from stream.gate.novelty import Novelty
from stream.gate.sampler import Load, Sampler
from stream.gate.settings import GateSettings

__all__ = ["CutDetector", "GateSettings", "Load", "Motion", "MotionGate", "Novelty", "Sampler"]
