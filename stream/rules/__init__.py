"""Rules: observations in capture order become alerts.

Enters: `types.Observation`, in capture order per source (`Sequencer` restores that order after micro-batches finished
out of it). Leaves: `types.Alert`, with an id made of rule, source and capture time, so that a redelivery alerts nobody
twice. No clock, and no I/O but the rules file and the saved state. May import types, errors, metrics and wire.
"""

from stream.rules.rule import Rule
from stream.rules.rules import Rules
from stream.rules.saved import SavedRules
from stream.rules.sequencer import Sequencer

__all__ = ["Rule", "Rules", "SavedRules", "Sequencer"]
