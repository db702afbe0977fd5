"""`seestream look`: what the models see in one picture, readable, as JSON and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.__main__ import main
from stream.app.samples import write_picture


@pytest.fixture(autouse=True)
def logging_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.app.common.set_up_logging", lambda level: None)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    write_picture(path, 101)
    return path


def test_what_is_there_is_told_with_its_place_and_that_the_models_are_for_the_demo(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["look", str(picture), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["demo"] is True and (said["width"], said["height"]) == (576, 576)
    assert sorted(said["<OD>"]["labels"]) == ["car", "cat", "dog", "person"]
    assert said["<CAPTION>"]["text"].startswith("an orange cat, a person in black")
    assert said["<OCR_WITH_REGION>"]["labels"] == ["47P"]
    assert main(["look", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("Demo models", "car", "person", "47P"))


def test_what_was_found_is_drawn_on_the_picture(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "drawn.png"
    assert main(["look", str(picture), "--task", "<OD>", "--json", "--draw", str(drawn)]) == 0
    before, after = cv2.imread(str(picture)), cv2.imread(str(drawn))
    assert before is not None and after is not None and before.shape == after.shape
    changed = (before != after).any(axis=2)
    assert 0.01 < changed.mean() < 0.2, "boxes and labels, and nothing else"
    for x1, y1, x2, y2 in json.loads(capsys.readouterr().out)["<OD>"]["bboxes"]:
        left, top = round(x1), round(y1)
        assert changed[top : round(y2), left - 2 : left + 3].any(axis=1).mean() > 0.9, "its left side"
        assert changed[round(y2) - 2 : round(y2) + 3, left : round(x2)].any(axis=0).mean() > 0.9, "its foot"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--task", "<ODD>"], "'<ODD>' is not a Florence-2 task"),
        (["--task", "<REGION_TO_OCR>", "--prompt", "<loc_1>"], "florence2-demo was not trained for <REGION_TO_OCR>"),
        (["--task", "<OD>", "--prompt", "a car"], "<OD> takes no text input"),
        (["--draw", "/nowhere/at/all/x.jpg"], "--draw /nowhere/at/all/x.jpg"),
        (["--draw", "x.nonsense"], "--draw x.nonsense"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    picture: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["look", str(picture), *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("seestream: ") and says in error and len(error.splitlines()) == 1


def test_what_is_no_picture_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text(np.array2string(np.arange(20)))
    assert main(["look", str(text)]) == 1
    assert "notes.jpg" in capsys.readouterr().err
