"""Settings: one file, environment on top, faults named one a line, secrets never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream import config
from stream.errors import Misconfigured


def write(folder: Path, text: str) -> Path:
    path = folder / "seestream.yaml"
    path.write_text(text)
    return path


def test_defaults_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = config.load()
    assert settings.kafka.bootstrap == "embedded" and settings.store.url == "sqlite://"
    assert settings.data_dir == tmp_path / "seestream"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "kafka: {bootstrap: 'a:1', group: mine}\nweb: {port: 1}\n")
    monkeypatch.setenv("SEESTREAM__KAFKA__BOOTSTRAP", "b:2")
    monkeypatch.setenv("SEESTREAM__DATA_DIR", str(tmp_path / "d"))
    settings = config.load(path)
    assert (settings.kafka.bootstrap, settings.kafka.group, settings.web.port) == ("b:2", "mine", 1)
    assert settings.data_dir == tmp_path / "d"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kafka: {bootstrp: x}", "unknown key 'kafka.bootstrp'; did you mean 'bootstrap'?"),
        ("cameras: [{name: a, url: rtsp://h, pfs: 3}]", "unknown key 'cameras.0.pfs'; did you mean 'fps'?"),
        ("retention: {snapshots: {max_age_day: 3}}", "did you mean 'max_age_days'?"),
        ("zzz: 1", "unknown key 'zzz'; known keys: blobs, cameras"),
        ("web: {port: many}", "web.port: "),
        ("cameras: 3", "cameras: must be a list"),
        ("kafka: 3", "kafka: must be a mapping"),
        ("cameras: [{url: x}]", "cameras.0.name: is missing"),
        ("cameras: [{name: '', url: x}]", "cameras.0.name: must not be empty"),
        ("cameras: [{name: a, url: x}, {name: a, url: y}]", "cameras: 2 are named 'a'"),
        ("cameras: [{name: a, url: x, zones: [[[0, 0], [1, 1]]]}]", "zones.0: a polygon has three corners"),
        ("cameras: [{name: a, url: x, masks: [[[0, 0], [1, 1], [640, 9]]]}]", "masks.0: a polygon has"),
        ("gate: {min_size: 0.9, max_size: 0.1}", "min_size 0.9 is above max_size 0.1"),
        ("kafka: {bootstrap: 'http://h:1'}", "kafka.bootstrap: must be host:port"),
        ("kafka: {bootstrap: ''}", "kafka.bootstrap: must be host:port"),
        ("kafka: {frames: same, files: same}", "the topic 'same' is named 2 times"),
        ("kafka: {frames: 'a b'}", "kafka.frames: may have letters"),
        ("kafka: {bootstrp: }", "unknown key 'kafka.bootstrp'"),
        ("rules: [person]", "rules: must be a list of rules"),
        ("- a\n- b", "must be a mapping"),
        ("kafka: {bootstrap: [", "not valid YAML"),
    ],
)
def test_a_fault_names_the_file_the_key_and_the_nearest_known_one(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        config.load(write(tmp_path, text))
    assert says in str(raised.value) and "seestream.yaml" in str(raised.value)


def test_a_key_with_nothing_behind_it_is_the_default(tmp_path: Path) -> None:
    text = "cameras:\n#  - {name: a, url: x}\nweb:\nkafka: {group: , bootstrap: 'b:1'}\n"
    settings = config.load(write(tmp_path, text))
    assert settings.cameras == () and settings.web.port == 8765
    assert (settings.kafka.group, settings.kafka.bootstrap) == ("seestream", "b:1")


def test_a_slip_in_the_environment_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEESTREAM__KAFAK__PASSWORD", "hunter2")
    with pytest.raises(Misconfigured, match=r"SEESTREAM__KAFAK__PASSWORD .*did you mean 'kafka'\?") as raised:
        config.load()
    assert "hunter2" not in str(raised.value)


def test_a_list_in_the_environment_that_is_no_json_is_one_line_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEESTREAM__CAMERAS", "rtsp://me:hunter2@h/s")
    with pytest.raises(Misconfigured, match="SEESTREAM__CAMERAS in the environment must be JSON") as raised:
        config.load()
    assert "hunter2" not in str(raised.value) and len(str(raised.value).splitlines()) == 1


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        config.load(write(tmp_path, "kafka: {bootstrp: x}\nweb: {port: -1}\nzone: 1\n"))
    assert len(str(raised.value).splitlines()) == 3


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"cannot read the settings file .*: No such file"):
        config.load(tmp_path / "none.yaml")


def test_secrets_come_from_files_and_are_never_printed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    path = write(
        tmp_path,
        f"kafka: {{username: me, password_file: {tmp_path}/secret}}\n"
        "cameras: [{name: yard, url: 'rtsp://me:hunter3@10.0.0.1/s'}]\nstore: {api_key: hunter4}\n",
    )
    settings = config.load(path)
    assert settings.kafka.password is not None and settings.kafka.password.get_secret_value() == "hunter2"
    assert "hunter" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_secret_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="password_file: cannot read /nowhere/x"):
        config.load(write(tmp_path, "kafka: {password_file: /nowhere/x}"))


def test_a_fault_in_a_secret_does_not_print_it(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        config.load(write(tmp_path, "cameras: [{name: yard, url: {password: hunter2}}]"))
    assert "hunter2" not in str(raised.value)


def test_a_root_may_be_a_url_and_stays_as_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, "roots: ['s3://bucket/in', /mnt/nas]")
    assert config.load(path).roots == ("s3://bucket/in", "/mnt/nas")
