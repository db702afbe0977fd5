"""What parts from someone who walked amid leaves goes on with him; a crumb of him does not."""

from __future__ import annotations

from stream.gate.tracks import Tracks


def test_halves_of_who_walked_move_on_amid_leaves_and_crumbs_do_not() -> None:
    tracks = Tracks()
    for frame in range(20):
        (whole,) = tracks.update([(3 * frame, 50, 3 * frame + 12, 80)], frame, frame * 0.1)
    assert whole.moved and whole.walked
    upper, lower, crumb = (60, 50, 72, 64), (60, 65, 72, 80), (73, 60, 76, 63)
    parts = tracks.update([upper, lower, crumb], 20, 2.0, shaky=frozenset({upper, lower, crumb}))
    assert [part.moved for part in parts] == [True, True, False]
    assert parts[2].trembles and not parts[0].trembles and not parts[1].trembles


def test_parts_of_what_never_walked_tremble_amid_leaves() -> None:
    tracks = Tracks()
    for frame in range(20):
        tracks.update([(100, 50, 112, 80)], frame, frame * 0.1)
    upper, lower = (100, 50, 112, 64), (100, 65, 112, 80)
    assert all(part.trembles for part in tracks.update([upper, lower], 20, 2.0, shaky=frozenset({upper, lower})))
