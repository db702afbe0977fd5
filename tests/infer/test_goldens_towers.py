"""The runtime's SigLIP, SigLIP 2 and CLIP equal what transformers answered, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.infer.siglip import Siglip

NAMES = ("siglip", "siglip2", "clip")

TEXTS = [
    "a red car",
    "A Red CAR, at night!",
    "two dogs on the lawn",
    "",
    "caf\u00e9 \u8eca",
    "a photo of a person, a bicycle and a package in front of the house " * 8,
]
"""As in the script that makes the goldens."""


@pytest.fixture(scope="module")
def tower(goldens: Path) -> Callable[[str], tuple[Siglip, dict[str, NDArray[Any]]]]:
    def load(name: str) -> tuple[Siglip, dict[str, NDArray[Any]]]:
        with np.load(goldens / f"{name}.npz") as file:
            return Siglip.load(goldens / name, provider="cpu", threads=1), dict(file)

    return load


@pytest.mark.parametrize("name", NAMES)
def test_vectors_and_probabilities(name: str, tower: Callable[[str], tuple[Siglip, dict[str, NDArray[Any]]]]) -> None:
    model, expected = tower(name)
    pictures = [expected[f"picture_{index}"] for index in range(4)]
    images, texts = model.embed_images(pictures), model.embed_text(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(images, expected["image_vectors"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(texts, expected["text_vectors"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(model.probability(images, texts), expected["probabilities"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_token_ids(name: str, tower: Callable[[str], tuple[Siglip, dict[str, NDArray[Any]]]]) -> None:
    model, expected = tower(name)
    ids, mask = model._words.encode(TEXTS)
    wide = expected["input_ids"]
    assert ids.tolist() == wide[:, : ids.shape[1]].tolist()
    assert mask.shape == ids.shape
    if ids.shape[1] < wide.shape[1]:
        # CLIP may pad less: what follows the end token is never seen.
        assert (wide[:, ids.shape[1] :] == wide[0, -1]).all()


def test_siglip2_lower_cases_and_siglip_does_not_need_to(
    tower: Callable[[str], tuple[Siglip, dict[str, NDArray[Any]]]],
) -> None:
    for name in NAMES:
        model, _ = tower(name)
        low, high = model.embed_text(["a red car", "A RED CAR"])
        np.testing.assert_array_equal(low, high)


@pytest.mark.parametrize("name", NAMES)
def test_one_by_one_equals_a_batch(name: str, tower: Callable[[str], tuple[Siglip, dict[str, NDArray[Any]]]]) -> None:
    model, expected = tower(name)
    pictures = [expected[f"picture_{index}"] for index in range(4)]
    batch = model.embed_images(pictures)
    for picture, vector in zip(pictures, batch, strict=True):
        np.testing.assert_allclose(model.embed_images([picture])[0], vector, atol=1e-5)
