"""`seestream submit`: what the worker will refuse is said where it is submitted."""

from pathlib import Path

import pytest

from stream import config
from stream.app.submit import outside


def test_what_lies_outside_the_roots_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photos/a b", "archive", "elsewhere", "data/demo-uploads"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "elsewhere")
    settings = config.load(
        data_dir=tmp_path / "data",
        folders=[{"path": str(tmp_path / "photos"), "source": "photos"}],
        roots=[str(tmp_path / "archive"), "s3://bucket/x"],
    )
    monkeypatch.chdir(tmp_path)
    inside = ["photos", "photos/a b/*.jpg", str(tmp_path / "archive" / "**" / "*.png"), "data/demo-uploads/a.jpg"]
    assert outside(inside, settings) == []
    refused = ["elsewhere/a.jpg", "photos/link/a.jpg", "photos/../elsewhere", "archive-of-others"]
    assert outside([*inside, *refused], settings) == refused
