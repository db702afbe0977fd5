"""Pictures become inputs as the preprocessor configuration says, and crops stay in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stream.errors import BadModel
from stream.infer.preprocess import Preprocess, crop
from stream.types import Box
from tests.infer.conftest import picture

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_florence_pictures_are_stretched_bicubic() -> None:
    said = {"size": {"height": 32, "width": 48}, "resample": 3, "image_mean": IMAGENET[0], "image_std": IMAGENET[1]}
    rgb = picture(1, 100, 70)
    expected = np.asarray(Image.fromarray(rgb).resize((48, 32), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(Preprocess.of(said).pixels(rgb), expected)


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    said = Preprocess(120, 90, *IMAGENET)
    np.testing.assert_array_equal(said.pixels(picture(1)), picture(1))


def test_clip_pictures_are_scaled_by_their_shorter_side_and_cut_in_the_middle() -> None:
    said = Preprocess.of({"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}, "resample": 0})
    rgb = np.zeros((32, 96, 3), np.uint8)
    rgb[:, 32:64] = 200
    assert said.pixels(rgb).shape == (16, 16, 3)
    assert (said.pixels(rgb) == 200).all()


@pytest.mark.parametrize("size", [{}, {"height": 3}, {"height": "a", "width": 3}])
def test_a_size_that_is_none_is_a_bad_model(size: dict[str, object]) -> None:
    with pytest.raises(BadModel, match="no usable size"):
        Preprocess.of({"size": size})


def test_normalising_is_the_formula() -> None:
    said = Preprocess(120, 90, *IMAGENET)
    stack = np.stack([picture(1), picture(2)])
    mean, std = (np.array(values, np.float64) for values in IMAGENET)
    expected = ((stack / 255.0 - mean) / std).transpose(0, 3, 1, 2)
    found = said.normalise(stack)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_crop_has_a_tenth_around_its_region() -> None:
    rgb = np.arange(400 * 400 * 3, dtype=np.uint32).astype(np.uint8).reshape(400, 400, 3)
    np.testing.assert_array_equal(crop(rgb, Box(100, 200, 200, 300)), rgb[190:310, 90:210])


def test_a_small_region_gets_48_pixels() -> None:
    assert crop(np.zeros((400, 400, 3), np.uint8), Box(100, 100, 104, 102)).shape == (48, 48, 3)


EDGE = st.floats(-100, 500)


@given(EDGE, EDGE, EDGE, EDGE, st.integers(1, 300), st.integers(1, 300))
def test_a_crop_is_never_empty_and_never_outside(
    x1: float, y1: float, x2: float, y2: float, width: int, height: int
) -> None:
    box = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    found = crop(np.zeros((height, width, 3), np.uint8), box)
    assert 1 <= found.shape[0] <= height and 1 <= found.shape[1] <= width
