"""The state file: written in time, taken up again, never in the way."""

import pytest

from stream.errors import Misconfigured, StoreUnavailable
from stream.rules import Rules, SavedRules

CARS = [{"name": "cars", "label": "car", "cool_down_s": 10}]


def test_a_new_process_keeps_the_cool_down(tmp_path, see, thing):
    path = tmp_path / "rules.state"
    (alert,) = SavedRules(Rules.load(CARS), path).apply(see(0, thing()))
    after = SavedRules(Rules.load(CARS), path)
    assert after.apply(see(5, thing())) == []
    assert after.apply(see(0, thing())) == [alert]
    assert len(after.apply(see(10, thing()))) == 1


def test_the_file_is_written_for_alerts_only_and_never_half(tmp_path, see, thing):
    path = tmp_path / "rules.state"
    rules = SavedRules(Rules.load(CARS), path)
    rules.apply(see(0, thing("dog")))
    assert list(tmp_path.iterdir()) == []
    rules.apply(see(1, thing()))
    rules.apply(see(2, thing()))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == rules.rules.state()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version":1,"alerts":'])
def test_a_damaged_file_is_reported_and_replaced(tmp_path, see, thing, caplog, damage):
    path = tmp_path / "rules.state"
    path.write_bytes(damage)
    rules = SavedRules(Rules.load(CARS), path)
    assert "damaged" in caplog.text
    assert rules.apply(see(0, thing()))
    assert path.read_bytes() == rules.rules.state()


def test_a_disk_that_refuses_is_a_transient_error_and_the_alert_is_not_lost(tmp_path, see, thing):
    folder = tmp_path / "later"
    rules = SavedRules(Rules.load(CARS), folder / "rules.state")
    with pytest.raises(StoreUnavailable, match="No such file"):
        rules.apply(see(0, thing()))
    folder.mkdir()
    assert len(rules.apply(see(0, thing()))) == 1
    assert (folder / "rules.state").exists()


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="Is a directory"):
        SavedRules(Rules.load(CARS), tmp_path)


def test_how_far_back_alerts_matter():
    assert Rules.load([*CARS, {"name": "b", "label": "b", "cool_down_s": 90}]).longest_cool_down_s == 90
    assert Rules.load([]).longest_cool_down_s == 0
