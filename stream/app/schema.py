"""`seestream schema`: the AsyncAPI document and the JSON Schemas, generated from the code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", type=Path, metavar="DIR", help="write one file for each instead of printing")


def run(args: argparse.Namespace) -> int:
    for name, document in documents().items():
        text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)
        if args.write:
            args.write.mkdir(parents=True, exist_ok=True)
            (args.write / f"{name}.json").write_text(text + "\n")
        else:
            print(text)
    return 0


def documents() -> dict[str, object]:
    """File stem -> JSON document: `asyncapi` and one schema for each record on a topic."""
    from stream import wire
    from stream.app import service

    return {"asyncapi": service.asyncapi(), **wire.schemas()}
