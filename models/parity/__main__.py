"""`python -m models.parity`: transformers against the runtime, live. Exits with 1 on a difference."""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from models.export.folder import write_florence2
from models.goldens import florence2 as goldens
from models.goldens.pictures import picture
from models.parity import base, commands, committed, florence2, towers
from models.parity.report import Report
from stream.infer.florence2 import Florence2

GOLDENS = Path(__file__).parents[2] / "tests" / "infer" / "goldens"
BASE_SEED, BASE_TOKENS = 1, 10


def tiny(report: Report, fresh: Path) -> None:
    """The tiny model as it is exported now, with every task, and its vision in fp16 and int8."""
    ref = goldens.reference()
    pixels = list(goldens.pictures())
    tasks = list(ref.processor.tasks_answer_post_processing_type)
    asks = [(index % 3, task, goldens.INPUTS.get(task, "")) for index, task in enumerate(tasks)]
    said = florence2.ask(ref.model, ref.processor, pixels, asks, 20)
    about = {"source": "random weights", "licence": "none"}
    folder = fresh / "florence2"
    if not folder.is_dir():
        write_florence2(ref.model, ref.processor, folder, **about)
    florence2.compare(folder, pixels, asks, said, 20, report, "tiny")
    folder = fresh / "less"
    write_florence2(ref.model, ref.processor, folder, **about, layouts=("static",), precisions=("fp16", "int8"))
    for precision, least in (("fp16", 0.9999), ("int8", 0.97)):
        cosine = florence2.likeness(folder / "onnx" / f"static_vision_{precision}.onnx", pixels, said)
        report.check(
            f"tiny, {precision}: image features", cosine >= least, f"smallest cosine {cosine:.5f}, wanted {least}"
        )
    small = Florence2.load(folder, provider="cpu", precision="int8")
    answers = small.look(pixels[0], ["<OD>", "<CAPTION>"])
    report.check("tiny, int8: answers", all(answer.tokens > 1 for answer in answers.values()))


def whole(report: Report, fresh: Path) -> None:
    """The base-size model at 768 px."""
    model, processor = base.reference(BASE_SEED)
    pixels = [picture(seed, 320, 180) for seed in (1, 2)]
    asks = [(0, "<OD>", ""), (1, "<CAPTION>", ""), (1, "<OPEN_VOCABULARY_DETECTION>", "a red car")]
    said = florence2.ask(model, processor, pixels, asks, BASE_TOKENS)
    report.check("base: the reference answers without ties", said.margin > 1e-3, f"smallest margin {said.margin:.4f}")
    folder = fresh / "base"
    write_florence2(model, processor, folder, source="random weights", licence="none", say=report.note)
    del model
    florence2.compare(folder, pixels, asks, said, BASE_TOKENS, report, "base")


PARTS: dict[str, Callable[[Report, Path], None]] = {
    "goldens": lambda report, fresh: committed.compare(GOLDENS, fresh, report),
    "tiny": tiny,
    "towers": towers.compare,
    "commands": commands.compare,
    "base": whole,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m models.parity", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parts = parser.parse_args().parts or list(PARTS)
    if not set(parts) <= set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(set(parts) - set(PARTS)))}")
    logging.disable(logging.WARNING)
    torch.set_num_threads(os.cpu_count() or 1)
    report = Report()
    with tempfile.TemporaryDirectory() as spare:
        for name in parts:
            PARTS[name](report, Path(spare))
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
