"""Python's cycle collector, told what kind of process this is."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 10_000  # objects; Python's 700 are the events of a few records, all of which are still in flight


@contextmanager
def rare_collections() -> Iterator[None]:
    """Leave what is loaded by now (libraries, models) out of collections, and collect young objects less often.

    Records in flight are many objects that end by themselves: each collection among them costs time and finds nothing.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
