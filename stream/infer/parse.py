"""Generated tokens become answers: boxes, quads, polygons and text, in source pixels, each with a score.

The reading follows `Florence2PostProcessor` of transformers 4.57, but works on tokens instead of a string, and so
differs where the string loses something:
- coordinates stay floats; transformers truncates them to whole pixels;
- labels keep non-ASCII characters ("café"), a literal "<" and line breaks; transformers drops or cuts them;
- a marker or an incomplete group of coordinates never becomes part of a label;
- every answer has a score: how sure its words are (geometric mean of their tokens' probabilities), for a thing in a place
  times the overlap that is to be expected of the place (see `_overlap`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stream.infer.tasks import BANNED_PHRASES, Reading, Task
from stream.infer.tokens import BINS, Vocabulary
from stream.types import Box, Quad


class Token(NamedTuple):
    """A generated token and the log of its probability before any rule touched it."""

    id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that an answer names. Exactly one of `box`, `quad` and `polygons` is set, except for plain text."""

    label: str
    score: float
    box: Box | None = None
    quad: Quad | None = None
    polygons: tuple[tuple[float, ...], ...] | None = None  # each x1, y1, x2, y2 …


@dataclass(frozen=True, slots=True)
class Answer:
    """A task's answer. `found` is empty for plain text, `text` is empty for the others."""

    task: Task
    text: str = ""
    score: float = 0.0  # of the whole text; 0 when nothing was said
    found: tuple[Found, ...] = ()
    tokens: int = 0

    def plain(self) -> dict[str, Any]:
        """As JSON, with the field names of transformers' `post_process_generation`, plus scores."""
        boxes = [one for one in self.found if one.box is not None]
        polygons = [one for one in self.found if one.polygons is not None]
        match self.task.reading:
            case Reading.TEXT:
                return {"text": self.text, "score": self.score}
            case Reading.QUADS:
                return {"quad_boxes": [list(one.quad or ()) for one in self.found], **_names(self.found)}
            case Reading.POLYGONS:
                return {"polygons": _outlines(polygons), **_names(polygons)}
            case Reading.OPEN:
                return {
                    "bboxes": [list(one.box or ()) for one in boxes],
                    **_names(boxes, "bboxes_"),
                    "polygons": _outlines(polygons),
                    **_names(polygons, "polygons_"),
                }
        return {"bboxes": [list(one.box or ()) for one in boxes], **_names(boxes)}


def _names(found: Sequence[Found], prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}labels": [one.label for one in found], f"{prefix}scores": [one.score for one in found]}


def _outlines(found: Sequence[Found]) -> list[list[list[float]]]:
    return [[list(polygon) for polygon in one.polygons or ()] for one in found]


@dataclass(slots=True)
class _Group:
    """A run of text and the coordinates and markers after it."""

    label: list[Token] = field(default_factory=list)
    marks: list[Token] = field(default_factory=list)


