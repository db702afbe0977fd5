"""Topic records -> Delivery: an event and the duty to settle it.

Enters: records of one topic, as a member of a consumer group. Leaves: chunks of deliveries; commits that never pass the
watermark; ledger entries that say what became of every offset; dead letters. May import: `stream.types`, `errors`,
`metrics`, `wire`, itself; aiokafka has its home here (raw, below FastStream's subscriber).

At least once: what was not settled is delivered again, and ids make a second time harmless. Accepted is what the broker
acknowledged; an upload ends processed or dead, a live frame processed, gated, shed or dead, and the ledger says which.
"""

from stream.consume.audit import LATER, LIVE, UPLOADS, Account, audit
from stream.consume.backfill import Backfill
from stream.consume.caution import Caution
from stream.consume.consumer import Consumer
from stream.consume.dead import DeadLetterTopic
from stream.consume.ledger import Ledger
from stream.consume.limits import Limits
from stream.consume.scan import committed_offsets, scan

__all__ = [
    "LATER",
    "LIVE",
    "UPLOADS",
    "Account",
    "Backfill",
    "Caution",
    "Consumer",
    "DeadLetterTopic",
    "Ledger",
    "Limits",
    "audit",
    "committed_offsets",
    "scan",
]
