"""JSON Schemas (draft 2020-12) of the JSON topics, made from the types in `shapes`."""

from __future__ import annotations

from typing import Any


def schemas() -> dict[str, dict[str, Any]]:
    """Schema by record name: Observation, Alert, FileEvent, Ledger. Each is complete in itself."""
    # pydantic costs 0.1 s to import and only this needs it here.
    from pydantic import TypeAdapter

    from stream.wire import shapes

    topics = {
        "Observation": shapes.ObservationJson,
        "Alert": shapes.AlertJson,
        "FileEvent": shapes.FileEventJson,
        "Ledger": shapes.LedgerJson,
    }
    made = {}
    for name, shape in topics.items():
        schema = TypeAdapter(shape).json_schema(mode="serialization")
        made[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": name}
    return made