class Parser:
    """Reads the answers of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, banned: Iterable[str] = BANNED_PHRASES) -> None:
        self._words, self._banned = vocabulary, frozenset(banned)

    def parse(self, task: Task, tokens: Sequence[Token], width: int, height: int) -> Answer:
        """`tokens` in order, with or without start, end and padding; `width` and `height` of the source in pixels."""
        said = [token for token in tokens if token.id not in self._words.silent]
        match task.reading:
            case Reading.TEXT:
                text = self._words.decode([token.id for token in said]).strip()
                return Answer(task, text, _score(said), tokens=len(tokens))
            case Reading.QUADS:
                found = self._quads(said, width, height)
            case Reading.POLYGONS:
                found = self._polygons(said, width, height, bare=True)
            case Reading.OPEN if any(token.id == self._words.poly for token in said):
                found = self._polygons(said, width, height, bare=False)
            case _:
                found = self._boxes(said, width, height, task.reading)
        return Answer(task, found=tuple(found), tokens=len(tokens))

    def _groups(self, tokens: Sequence[Token], markers: bool) -> Iterator[_Group]:
        """Runs of text with the coordinates (and polygon markers) that follow; other special tokens only separate."""
        kinds = {self._words.poly, self._words.poly_end, self._words.sep} if markers else set()
        group = _Group()
        for token in tokens:
            if self._words.bin(token.id) is not None or token.id in kinds:
                group.marks.append(token)
            elif token.id in self._words.special:
                yield group
                group = _Group()
            else:
                if group.marks:
                    yield group
                    group = _Group()
                group.label.append(token)
        yield group

    def _boxes(self, tokens: Sequence[Token], width: int, height: int, reading: Reading) -> Iterator[Found]:
        bare = reading is Reading.BARE_BOXES
        for group in self._groups(tokens, markers=False):
            if not (bare or group.label):
                continue
            label = "" if bare else self._label(group)
            if reading is Reading.PHRASES and label in self._banned:
                continue
            for at in range(0, len(group.marks) - 3, 4):
                own = group.marks[at : at + 4]
                x1, y1, x2, y2 = self._places(own, width, height)
                yield Found(label, self._sure(group, own, bare), box=Box(x1, y1, x2, y2))

    def _quads(self, tokens: Sequence[Token], width: int, height: int) -> Iterator[Found]:
        for group in self._groups(tokens, markers=False):
            own = group.marks[:8]
            if group.label and len(own) == 8:
                a, b, c, d, e, f, g, h = self._places(own, width, height)
                yield Found(self._label(group), self._sure(group, own), quad=(a, b, c, d, e, f, g, h))

    def _polygons(self, tokens: Sequence[Token], width: int, height: int, bare: bool) -> Iterator[Found]:
        """One thing for each `<poly>…</poly>`, or for a whole run without them; its polygons are parted by `<sep>`."""
        for group in self._groups(tokens, markers=True):
            if len(group.marks) < 4 or not (bare or group.label):
                continue
            label = "" if bare else self._label(group)
            for part in self._parts(group.marks):
                pairs = [run[: len(run) // 2 * 2] for run in self._runs(part)]
                outlines = [tuple(self._places(run, width, height)) for run in pairs if run]
                if outlines:
                    points = [token for run in pairs for token in run]
                    yield Found(label, self._sure(group, points, bare), polygons=tuple(outlines))

    def _parts(self, marks: Sequence[Token]) -> list[list[Token]]:
        ids = [token.id for token in marks]
        if self._words.poly not in ids or self._words.poly_end not in ids:
            return [list(marks)]
        parts, start = [], None
        for at, token in enumerate(ids):
            if token == self._words.poly and start is None:
                start = at + 1
            elif token == self._words.poly_end and start is not None:
                parts.append(list(marks[start:at]))
                start = None
        return parts

    def _runs(self, part: Sequence[Token]) -> Iterator[list[Token]]:
        """Runs of coordinates that end with `<sep>` or with the part; one that runs into another marker is dropped."""
        run: list[Token] = []
        for token in part:
            if self._words.bin(token.id) is not None:
                run.append(token)
                continue
            if run and token.id == self._words.sep:
                yield run
            run = []
        if run:
            yield run

    def _sure(self, group: _Group, points: Sequence[Token], bare: bool = False) -> float:
        """The score of a thing: of its label, where it has one, times that of its place."""
        return (1.0 if bare else _score(group.label)) * _overlap(points)

    def _label(self, group: _Group) -> str:
        return self._words.decode([token.id for token in group.label]).strip()

    def _places(self, tokens: Sequence[Token], width: int, height: int) -> list[float]:
        """x, y, x, y … in source pixels: the middle of each bin."""
        sizes = (width, height)
        return [(token.id - self._words.first_bin + 0.5) * sizes[at % 2] / BINS for at, token in enumerate(tokens)]


def _score(tokens: Sequence[Token]) -> float:
    """Geometric mean of the tokens' probabilities; 0 for none."""
    return math.exp(sum(token.logprob for token in tokens) / len(tokens)) if tokens else 0.0


def _overlap(points: Sequence[Token]) -> float:
    """The IoU that a place with these coordinates (x, y, x, y …) is to be expected to have with the true one, 0 to 1.

    A coordinate is one of a thousand bins, and a model spreads it over the neighbours of the right one: the likeliest bin
    of a bell of width s has the probability p = 1 / (s sqrt(2 pi)), and the mean error of the bell is s sqrt(2 / pi), which
    is 1 / (pi p). Two edges off by e leave size / (size + 2 e) of an extent; both extents are multiplied. So ten bins of
    doubt are nothing to a car that fills the picture, and much to a far one; a place that was never learnt is near 0.
    The probabilities themselves, as in `_score`, would call a perfect box of a model trained on soft bins bad.
    """
    overlap = 1.0
    for axis in (points[::2], points[1::2]):
        size = max(token.id for token in axis) - min(token.id for token in axis) + 1
        error = sum(math.expm1(min(-token.logprob, 50.0)) for token in axis) / len(axis) / math.pi
        overlap *= size / (size + 2 * error)
    return overlap
