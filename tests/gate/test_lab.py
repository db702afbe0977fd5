"""The lab keeps what never changes between its runs, and nothing of the gate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.lab import judge, kept
from bench.lab.clips import decoded, encoded, render
from bench.lab.kept import Kept
from bench.lab.score import Score


def test_packets_and_scores_come_back_as_they_were(tmp_path: Path) -> None:
    lab = Kept(tmp_path / "lab")
    assert lab.packets("person", 1) is None and lab.scores("person", 1, ["MOG2"]) == {}
    found = Score(objects=3, covered=2, delays=[1, 4])
    lab.keep_packets("person", 1, [b"abc", b"", b"d"])
    lab.keep_score("person", 1, "MOG2", found)
    assert lab.packets("person", 1) == [b"abc", b"", b"d"]
    assert lab.scores("person", 1, ["MOG2", "difference"]) == {"MOG2": found}
    assert lab.packets("person", 2) is None


def test_a_clip_goes_through_h264_frame_by_frame() -> None:
    clip = [luma for luma, _ in render("static", 1, 3)]
    packets = list(encoded(render("static", 1, 3)))
    pictures = list(decoded(packets))
    assert len(packets) == len(pictures) == 3
    for before, after in zip(clip, pictures, strict=True):
        assert 0 < np.abs(before.astype(int) - after).mean() < 8


def test_peers_are_judged_once_and_the_gate_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[list[str]] = []

    def afresh(name: str, seed: int, detectors: list[str], lab: Kept) -> dict[str, Score]:
        judged.append(detectors)
        return {detector: Score(frames=len(detector)) for detector in detectors}

    monkeypatch.setattr(judge, "folder", lambda: tmp_path)
    monkeypatch.setattr(judge, "_judge_afresh", afresh)
    task = ("person", 1, ("gate", "MOG2"))
    assert judge.judge(task) == judge.judge(task) == {"gate": Score(frames=4), "MOG2": Score(frames=4)}
    assert judged == [["gate", "MOG2"], ["gate"]]


def test_another_lab_has_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    first = kept.folder()
    monkeypatch.setattr(kept, "_SOURCES", ("clips.py",))
    assert kept.folder() != first and kept.folder().parent == first.parent
