"""How each class of object is drawn into its box."""

from __future__ import annotations

from collections.abc import Callable

from stream.capture.scenery.canvas import BoxFrame, Canvas
from stream.capture.scenery.objects import SceneObject
from stream.capture.scenery.palette import shade

_TYRE = (20.0, 20.0, 22.0)
_DARK = (15.0, 15.0, 15.0)


def draw_object(canvas: Canvas, thing: SceneObject) -> None:
    """Draw the object's shadow and the object; parts outside the picture are cut off."""
    x1, _, x2, y2 = thing.box
    middle = (x1 + x2) / 2
    ground = shade(canvas.color_at((middle, y2 - 1)), 0.65)
    canvas.ellipse((middle, y2 - 1), ((x2 - x1) * 0.45, 2.5), ground)
    draw = _rear_car if thing.view == "rear" else _SPRITES[thing.label]
    draw(canvas, BoxFrame(thing.box, thing.flip), thing)


def _person(canvas: Canvas, frame: BoxFrame, thing: SceneObject) -> None:
    step = 0.12 * thing.phase
    for leg in (
        ((0.22, 0.55), (0.5, 0.55), (0.38 - step, 1.0), (0.12, 1.0)),
        ((0.5, 0.55), (0.78, 0.55), (0.88, 1.0), (0.62 + step, 1.0)),
    ):
        canvas.polygon(frame.all(*leg), thing.trousers)
    jacket = (
        (0.2, 0.22), (0.8, 0.22), (1.0, 0.55), (0.86, 0.58), (0.76, 0.36),
        (0.78, 0.6), (0.22, 0.6), (0.24, 0.36), (0.14, 0.58), (0.0, 0.55),
    )  # fmt: skip
    canvas.polygon(frame.all(*jacket), thing.rgb)
    canvas.ellipse(frame.at(0.5, 0.11), (frame.width * 0.2, frame.height * 0.11), thing.skin)
    canvas.polygon(frame.all((0.3, 0.1), (0.36, 0.02), (0.64, 0.02), (0.7, 0.1)), thing.hair)


def _car(canvas: Canvas, frame: BoxFrame, thing: SceneObject) -> None:
    body = ((0.0, 0.48), (0.17, 0.42), (0.3, 0.0), (0.74, 0.0), (0.88, 0.4), (1.0, 0.5), (1.0, 0.84), (0.0, 0.84))
    canvas.polygon(frame.all(*body), thing.rgb)
    canvas.polygon(frame.all((0.24, 0.41), (0.33, 0.09), (0.5, 0.09), (0.5, 0.41)), thing.glass)
    canvas.polygon(frame.all((0.54, 0.41), (0.54, 0.09), (0.71, 0.09), (0.81, 0.41)), thing.glass)
    canvas.path(frame.all((0.03, 0.63), (0.97, 0.63)), shade(thing.rgb, 0.7), 1)
    for u in (0.22, 0.78):
        canvas.ellipse(frame.at(u, 0.82), (frame.width * 0.1, frame.height * 0.18), _TYRE)
        canvas.ellipse(frame.at(u, 0.82), (frame.width * 0.05, frame.height * 0.09), (170, 170, 170))
    canvas.ellipse(frame.at(0.97, 0.58), (frame.width * 0.025, frame.height * 0.06), (255, 250, 190))


def _rear_car(canvas: Canvas, frame: BoxFrame, thing: SceneObject) -> None:
    canvas.polygon(frame.all((0.2, 0.0), (0.8, 0.0), (0.9, 0.36), (0.1, 0.36)), thing.rgb)
    canvas.polygon(frame.all((0.25, 0.05), (0.75, 0.05), (0.82, 0.33), (0.18, 0.33)), thing.glass)
    body = ((0.06, 0.36), (0.94, 0.36), (1.0, 0.48), (1.0, 0.86), (0.0, 0.86), (0.0, 0.48))
    canvas.polygon(frame.all(*body), thing.rgb)
    canvas.path(frame.all((0.02, 0.5), (0.98, 0.5)), shade(thing.rgb, 0.7), 1)
    for u in (0.02, 0.84):
        canvas.polygon(frame.rectangle(u, 0.4, u + 0.14, 0.48), (200, 40, 35))
    canvas.polygon(frame.rectangle(0.0, 0.8, 1.0, 0.89), shade(thing.rgb, 0.6))
    for u in (0.04, 0.8):
        canvas.polygon(frame.rectangle(u, 0.88, u + 0.16, 1.0), _TYRE)


