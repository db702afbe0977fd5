"""Pictures of every size and colour mode become what transformers' image processors make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stream.infer.preprocess import Preprocess

PROCESSORS = ("florence2", "siglip", "siglip2", "clip")


def summary(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the goldens keep of an array (3, H, W): every 16th pixel, then each channel's mean and root mean square."""
    grid = values[:, ::16, ::16].reshape(3, -1)
    moments = np.stack([values.mean((1, 2)), np.sqrt((values**2).mean((1, 2)))], 1)
    return np.concatenate([grid, moments], 1)


@pytest.mark.parametrize("name", PROCESSORS)
def test_pixel_values(name: str, goldens: Path) -> None:
    settings: dict[str, Any] = json.loads((goldens / "preprocess.json").read_text())[name]
    preprocess = Preprocess.of(settings)
    with np.load(goldens / "preprocess.npz") as file:
        expected = {key: file[key] for key in file if key.startswith(f"{name}/")}
    assert len(expected) == len(list((goldens / "images").iterdir())) == 12
    for key, values in expected.items():
        with Image.open(goldens / "images" / key.split("/")[1]) as picture:
            rgb = np.asarray(picture.convert("RGB"))
        ours = preprocess.normalise(preprocess.pixels(rgb)[None])[0]
        np.testing.assert_allclose(summary(ours.astype(np.float64)), values, atol=1e-5, rtol=0, err_msg=key)


def test_the_models_own_picture(goldens: Path) -> None:
    with np.load(goldens / "florence2.npz") as file:
        pixels, values = file["pixels"], file["pixel_values"]
    preprocess = Preprocess.of(json.loads((goldens / "florence2" / "preprocessor_config.json").read_text()))
    ours = preprocess.normalise(preprocess.pixels(pixels[0])[None])
    np.testing.assert_allclose(ours[:, :, ::4, ::4], values, atol=1e-5, rtol=0)
