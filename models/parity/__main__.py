"""`python -m models.parity`: transformers against the runtime, live. Exits with 1 on a difference."""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from pathlib import Path

import torch

from models.export.folder import write_florence2
from models.goldens import florence2 as goldens
from models.goldens.pictures import picture
from models.parity import base, committed, florence2, towers
from models.parity.report import Report

GOLDENS = Path(__file__).parents[2] / "tests" / "infer" / "goldens"
BASE_SEED, BASE_TOKENS = 1, 10


def tiny(report: Report) -> None:
    """The tiny model exported now, with every task on every picture, in fp32, int8 and fp16."""
    ref = goldens.reference()
    pixels = list(goldens.pictures())
    tasks = list(ref.processor.tasks_answer_post_processing_type)
    asks = [(index % 3, task, goldens.INPUTS.get(task, "")) for index, task in enumerate(tasks)]
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(spare) / "tiny"
        write_florence2(
            ref.model,
            ref.processor,
            folder,
            source="random weights",
            licence="none",
            precisions=("fp32", "fp16", "int8"),
        )
        said = florence2.ask(ref.model, ref.processor, pixels, asks, 20)
        florence2.compare(folder, pixels, asks, said, 20, report, "tiny")
        for precision, least in (("fp16", 0.9999), ("int8", 0.97)):
            for layout in ("published", "static"):
                cosine = florence2.likeness(folder, pixels, said, precision, layout)
                text = f"smallest cosine {cosine:.5f}, wanted {least}"
                report.check(f"tiny, {layout}, {precision}: image features", cosine >= least, text)


def whole(report: Report) -> None:
    """The base-size model at 768 px."""
    model, processor = base.reference(BASE_SEED)
    pixels = [picture(seed, 320, 180) for seed in (1, 2)]
    asks = [(0, "<OD>", ""), (1, "<CAPTION>", ""), (1, "<OPEN_VOCABULARY_DETECTION>", "a red car")]
    said = florence2.ask(model, processor, pixels, asks, BASE_TOKENS)
    report.check("base: the reference answers without ties", said.margin > 1e-3, f"smallest margin {said.margin:.4f}")
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(spare) / "base"
        write_florence2(
            model,
            processor,
            folder,
            source="random weights",
            licence="none",
            say=lambda line: print(f"          {line}"),
        )
        del model
        florence2.compare(folder, pixels, asks, said, BASE_TOKENS, report, "base")


PARTS = {
    "goldens": lambda report: committed.compare(GOLDENS, report),
    "tiny": tiny,
    "towers": towers.compare,
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
    for name in parts:
        PARTS[name](report)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
