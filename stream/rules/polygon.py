"""Zones: polygons in relative coordinates, (0, 0) the picture's top left and (1, 1) its bottom right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stream.types import Box

Point = tuple[float, float]
Polygon = tuple[Point, ...]


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Whether the point lies inside, by the even-odd rule; a point on the border may go either way."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


def area(polygon: Sequence[Point]) -> float:
    """Area by the shoelace formula, without sign; 0 below three corners."""
    if len(polygon) < 3:
        return 0.0
    pairs = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


def share_inside(box: Box, polygon: Sequence[Point]) -> float:
    """The share (0 to 1) of the box's area that the polygon covers; both in the same coordinates.

    Sutherland and Hodgman (1974): the polygon is cut by the box's four sides. A concave polygon may leave edges that
    run along a side and back; they enclose nothing, so that the area is right all the same.
    """
    if box.area <= 0:
        return 0.0
    part: list[Point] = list(polygon)
    for axis, limit, keep_above in ((0, box.x1, True), (0, box.x2, False), (1, box.y1, True), (1, box.y2, False)):
        part = _cut(part, _side(axis, limit, keep_above))
    return min(1.0, area(part) / box.area)


def _side(axis: int, limit: float, keep_above: bool) -> Callable[[Point], float]:
    """Signed distance to a side; what is >= 0 is kept."""
    sign = 1.0 if keep_above else -1.0
    return lambda point: sign * (point[axis] - limit)


def _cut(polygon: list[Point], distance: Callable[[Point], float]) -> list[Point]:
    kept: list[Point] = []
    for start, end in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
        here, there = distance(start), distance(end)
        if here >= 0:
            kept.append(start)
        if here * there < 0:
            part = here / (here - there)
            kept.append((start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])))
    return kept
