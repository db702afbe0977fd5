"""`python -m models.export SRC DEST`: a checkpoint of transformers becomes a model folder with ONNX files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.export", description=__doc__)
    parser.add_argument("source", metavar="SRC", help="folder or hub id, such as florence-community/Florence-2-base-ft")
    parser.add_argument("destination", metavar="DEST", type=Path, help="folder to write")
    parser.add_argument("--precision", action="append", choices=("fp32", "fp16", "int8"), help="repeatable (fp32)")
    parser.add_argument("--layout", action="append", choices=("published", "static"), help="repeatable (both)")
    parser.add_argument("--revision", help="branch, tag or commit of a hub id")
    parser.add_argument("--licence", default="that of the source", help="for the manifest")
    args = parser.parse_args(argv)
    try:
        from models.export.folder import LAYOUTS, write_florence2, write_towers
        from models.export.load import NotExportable, load
    except ImportError as error:
        print(f"export: {error.name} is missing: run `make export-env` (5 GB, once)", file=sys.stderr)
        return 1
    common = {
        "source": args.source if not args.revision else f"{args.source}@{args.revision}",
        "licence": args.licence,
        "precisions": args.precision or ("fp32",),
        "say": lambda line: print(line, flush=True),
    }
    try:
        checkpoint = load(args.source, args.revision)
    except (NotExportable, OSError) as error:
        print(f"export: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        return 1
    if checkpoint.kind == "florence2":
        layouts = args.layout or LAYOUTS
        write_florence2(checkpoint.model, checkpoint.processor, args.destination, layouts=layouts, **common)
    else:
        lower = checkpoint.lower_case
        parts = (checkpoint.model, checkpoint.tokenizer, checkpoint.images)
        write_towers(*parts, args.destination, lower_case=lower, **common)
    print(f"{args.destination} is complete; compare it with `seestream models check {args.destination} IMAGE`")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
