"""Loading a model folder: what is chosen, and what is refused before the first frame."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.errors import BadModel, InferenceFailed, Misconfigured
from stream.infer.florence2 import Florence2
from stream.infer.published import PublishedLayout
from stream.infer.static import StaticLayout
from tests.infer.conftest import picture

Load = Callable[..., Florence2]


@pytest.fixture
def folder(goldens: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged, without a manifest."""
    copy = Path(shutil.copytree(goldens / "florence2", tmp_path / "florence2"))
    (copy / "manifest.json").unlink()
    return copy


def test_the_static_layout_is_chosen_where_there_is_one(load_florence2: Load, folder: Path) -> None:
    assert isinstance(load_florence2().decoding.layout, StaticLayout)
    for path in (folder / "onnx").glob("static_*"):
        path.unlink()
    model = Florence2.load(folder, provider="cpu", threads=1)
    assert isinstance(model.decoding.layout, PublishedLayout)
    assert model.look(picture(0), ["<OD>"]).keys() == {"<OD>"}


def test_another_architecture_is_named(goldens: Path) -> None:
    with pytest.raises(BadModel, match="holds a siglip model, not a Florence-2"):
        Florence2.load(goldens / "siglip", provider="cpu")


def test_a_missing_graph_is_named(folder: Path) -> None:
    (folder / "onnx" / "static_encoder.onnx").unlink()
    with pytest.raises(BadModel, match=r"static_encoder\.onnx is missing"):
        Florence2.load(folder, provider="cpu")


def test_a_graph_of_another_model_is_named(folder: Path, goldens: Path) -> None:
    shutil.copy(goldens / "siglip" / "onnx" / "vision_model.onnx", folder / "onnx" / "static_vision.onnx")
    with pytest.raises(BadModel, match=r"static_vision\.onnx is of another architecture: it has no image_features"):
        Florence2.load(folder, provider="cpu")


def test_a_tokenizer_of_another_model_is_refused(folder: Path, goldens: Path) -> None:
    shutil.copy(goldens / "siglip" / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(BadModel, match="no location tokens"):
        Florence2.load(folder, provider="cpu")


def test_a_tokenizer_that_is_none_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BadModel, match=r"tokenizer\.json is not a tokenizer"):
        Florence2.load(folder, provider="cpu")


def test_a_layout_or_precision_that_is_not_there_is_refused(goldens: Path) -> None:
    with pytest.raises(Misconfigured, match="'merged' is not one of auto, static, published"):
        Florence2.load(goldens / "florence2", provider="cpu", layout="merged")
    with pytest.raises(BadModel, match=r"vision_encoder in fp32, not in int8"):
        Florence2.load(goldens / "florence2", provider="cpu", precision="int8")


def test_tasks_are_checked_before_the_first_frame(folder: Path) -> None:
    model = Florence2.load(folder, provider="cpu", threads=1)
    model.check(["<OD>", "<OCR>"])
    with pytest.raises(Misconfigured, match="not a Florence-2 task"):
        model.check(["<OD>", "<NONSENSE>"])
    model.manifest.tasks = ("<OD>",)
    for ask in (lambda: model.check(["<OCR>"]), lambda: model.look(picture(0), ["<OCR>"])):
        with pytest.raises(Misconfigured, match=r"was not trained for <OCR>; it knows <OD>"):
            ask()


def test_a_task_about_a_text_is_refused_where_there_will_be_none(load_florence2: Load) -> None:
    with pytest.raises(Misconfigured, match="<REGION_TO_OCR> asks about a text or region"):
        load_florence2().check(["<OD>", "<REGION_TO_OCR>"], prompted=False)
    load_florence2().check(["<OD>", "<REGION_TO_OCR>"])


def test_a_prompt_that_is_too_long_is_refused_with_its_length(load_florence2: Load) -> None:
    with pytest.raises(InferenceFailed, match=r"<OPEN_VOCABULARY_DETECTION> has \d+ tokens, this model takes 111"):
        load_florence2().row(0, "<OPEN_VOCABULARY_DETECTION>", "zebra " * 200)


def test_a_generation_that_never_ends_is_capped_by_its_task(goldens: Path) -> None:
    model = Florence2.load(goldens / "florence2", provider="cpu", threads=1, max_tokens={"<OD>": 5})
    assert max(answer.tokens for answer in model.look(picture(0), ["<OD>"]).values()) <= 5
    assert model.row(0, "<OCR_WITH_REGION>").max_tokens == 126, "never past the model's positions"


def test_no_task_is_no_answer(load_florence2: Load) -> None:
    assert load_florence2().look(picture(0), []) == {}


@pytest.mark.parametrize("layout", ["static", "published"])
def test_no_picture_is_an_empty_pass_and_the_next_one_is_as_ever(load_florence2: Load, layout: str) -> None:
    model = load_florence2(layout=layout)
    expected = model.look(picture(0), ["<OD>"])
    seen = model.see([])
    assert (seen.images, len(seen.features)) == (0, 0)
    model.decoding.admit(seen, [])
    assert model.decoding.step() == [] and model.decoding.free == model.decoding.capacity
    assert model.look(picture(0), ["<OD>"]) == expected


def test_answers_are_json_with_floats_and_scores(load_florence2: Load) -> None:
    found = load_florence2().look(picture(3), ["<OD>", "<REGION_PROPOSAL>", "<CAPTION>"])
    said = json.loads(json.dumps({task: answer.plain() for task, answer in found.items()}))
    assert set(said["<CAPTION>"]) == {"text", "score"}
    assert set(said["<OD>"]) == {"bboxes", "labels", "scores"}
    assert len(said["<REGION_PROPOSAL>"]["bboxes"]) == len(said["<REGION_PROPOSAL>"]["scores"]) > 0
