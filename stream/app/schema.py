"""`seestream schema`: the AsyncAPI document and the JSON Schemas, generated from the code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--write",
        type=Path,
        metavar="DOCS",
        help="write DOCS/schemas/*.json and the pages DOCS/settings.md and DOCS/metrics.md instead of printing",
    )


def run(args: argparse.Namespace) -> int:
    if args.write is None:
        print(json.dumps(documents(), indent=2, ensure_ascii=False))
        return 0
    for name, text in files().items():
        path = args.write / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def documents() -> dict[str, object]:
    """Name -> JSON document: `asyncapi` and one schema for each record on a topic."""
    from stream import wire
    from stream.app import topics

    return {"asyncapi": topics.asyncapi(), **wire.schemas()}


def files() -> dict[str, str]:
    """Path below `docs/` -> text of every generated file."""
    from stream.app import reference

    schemas = {
        f"schemas/{name}.json": json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for name, document in documents().items()
    }
    return {**schemas, "settings.md": reference.settings_page(), "metrics.md": reference.metrics_page()}
