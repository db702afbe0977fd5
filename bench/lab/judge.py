"""All detectors on one clip, as it is and after H.264."""

from __future__ import annotations

import cv2

from bench.lab.clips import decoded, encoded, render
from bench.lab.kept import Kept, folder
from bench.lab.peers import DETECTORS
from bench.lab.score import Score, Seen, score, warm_up

_SHAPE = (720, 1280)


def judge(task: tuple[str, int, tuple[str, ...]]) -> dict[str, Score]:
    """Scores of all detectors on one clip, raw and compressed; those of the peers may be known from an earlier run."""
    name, seed, detectors = task
    cv2.setNumThreads(1)
    kept = Kept(folder())
    peers = [detector for detector in detectors if detector != "gate"]
    totals = kept.scores(name, seed, peers)
    fresh = [detector for detector in detectors if detector not in totals]
    if fresh:
        found = _judge_afresh(name, seed, fresh, kept)
        for detector in fresh:
            totals[detector] = found[detector]
            if detector != "gate":
                kept.keep_score(name, seed, detector, found[detector])
    return {detector: totals[detector] for detector in detectors}


def _judge_afresh(name: str, seed: int, detectors: list[str], kept: Kept) -> dict[str, Score]:
    totals = {detector: Score() for detector in detectors}
    clip = list(render(name, seed))
    labels = [label for _, label in clip]
    packets = kept.packets(name, seed)
    if packets is None:
        packets = list(encoded(iter(clip)))
        kept.keep_packets(name, seed, packets)
    for pictures in ((luma for luma, _ in clip), decoded(packets)):
        running = {detector: DETECTORS[detector]() for detector in detectors}
        said: dict[str, list[Seen]] = {detector: [] for detector in detectors}
        for luma in pictures:
            for detector, look in running.items():
                said[detector].append(look(luma))
        for detector in detectors:
            found = score(labels, said[detector], _SHAPE)
            if name == "static":
                found.warm_up.append(warm_up(said[detector]))
            totals[detector] += found
    return totals
