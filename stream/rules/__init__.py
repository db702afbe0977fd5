"""Rules: observations in capture order become alerts.

Enters: `types.Observation`, in capture order per source (`Sequencer` restores that order after micro-batches finished
out of it). Leaves: `types.Alert`, with an id made of rule, source and capture time, so that a redelivery alerts nobody
twice. Pure: no clock, no I/O but reading the rules file. May import types, errors, metrics and wire.
"""

from stream.rules.rule import Rule
from stream.rules.rules import Rules
from stream.rules.sequencer import Sequencer

__all__ = ["Rule", "Rules", "Sequencer"]
