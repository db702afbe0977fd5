"""The topics as FastStream documents them: what `seestream schema` prints and `/asyncapi` shows.

Without `from __future__ import annotations`: FastStream reads the handlers' annotations as objects.
"""

from typing import Any

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from stream import __version__
from stream.wire import shapes

DESCRIPTION = (
    "Camera frames and file events in, observations and alerts out. CloudEvents 1.0, Kafka binding, binary mode. "
    "Records without CloudEvents headers are accepted on the input topics: see docs/architecture.md."
)


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document of all topics under their default names, made from the wire types."""
    broker = KafkaBroker("localhost:9092")
    _declare_inputs(broker)
    _declare_outputs(broker)
    document = AsyncAPI(broker, title="seestream", version=__version__, description=DESCRIPTION).to_specification()
    result: dict[str, Any] = document.to_jsonable()
    return result


def _declare_inputs(broker: KafkaBroker) -> None:
    @broker.subscriber(
        "frames", title="frames", description="Pictures of live sources: JPEG, PNG or WebP bytes, keyed by source."
    )
    async def frames(image: bytes) -> None: ...

    @broker.subscriber(
        "files", title="files", description="File events, keyed by source; S3 and MinIO notifications as they come."
    )
    async def files(event: shapes.FileEventJson) -> None: ...


def _declare_outputs(broker: KafkaBroker) -> None:
    out: dict[str, tuple[Any, str]] = {
        "detections": (shapes.ObservationJson, "Observations, keyed by source."),
        "alerts": (shapes.AlertJson, "Alerts, keyed by rule."),
        "ledger": (shapes.LedgerJson, "What became of each offset, keyed by topic-partition."),
        "dead-letters": (bytes, "Original bytes, key and headers, with Kafka Connect's error headers."),
    }
    for topic, (schema, text) in out.items():
        broker.publisher(topic, title=topic, schema=schema, description=text)
