"""Gates outlive a rebalance and a process: what is given back goes on, what another took over is resumed from its file."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stream import config
from stream.app.gates import STALE_S, Gates, GateStates
from stream.types import Delivery, Frame, FrameEvent, Outcome, Reason, Record, Traffic

START = datetime(2026, 1, 1, tzinfo=UTC)


async def settle(outcome: Outcome, error: BaseException | None = None) -> None:
    raise AssertionError("nothing is settled here")


def delivery(source: str, partition: int = 0) -> Delivery:
    record = Record("frames", partition, 0, None, None, (), START)
    return Delivery(FrameEvent("id", source, START, b"x", None, record), settle, Traffic.LIVE)


def frame(number: int) -> Frame:
    noise = np.random.default_rng(number).normal(0, 2, (180, 320))
    luma = np.clip(np.linspace(60, 180, 320) + noise, 0, 255).astype(np.uint8)
    return Frame("e", "yard", number, START + timedelta(seconds=number / 5), 320, 180, luma, lambda: luma)


def watch(gates: Gates, source: str, first: int, count: int) -> list[Reason]:
    return [gates(source, delivery(source)).admit(frame(n)).reason for n in range(first, first + count)]


def gates_of(folder: Path, **changes: object) -> Gates:
    return Gates(config.load(data_dir=folder), GateStates(folder / "gates", **changes))  # type: ignore[arg-type]


def test_another_process_resumes_and_lets_through_three_frames_with_the_reason_warm_up(tmp_path: Path) -> None:
    before = gates_of(tmp_path)
    watch(before, "yard", 0, 40)
    before.save()
    reasons = watch(gates_of(tmp_path), "yard", 40, 8)
    assert reasons[:3] == [Reason.WARM_UP] * 3 and set(reasons[3:]) == {Reason.STILL}


@pytest.mark.parametrize("fault", ["none", "damaged", "cut", "stale"])
def test_without_a_usable_state_a_gate_starts_anew(tmp_path: Path, fault: str) -> None:
    before = gates_of(tmp_path)
    watch(before, "yard", 0, 40)
    before.save()
    (path,) = (tmp_path / "gates").iterdir()
    data = path.read_bytes()
    if fault == "none":
        path.unlink()
    elif fault == "stale":
        old = path.stat().st_mtime - STALE_S - 1
        os.utime(path, (old, old))
    else:
        path.write_bytes(data[: len(data) // 2] if fault == "cut" else data[:-50] + bytes(50))
    reasons = watch(gates_of(tmp_path), "yard", 40, 6)
    assert reasons[0] is Reason.FIRST and reasons[-1] is Reason.STILL


def test_what_is_given_back_goes_on_and_what_is_not_is_dropped(tmp_path: Path) -> None:
    gates = gates_of(tmp_path)
    kept, lost = gates("yard", delivery("yard", 3)), gates("street", delivery("street", 5))
    gates.keep(frozenset({3}))
    assert gates("yard", delivery("yard", 3)) is kept and len(gates) == 1
    assert gates("street", delivery("street", 5)) is not lost


def test_states_are_bounded_and_leave_nothing_half_written(tmp_path: Path) -> None:
    states = GateStates(tmp_path / "gates", most=3)
    states.save({f"camera-{n}": b"x" for n in range(8)})
    assert len(list((tmp_path / "gates").iterdir())) == 3


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_states(tmp_path: Path) -> None:
    (tmp_path / "gates").write_text("a file where the folder should be")
    gates = gates_of(tmp_path)
    watch(gates, "yard", 0, 4)
    gates.save()
    assert gates_of(tmp_path)("yard", delivery("yard")) is not None
