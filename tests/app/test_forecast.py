"""What `seestream check` says this machine carries: what it is measured on, and the sum."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.app.forecast import ADMITTED, LOOP_FPS, Forecast, film
from stream.decode import MediaDecoder
from stream.gate import MotionGate
from stream.types import Reason

COSTS = Forecast(cores=4, fps=5, decode_ms=1.6, gate_ms=0.4, pixels_ms=2, embed_ms=10, describe_ms=40, models_cpu_ms=78)


def test_the_gate_is_measured_on_quiet_frames_and_on_frames_that_move() -> None:
    decoder, gate = MediaDecoder([]), MotionGate()
    frames = [next(iter(decoder.decode(event))) for event in film()]
    assert {(frame.width, frame.height) for frame in frames} == {(1280, 720)}
    assert len({str(frame.digest()) for frame in frames}) == len(frames), "a sensor's noise makes each frame another"
    reasons = [gate.admit(frame).reason for frame in frames]
    assert reasons.count(Reason.MOTION) >= 10 and reasons.count(Reason.STILL) >= 10


def test_the_pictures_have_the_detail_of_a_camera() -> None:
    sizes = [len(event.image or b"") for event in film(3)]
    assert all(80_000 < size < 250_000 for size in sizes), "a smooth picture decodes faster than a camera's"
    picture = cv2.imdecode(np.frombuffer(next(film(1)).image or b"", np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.std() > 10


def test_a_machine_without_a_gpu_carries_what_its_cores_do() -> None:
    # 2 ms to watch and a twentieth of 80 ms to look make 6 ms of a core; the models would do 1000 / 5 / 2.5 = 80
    assert COSTS.cameras == pytest.approx(80)
    assert replace(COSTS, cores=2).cameras == pytest.approx(2 * 1000 / 5 / 6)
    assert replace(COSTS, cores=64).cameras == pytest.approx(80), "models answer one look after the other"


def test_a_gpu_leaves_the_cores_to_watching() -> None:
    on_gpu = replace(COSTS, embed_ms=1, describe_ms=4, models_cpu_ms=0)
    assert on_gpu.cameras == pytest.approx(4 * 1000 / 5 / (2 + ADMITTED * 2))


def test_the_lines_say_what_a_process_takes_only_where_one_is_too_few() -> None:
    assert "33 cameras" in replace(COSTS, cores=1).lines()[0] and len(replace(COSTS, cores=1).lines()) == 3
    many = replace(COSTS, cores=8, embed_ms=1, describe_ms=4, models_cpu_ms=0)
    assert many.cameras * many.fps > 4 * LOOP_FPS
    assert many.lines()[-1].endswith("run 10 of them")
