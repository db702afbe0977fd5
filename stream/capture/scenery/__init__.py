"""Drawn scenes of a driveway camera, with the truth about them.

In: a seed or a random generator. Out: `Scene` records, their pictures (uint8 RGB), captions and boxes. The bundled
demo models are trained and measured on these scenes, and the synthetic demo camera films them. Imports numpy and OpenCV
only.
"""

from __future__ import annotations

from stream.capture.scenery.camera import CameraFrame, DrivewayCamera
from stream.capture.scenery.captions import caption, phrase
from stream.capture.scenery.objects import Plate, Scene, SceneObject
from stream.capture.scenery.palette import CLASS_COLORS, CLASSES, COLORS, PLACES, SIZE_PX
from stream.capture.scenery.render import render
from stream.capture.scenery.scene import MODES, STANDARD_MIX, make_scene

__all__ = [
    "CLASSES",
    "CLASS_COLORS",
    "COLORS",
    "MODES",
    "PLACES",
    "SIZE_PX",
    "STANDARD_MIX",
    "CameraFrame",
    "DrivewayCamera",
    "Plate",
    "Scene",
    "SceneObject",
    "caption",
    "make_scene",
    "phrase",
    "render",
]