def _dog(canvas: Canvas, frame: BoxFrame, thing: SceneObject) -> None:
    step = thing.phase
    for u in (0.2, 0.3, 0.6, 0.7):
        leg = ((u, 0.6), (u + 0.09, 0.6), (u + 0.09 + 0.03 * step, 1.0), (u + 0.01 * step, 1.0))
        canvas.polygon(frame.all(*leg), shade(thing.rgb, 0.85))
    canvas.ellipse(frame.at(0.46, 0.52), (frame.width * 0.32, frame.height * 0.2), thing.rgb)
    canvas.polygon(frame.all((0.16, 0.45), (0.03, 0.12), (0.0, 0.16), (0.12, 0.55)), thing.rgb)
    head = ((0.62, 0.55), (0.7, 0.15), (0.86, 0.12), (1.0, 0.28), (0.98, 0.4), (0.82, 0.42), (0.74, 0.62))
    canvas.polygon(frame.all(*head), thing.rgb)
    canvas.polygon(frame.all((0.68, 0.16), (0.64, 0.42), (0.74, 0.36)), shade(thing.rgb, 0.6))
    canvas.polygon(frame.all((0.74, 0.14), (0.78, 0.0), (0.84, 0.13)), shade(thing.rgb, 0.7))
    canvas.ellipse(frame.at(0.85, 0.22), (frame.width * 0.02 + 0.4, frame.height * 0.025 + 0.4), _DARK)
    canvas.ellipse(frame.at(0.97, 0.31), (frame.width * 0.025 + 0.4, frame.height * 0.03 + 0.4), _DARK)


def _cat(canvas: Canvas, frame: BoxFrame, thing: SceneObject) -> None:
    canvas.ellipse(frame.at(0.45, 0.72), (frame.width * 0.33, frame.height * 0.28), thing.rgb)
    canvas.ellipse(frame.at(0.72, 0.33), (frame.width * 0.22, frame.height * 0.22), thing.rgb)
    canvas.polygon(frame.all((0.5, 0.28), (0.53, 0.0), (0.68, 0.15)), thing.rgb)
    canvas.polygon(frame.all((0.76, 0.14), (0.94, 0.0), (0.95, 0.3)), thing.rgb)
    sway = 0.05 * thing.phase
    tail = ((0.16, 0.8), (0.06, 0.65), (0.1 + sway, 0.3), (0.02 + max(0.0, sway), 0.25), (0.0, 0.65), (0.08, 0.95),
            (0.3, 1.0))  # fmt: skip
    canvas.polygon(frame.all(*tail), thing.rgb)
    canvas.polygon(frame.rectangle(0.6, 0.7, 0.74, 1.0), shade(thing.rgb, 0.9))
    for u in (0.65, 0.81):
        canvas.ellipse(frame.at(u, 0.32), (frame.width * 0.03 + 0.3, frame.height * 0.03 + 0.3), (150, 220, 60))


def _bicycle(canvas: Canvas, frame: BoxFrame, thing: SceneObject) -> None:
    tube = max(1.2, frame.width * 0.045)
    for u in (0.245, 0.755):
        radii = (frame.width * 0.245 - tube / 2, frame.height * 0.38 - tube / 2)
        canvas.ellipse(frame.at(u, 0.62), radii, (25, 25, 25), max(1.0, tube * 0.8))
    rear, crank, saddle, head, front = frame.all((0.245, 0.62), (0.48, 0.64), (0.4, 0.2), (0.7, 0.2), (0.755, 0.62))
    for a, b in ((rear, crank), (rear, saddle), (saddle, crank), (crank, head), (saddle, head), (head, front)):
        canvas.path([a, b], thing.rgb, tube * 1.3)
    canvas.path([head, frame.at(0.67, 0.03)], thing.rgb, tube)
    canvas.path(frame.all((0.6, 0.03), (0.78, 0.05)), (30, 30, 30), tube)
    canvas.path(frame.all((0.32, 0.13), (0.48, 0.13)), (30, 30, 30), tube * 1.2)


def _package(canvas: Canvas, frame: BoxFrame, thing: SceneObject) -> None:
    canvas.polygon(frame.rectangle(0.0, 0.15, 0.82, 1.0), thing.rgb)
    canvas.polygon(frame.all((0.0, 0.15), (0.18, 0.0), (1.0, 0.0), (0.82, 0.15)), shade(thing.rgb, 1.15))
    canvas.polygon(frame.all((0.82, 0.15), (1.0, 0.0), (1.0, 0.85), (0.82, 1.0)), shade(thing.rgb, 0.75))
    tape = (200, 170, 110) if thing.color == "white" else (215, 195, 150)
    canvas.polygon(frame.rectangle(0.36, 0.15, 0.46, 1.0), tape)


_SPRITES: dict[str, Callable[[Canvas, BoxFrame, SceneObject], None]] = {
    "person": _person,
    "car": _car,
    "dog": _dog,
    "cat": _cat,
    "bicycle": _bicycle,
    "package": _package,
}
