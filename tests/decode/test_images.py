"""Still pictures: brightness first, pixels on demand, and only whole ones."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from stream.decode import luma_of_jpeg
from stream.decode.headers import read_header
from stream.decode.images import read_picture
from stream.decode.planes import upright
from stream.errors import BadMedia
from tests.decode.media import GREEN, RED, corners, encode, huge_png, quadrants, texture

FORMS = ("JPEG", "PNG", "WEBP")
TURNED = {
    1: ["red", "green", "blue", "white"],
    2: ["green", "red", "white", "blue"],
    3: ["white", "blue", "green", "red"],
    4: ["blue", "white", "red", "green"],
    5: ["red", "blue", "green", "white"],
    6: ["blue", "red", "white", "green"],
    7: ["white", "green", "blue", "red"],
    8: ["green", "white", "red", "blue"],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", TURNED)
def test_orientation_is_honoured_in_size_luma_and_pixels(form: str, orientation: int) -> None:
    data = encode(quadrants(640, 400), form, orientation=orientation, quality=95)
    picture = read_picture(data)
    size = (400, 640) if orientation >= 5 else (640, 400)
    assert (picture.width, picture.height) == size
    pixels = picture.pixels()
    assert pixels.shape == (size[1], size[0], 3)
    assert corners(pixels) == TURNED[orientation]
    assert picture.luma.shape == (size[1] // 2, size[0] // 2)
    expected = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), picture.luma.shape[::-1])
    assert np.abs(picture.luma.astype(int) - expected).mean() < 4


def test_orientation_agrees_with_pillow() -> None:
    picture = texture(3, 60, 40)
    for orientation in TURNED:
        image = Image.fromarray(picture)
        image.getexif()[0x0112] = orientation
        expected = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(upright(picture, orientation), expected)


@pytest.mark.parametrize(
    ("width", "height", "luma"),
    [
        (320, 180, (180, 320)),  # small enough as it is
        (640, 360, (180, 320)),
        (640, 480, (240, 320)),
        (1280, 720, (180, 320)),
        (1920, 1080, (270, 480)),
        (1080, 1920, (480, 270)),
        (2560, 1440, (180, 320)),
        (1279, 719, (180, 320)),  # sizes round up
        (101, 57, (57, 101)),
    ],
)
def test_the_luma_picture_keeps_180_px_on_its_short_side(width: int, height: int, luma: tuple[int, int]) -> None:
    whole = texture(1, width, height)
    forms = FORMS if width < 1500 else ("JPEG",)
    for form in forms:
        picture = read_picture(encode(whole, form))
        assert picture.luma.shape == luma
        assert picture.luma.dtype == np.uint8
        assert picture.luma.flags.c_contiguous


def test_luma_of_jpeg_gives_the_size_of_the_whole_picture() -> None:
    luma, width, height = luma_of_jpeg(encode(texture(1, 1280, 720), "JPEG"), luma_px=90)
    assert (luma.shape, width, height) == ((90, 160), 1280, 720)


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("JPEG", "RGB", {"progressive": True, "quality": 95}),
        ("JPEG", "RGB", {"subsampling": 0, "quality": 95}),
        ("PNG", "L", {}),
        ("PNG", "1", {}),
        ("PNG", "P", {}),
        ("PNG", "LA", {}),
        ("PNG", "RGBA", {}),
        ("WEBP", "RGBA", {"lossless": True}),
    ],
)
def test_every_colour_mode_becomes_rgb(form: str, mode: str, options: dict[str, object]) -> None:
    picture = read_picture(encode(quadrants(), form, mode=mode, **options))
    pixels = picture.pixels()
    assert pixels.shape == (200, 320, 3)
    assert pixels.dtype == np.uint8
    if mode in ("RGB", "RGBA", "P", "CMYK"):
        assert corners(pixels) == ["red", "green", "blue", "white"]
    else:
        assert pixels[150, 240].min() > 240
        assert pixels[110:190, 10:150].mean() < 120  # blue is dark, if need be by dithering


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 320 * 200).reshape(200, 320).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "ramp.png"), ramp)
    picture = read_picture((tmp_path / "ramp.png").read_bytes())
    assert np.abs(picture.pixels()[..., 1].astype(int) - (ramp >> 8)).max() <= 1
    assert abs(int(picture.luma.mean()) - 127) <= 1


def test_what_is_transparent_is_white() -> None:
    see_through = np.zeros((40, 60, 4), np.uint8)
    see_through[:, 30:] = (200, 0, 0, 255)
    picture = read_picture(encode(see_through, "PNG", mode="RGBA"))
    assert picture.pixels()[20, 10].tolist() == [255, 255, 255]
    assert picture.pixels()[20, 50].tolist() == [200, 0, 0]


def test_an_animated_webp_is_its_first_frame() -> None:
    first, second = (Image.fromarray(np.full((40, 60, 3), colour, np.uint8)) for colour in (RED, GREEN))
    out = io.BytesIO()
    first.save(out, "WEBP", save_all=True, append_images=[second], duration=100, lossless=True)
    picture = read_picture(out.getvalue())
    assert picture.pixels()[20, 30].tolist() == list(RED)
    assert (picture.width, picture.height) == (60, 40)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_picture_is_refused_at_the_gate(form: str, share: float) -> None:
    data = encode(texture(5, 640, 360), form)
    with pytest.raises(BadMedia, match=r"truncated|damaged"):
        read_picture(data[: int(len(data) * share)])


def test_a_truncated_progressive_jpeg_is_refused() -> None:
    data = encode(texture(5, 640, 360), "JPEG", progressive=True)
    with pytest.raises(BadMedia, match="it is truncated"):
        read_picture(data[: len(data) * 3 // 4])


def test_a_truncated_jpeg_is_not_saved_by_the_end_of_its_thumbnail() -> None:
    thumbnail = encode(quadrants(64, 40), "JPEG")
    data = encode(texture(5, 640, 360), "JPEG")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = data[:2] + segment + data[2:]
    assert read_picture(whole).width == 640
    with pytest.raises(BadMedia, match="no end after"):
        read_picture(whole[: len(whole) // 2])


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    assert read_picture(encode(quadrants(), "JPEG") + bytes(4096)).width == 320


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "empty"), (b"hello", "text"), (b"GIF89a" + bytes(20), "GIF"), (b"\xff\xd8\xff", "truncated")],
)
def test_what_is_no_picture_is_refused_with_the_reason(data: bytes, says: str) -> None:
    with pytest.raises(BadMedia, match=says):
        read_picture(data)


@pytest.mark.parametrize("form", FORMS)
def test_the_limit_counts_pixels(form: str) -> None:
    data = encode(quadrants(320, 200), form)
    assert read_picture(data, max_pixels=64_000).width == 320
    with pytest.raises(BadMedia, match="320 x 200 pixels, the limit is 63999"):
        read_picture(data, max_pixels=63_999)


def test_a_jpeg_with_ten_thousand_scans_is_refused_before_it_is_decoded() -> None:
    data = encode(texture(1), "JPEG", progressive=True)
    at = data.index(b"\xff\xda")
    end = data.index(b"\xff\xda", at + 2)
    with pytest.raises(BadMedia, match="more than 500 scans"):
        read_picture(data[:end] + data[at:end] * 10_000 + data[end:])


@pytest.mark.parametrize("form", ["PNG", "WebP", "JPEG"])
def test_a_bomb_is_refused_from_its_header_in_bounded_memory(form: str, tmp_path: Path) -> None:
    """400 million pixels: a decoder that starts on them needs more than the 1.5 GB of address space it gets here."""
    if form == "PNG":
        data = huge_png(20_000, 20_000)
        assert read_header("PNG", data).width == 20_000
    elif form == "WebP":
        data = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + (20_000 - 1).to_bytes(3, "little") * 2 + bytes(64)
    else:
        data = bytearray(encode(quadrants(), "JPEG"))
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = (20_000).to_bytes(2, "big") * 2
    bomb = tmp_path / "bomb"
    bomb.write_bytes(bytes(data))
    code = (
        "import resource, sys, pathlib\n"
        "from stream.decode.images import read_picture\n"
        "from stream.errors import BadMedia\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))\n"
        "try: read_picture(data)\n"
        "except BadMedia as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bomb)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "20000 x 20000 pixels, the limit is 64000000" in done.stdout
