"""The committed goldens are what the script makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

from models.goldens.write import write
from models.parity.report import Report

TOLERANCE = 1e-5


def compare(committed: Path, fresh: Path, report: Report) -> None:
    """Makes the goldens again in the empty folder `fresh` and compares every file with the committed one."""
    write(fresh)
    made = sorted(path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file())
    kept = sorted(path.relative_to(committed) for path in committed.rglob("*") if path.is_file())
    report.same("goldens: the same files", [p for p in kept if p.name != "README.md"], made)
    for path in made:
        # A manifest holds the hashes of files that are compared themselves.
        if (committed / path).is_file() and path.name != "manifest.json":
            _file(committed / path, fresh / path, str(path), report)


def _file(kept: Path, made: Path, name: str, report: Report) -> None:
    if kept.read_bytes() == made.read_bytes():
        report.check(f"goldens: {name}", True, "identical")
    elif kept.suffix == ".npz":
        _arrays(kept, made, name, report)
    elif kept.suffix == ".json":
        worst, texts = _difference(json.loads(kept.read_text()), json.loads(made.read_text()))
        report.check(f"goldens: {name}", texts is None and worst <= TOLERANCE, texts or f"floats differ by {worst:.1e}")
    elif kept.suffix == ".onnx":
        _graph(kept, made, name, report)
    elif kept.suffix == ".png":
        with Image.open(kept) as ours, Image.open(made) as theirs:
            same = ours.mode == theirs.mode and np.array_equal(np.asarray(ours), np.asarray(theirs))
        report.check(f"goldens: {name}", same, "pixels")
    else:
        report.check(f"goldens: {name}", False, "differs")


def _arrays(kept: Path, made: Path, name: str, report: Report) -> None:
    with np.load(kept) as ours, np.load(made) as theirs:
        if not report.same(f"goldens: {name} arrays", sorted(ours), sorted(theirs)):
            return
        for key in ours:
            if np.issubdtype(ours[key].dtype, np.integer):
                report.check(f"goldens: {name} {key}", np.array_equal(ours[key], theirs[key]), "integers")
            else:
                report.close(f"goldens: {name} {key}", ours[key], theirs[key], _tolerance(ours[key]))


def _tolerance(values: Any) -> float:
    """1e-5 for values about 1; another machine's sums differ in proportion to what is summed."""
    return TOLERANCE * max(1.0, float(np.abs(values).max()))


def _difference(ours: Any, theirs: Any, place: str = "") -> tuple[float, str | None]:
    """The largest difference between floats, and where anything else differs."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs), None
    if type(ours) is not type(theirs):
        return 0.0, f"{place}: {ours!r:.60} and {theirs!r:.60}"
    if isinstance(ours, dict) and ours.keys() == theirs.keys():
        found = [_difference(ours[key], theirs[key], f"{place}/{key}") for key in ours]
    elif isinstance(ours, list) and len(ours) == len(theirs):
        found = [_difference(a, b, f"{place}/{i}") for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    else:
        return 0.0, None if ours == theirs else f"{place}: {ours!r:.60} and {theirs!r:.60}"
    worst = max((one for one, _ in found), default=0.0)
    return worst, next((text for _, text in found if text), None)


def _graph(kept: Path, made: Path, name: str, report: Report) -> None:
    """The same interface and number of nodes; the tests compare what it computes."""
    ours, theirs = onnx.load(kept).graph, onnx.load(made).graph
    same = all(
        [(v.name, str(v.type)) for v in getattr(ours, part)] == [(v.name, str(v.type)) for v in getattr(theirs, part)]
        for part in ("input", "output")
    )
    report.check(f"goldens: {name}", same and len(ours.node) == len(theirs.node), "interface and number of nodes")
