"""Vectors have length one, texts are written as in training, and probabilities are calibrated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stream.errors import BadModel, InferenceFailed
from stream.infer.siglip import Siglip, checked
from tests.infer.conftest import picture


def test_vectors_have_length_one_and_tell_pictures_and_texts_apart(siglip: Siglip) -> None:
    images, texts = siglip.embed_images([picture(1), picture(2)]), siglip.embed_text(["a car", "a dog"])
    for vectors in (images, texts):
        assert vectors.shape == (2, siglip.dims) and vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert abs(float(vectors[0] @ vectors[1])) < 0.9999


def test_a_vector_does_not_depend_on_its_batch(siglip: Siglip) -> None:
    batch = siglip.embed_images([picture(seed) for seed in range(5)])
    for seed in range(5):
        np.testing.assert_allclose(siglip.embed_images([picture(seed)])[0], batch[seed], atol=1e-5)


def test_nothing_in_is_nothing_out(siglip: Siglip) -> None:
    assert siglip.embed_images([]).shape == siglip.embed_text([]).shape == (0, siglip.dims)


def test_the_probability_is_the_calibrated_sigmoid(siglip: Siglip, goldens: Path) -> None:
    said = json.loads((goldens / "siglip" / "calibration.json").read_text())
    images, texts = siglip.embed_images([picture(1), picture(2)]), siglip.embed_text(["a car"])
    logit = np.exp(said["logit_scale"]) * (images @ texts.T) + said["logit_bias"]
    np.testing.assert_allclose(siglip.probability(images, texts), 1 / (1 + np.exp(-logit)), rtol=1e-5)


def test_clip_probabilities_of_one_picture_sum_to_one(goldens: Path) -> None:
    clip = Siglip.load(goldens / "clip", provider="cpu", threads=1)
    chances = clip.probability(clip.embed_images([picture(1), picture(2)]), clip.embed_text(["a", "b", "c"]))
    np.testing.assert_allclose(chances.sum(-1), 1, rtol=1e-5)


def test_siglip2_lower_cases_what_its_tokenizer_does_not(goldens: Path) -> None:
    model = Siglip.load(goldens / "siglip2", provider="cpu", threads=1)
    np.testing.assert_array_equal(model.embed_text(["A Red CAR"]), model.embed_text(["a red car"]))


def test_a_very_long_text_is_cut(siglip: Siglip) -> None:
    assert siglip.embed_text(["a red car " * 300]).shape == (1, siglip.dims)


def test_without_a_calibration_there_is_no_probability(goldens: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(goldens / "siglip", tmp_path / "siglip"))
    (folder / "calibration.json").unlink()
    (folder / "manifest.json").unlink()
    model = Siglip.load(folder, provider="cpu", threads=1)
    with pytest.raises(BadModel, match=r"no calibration\.json"):
        model.probability(model.embed_text(["a"]), model.embed_text(["b"]))


def test_another_architecture_is_named(goldens: Path) -> None:
    with pytest.raises(BadModel, match="holds a florence2 model, not SigLIP"):
        Siglip.load(goldens / "florence2", provider="cpu")


def test_a_vector_that_is_not_finite_is_refused() -> None:
    good = np.ones((1, 3), np.float32)
    assert checked(good) is good
    with pytest.raises(InferenceFailed, match="NaN"):
        checked(np.array([[1, np.nan]], np.float32))
