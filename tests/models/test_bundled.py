"""The bundled demo models: their files are what the manifests say, and they see what is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.eval import Evaluation, evaluate
from models.frames import held_out
from models.scores import Detections
from models.train.siglip_queries import SIMPLE, Query, query_about
from models.train.tasks import PROMPTS, answer_text, bins
from stream.capture.scenery import CLASSES, DrivewayCamera, Scene, make_scene
from stream.errors import BadModel
from stream.infer.florence2 import Florence2
from stream.infer.manifest import Manifest, bundled
from stream.infer.siglip import Siglip
from stream.infer.tasks import TASKS

FOLDERS = ("florence2-demo", "siglip-demo")
SCENES = 60


@pytest.fixture(scope="module")
def measured() -> Evaluation:
    return evaluate(bundled(), seed=77_000, scenes=SCENES)


@pytest.mark.parametrize("name", FOLDERS)
def test_files_are_those_of_the_manifest(name: str) -> None:
    folder = bundled() / name
    manifest = Manifest.read(folder)
    manifest.verify()
    assert manifest.demo
    assert manifest.name == name
    assert set(manifest.files) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    said = json.loads((folder / "manifest.json").read_text())
    assert said["licence"] == "Apache-2.0"
    assert said["labels"]["classes"] == list(CLASSES)


def test_altered_file_is_found(tmp_path: Path) -> None:
    for path in (bundled() / "siglip-demo").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    graph = tmp_path / "text_model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(BadModel, match="altered"):
        Siglip.load(tmp_path, provider="cpu")


def test_all_files_fit_the_wheel() -> None:
    assert sum(path.stat().st_size for path in bundled().rglob("*") if path.is_file()) < 25_000_000


def test_graphs_have_the_published_names() -> None:
    wanted = {
        "florence2-demo/vision_encoder": ({"pixel_values"}, {"image_features"}),
        "florence2-demo/embed_tokens": ({"input_ids"}, {"inputs_embeds"}),
        "florence2-demo/encoder_model": ({"attention_mask", "inputs_embeds"}, {"last_hidden_state"}),
        "siglip-demo/vision_model": ({"pixel_values"}, {"last_hidden_state", "pooler_output"}),
        "siglip-demo/text_model": ({"input_ids"}, {"last_hidden_state", "pooler_output"}),
    }
    for name, (inputs, outputs) in wanted.items():
        session = onnxruntime.InferenceSession(bundled() / f"{name}.onnx", providers=["CPUExecutionProvider"])
        assert {one.name for one in session.get_inputs()} == inputs
        assert {one.name for one in session.get_outputs()} == outputs


def test_every_trained_task_is_one_of_the_runtime_with_its_prompt() -> None:
    model = Florence2.load(bundled() / "florence2-demo", provider="cpu", threads=1)
    assert set(model.tasks) == {f"<{task}>" for task in PROMPTS}
    assert all(TASKS[f"<{task}>"].prompt == prompt for task, prompt in PROMPTS.items())


def test_detects_what_is_drawn(measured: Evaluation) -> None:
    figures = measured.figures()
    assert figures["detection_f1"] > 0.85
    assert figures["mean_iou"] > 0.7
    assert figures["label_accuracy"] > 0.9


def test_a_score_of_a_half_keeps_what_is_there(measured: Evaluation) -> None:
    """Or rules with `min_score: 0.5` would never fire with these models."""
    boxes = measured.details()["detection"]["scores"]
    counts = {name: count for name, (count, _) in boxes.items()}
    assert counts["0-0.25"] + counts["0.25-0.5"] <= 0.05 * sum(counts.values())
    assert counts["0.9-1"] > 0.7 * sum(counts.values()) and boxes["0.9-1"][1] > 0.95


def test_describes_and_reads(measured: Evaluation) -> None:
    figures = measured.figures()
    assert figures["caption_exact"] > 0.65
    assert figures["ocr_exact"] > 0.65


def test_finds_pictures_by_words(measured: Evaluation) -> None:
    figures = measured.figures()
    assert figures["retrieval_r1_simple"] > 0.85
    assert figures["retrieval_r1_compound"] > 0.5


def test_same_figures_for_the_same_seed() -> None:
    first, second = (evaluate(bundled(), seed=5000, scenes=24).figures() for _ in range(2))
    assert first == second


def test_seeds_of_training_are_refused() -> None:
    with pytest.raises(ValueError, match="trained on"):
        evaluate(bundled(), seed=12, scenes=1)


def test_sees_the_red_car_of_the_demo_camera() -> None:
    model = Florence2.load(bundled() / "florence2-demo", provider="cpu", threads=1)
    frame = DrivewayCamera(4).at(5.0)
    answers = model.look(frame.rgb, ["<OD>", "<CAPTION>"])
    detections = Detections()
    detections.add(
        [(one.label, one.box, one.score) for one in answers["<OD>"].found if one.box is not None], frame.truth
    )
    assert detections.f1() == 1.0
    assert "red car" in answers["<CAPTION>"].text


def test_perfect_answers_score_one_and_empty_ones_nothing() -> None:
    perfect, silent, mislabelled = Detections(), Detections(), Detections()
    for scene, _ in held_out(4000, 20):
        truth = scene.truth()
        perfect.add([(label, box, 1.0) for label, _, box in truth], truth)
        silent.add([], truth)
        mislabelled.add([("tree", box, 1.0) for _, _, box in truth], truth)
    assert (perfect.f1(), perfect.label_accuracy(), round(perfect.mean_iou(), 6)) == (1.0, 1.0, 1.0)
    assert (silent.f1(), mislabelled.f1(), mislabelled.label_accuracy()) == (0.0, 0.0, 0.0)


def test_a_box_found_twice_is_a_mistake() -> None:
    box = (10.0, 10.0, 50.0, 50.0)
    detections = Detections()
    detections.add([("car", box, 0.9), ("car", box, 0.8)], [("car", "red", box)])
    assert detections.f1() == pytest.approx(2 / 3)


def scene_with(*wanted: tuple[str, str]) -> Scene:
    """The first random scene in which exactly these things are seen."""
    rng = np.random.default_rng(0)
    while True:
        scene = make_scene(rng)
        if sorted((thing.label, thing.color) for thing in scene.visible()) == sorted(wanted):
            return scene


def test_queries_are_true_of_the_scenes_that_they_describe() -> None:
    scene = scene_with(("car", "red"), ("dog", "brown"))
    assert Query((("car", "red"), ("dog", None))).matches(scene)
    assert Query((("car", None),), place=scene.place, night=scene.night).matches(scene)
    assert not Query((("car", None),), night=not scene.night).matches(scene)
    assert not Query((("car", "blue"),)).matches(scene)
    assert not Query((("car", "red"), ("car", None))).matches(scene)
    assert not Query(()).matches(scene)
    assert (
        Query((("person", "red"), ("dog", None)), "lawn", True).text()
        == "a person in red with a dog on the lawn at night"
    )
    rng = np.random.default_rng(2)
    assert all(query_about(rng, scene).matches(scene) for _ in range(50))
    assert len({query.text() for query in SIMPLE}) == len(SIMPLE)


def test_answers_have_the_grammar_of_the_tasks() -> None:
    scene = scene_with(("car", "red"))
    ((_, _, box),) = scene.truth()
    places = "".join(f"<loc_{v}>" for v in bins(box))
    assert answer_text(scene, "OD") == f"car{places}"
    assert answer_text(scene, "DENSE_REGION_CAPTION") == f"red car{places}"
    assert answer_text(scene, "CAPTION_TO_PHRASE_GROUNDING") == f"a red car{places}"
    assert answer_text(scene, "OPEN_VOCABULARY_DETECTION:red car") == f"red car{places}"
    assert answer_text(scene, "OPEN_VOCABULARY_DETECTION:blue car") == ""
    assert answer_text(scene, "REGION_PROPOSAL") == places
    assert bins([0.0, 96.0, 192.0, 500.0]) == [0, 500, 999, 999]
