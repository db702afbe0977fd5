"""The cycle collector while records are processed."""

from __future__ import annotations

import gc
import weakref

from stream.app.collector import rare_collections


class Node:
    def __init__(self) -> None:
        self.me = self


def test_what_is_loaded_is_left_out_and_everything_is_as_before_afterwards() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with rare_collections():
        assert gc.get_freeze_count() > frozen and gc.get_threshold()[0] > before[0]
        node = Node()
        gone = weakref.ref(node)
        del node
        gc.collect()
        assert gone() is None  # what comes later is still collected
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
