"""The gate against its peers on labelled clips: `python -m bench.gate_lab`.

Every clip is drawn from a seed, judged as it is and again after H.264 at a camera's bit rate, by all detectors in one
run. Seeds from 100 on were never looked at while the gate was designed. Prints Markdown tables, or JSON lines.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.lab.clips import BUSY, CLASSES, HELD_OUT
from bench.lab.cost import SCENES, cost, memory
from bench.lab.judge import judge
from bench.lab.peers import DETECTORS
from bench.lab.score import Score


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the lab; 0 when it ran, whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m bench.gate_lab", description=__doc__)
    parser.add_argument("--clips", type=int, default=5, metavar="N", help="clips a class, each raw and compressed")
    parser.add_argument("--seeds", type=int, nargs="*", help=f"these seeds instead of {HELD_OUT} and the ones after it")
    parser.add_argument("--classes", nargs="*", choices=list(CLASSES), metavar="CLASS", help="only these classes")
    parser.add_argument("--detectors", nargs="*", choices=list(DETECTORS), metavar="NAME", default=list(DETECTORS))
    parser.add_argument("--jobs", type=int, default=1, help="processes; CPU times are measured in one, afterwards")
    parser.add_argument(
        "--cost", nargs="*", choices=list(SCENES), metavar="SCENE", help="also CPU time, on these scenes"
    )
    parser.add_argument("--real", type=Path, nargs="*", default=[], metavar="FILE", help="films without labels")
    parser.add_argument("--json", action="store_true", help="JSON lines")
    args = parser.parse_args(argv)
    seeds = args.seeds or list(range(HELD_OUT, HELD_OUT + args.clips))
    names = args.classes or ([] if args.real and not args.seeds else list(CLASSES))
    tasks = [(name, seed, tuple(args.detectors)) for name in names for seed in seeds]
    totals: dict[tuple[str, str], Score] = {}
    with ProcessPoolExecutor(args.jobs) as pool:
        for (name, _, _), scores in zip(tasks, pool.map(judge, tasks), strict=True):
            for detector, found in scores.items():
                totals.setdefault((detector, name), Score()).__iadd__(found)
    if totals:
        (_print_json if args.json else _print_tables)(totals)
    if args.cost is not None:
        _print_cost(cost(args.cost or ["idle", "person", "crowd"]), args.json)
        print(json.dumps({"megabytes a source": memory()}))
    for path in args.real:
        _print_real(path, args.json)
    return 0


def _sums(totals: dict[tuple[str, str], Score], detector: str) -> dict[str, float]:
    """The figures over all classes of one detector."""
    whole = Score()
    per_class = []
    for (name, kind), found in totals.items():
        if name == detector:
            whole += found
            if kind in BUSY:
                per_class.append((found.coverage, found.precision))
    return {
        "covered": whole.coverage,
        "precision": whole.precision,
        "class_mean_covered": sum(c for c, _ in per_class) / max(1, len(per_class)),
        "class_mean_precision": sum(p for _, p in per_class if not math.isnan(p)) / max(1, len(per_class)),
        "false_box_frames": whole.false_frames / max(1, whole.frames),
        "false_admissions_a_minute": whole.false_admissions / max(1, whole.frames) * 600,
        "admitted": whole.admitted / max(1, whole.frames),
        "delay_frames": sum(whole.delays) / max(1, len(whole.delays)),
        "warm_up_frames": max(whole.warm_up, default=-1),
    }


def _print_json(totals: dict[tuple[str, str], Score]) -> None:
    for (detector, name), found in totals.items():
        line = {
            "detector": detector,
            "class": name,
            "objects": found.objects,
            "covered": _round(found.coverage),
            "precision": _round(found.precision),
            "frames": found.frames,
            "false_box_frames": found.false_frames,
            "false_admissions": found.false_admissions,
            "admitted": found.admitted,
            "missed": found.missed,
            "longest_delay": max(found.delays, default=0),
            "warm_up": found.warm_up,
        }
        print(json.dumps(line))
    for detector in dict.fromkeys(name for name, _ in totals):
        print(
            json.dumps(
                {"detector": detector, "class": "all", **{k: _round(v) for k, v in _sums(totals, detector).items()}}
            )
        )


def _print_tables(totals: dict[tuple[str, str], Score]) -> None:
    detectors = list(dict.fromkeys(name for name, _ in totals))
    print("| class | " + " | ".join(f"{d}: covered / precision / false boxes" for d in detectors) + " |")
    print("|---" * (len(detectors) + 1) + "|")
    for kind in dict.fromkeys(kind for _, kind in totals):
        cells = []
        for detector in detectors:
            found = totals[detector, kind]
            frames = found.false_frames / max(1, found.frames)
            if kind in BUSY:
                cells.append(f"{found.coverage:.3f} / {found.precision:.2f} / {frames:.1%}")
            else:
                cells.append(f"{found.false_admissions} false admissions / {frames:.1%}")
        print(f"| {kind} | " + " | ".join(cells) + " |")
    print("\n| over all | " + " | ".join(detectors) + " |\n" + "|---" * (len(detectors) + 1) + "|")
    sums = {detector: _sums(totals, detector) for detector in detectors}
    for figure in next(iter(sums.values())):
        print(f"| {figure.replace('_', ' ')} | " + " | ".join(f"{sums[d][figure]:.3f}" for d in detectors) + " |")


def _print_cost(rows: list[dict[str, object]], as_json: bool) -> None:
    if not as_json:
        print("\n| size | from | scene | CPU ms a frame | gate / running mean |\n|---|---|---|---|---|")
    for row in rows:
        ms = ", ".join(f"{name} {value}" for name, value in row["ms"].items())  # type: ignore[attr-defined]
        plain = f"| {row['size']} | {row['from']} | {row['scene']} | {ms} | {row['ratio']} |"
        print(json.dumps(row) if as_json else plain)


def _print_real(path: Path, as_json: bool) -> None:
    """Films without labels: how much is admitted and boxed, and the CPU time."""
    from bench.lab.real import watch

    for row in watch(path):
        print(json.dumps(row) if as_json else "  ".join(f"{key} {value}" for key, value in row.items()))


def _round(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


if __name__ == "__main__":
    sys.exit(main())
