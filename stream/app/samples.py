"""Files that the demo uploads: drawn pictures and a short film of the drawn scene."""

from __future__ import annotations

from pathlib import Path


def write_picture(path: Path, seed: int) -> None:
    """A drawn scene as JPEG, with a plate that can be read where the scene has one; atomically."""
    import cv2
    import numpy as np

    from stream.capture.scenery import make_scene, render

    scene = make_scene(np.random.default_rng(seed), "plate" if seed % 2 else "normal")
    done, data = cv2.imencode(".jpg", render(scene, 3)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert done
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data.tobytes())
    partial.rename(path)


def write_film(path: Path, seed: int, seconds: float = 8.0, fps: int = 5) -> None:
    """The drawn camera's first seconds as H.264 (or MPEG-4 where PyAV has no x264); atomically."""
    import av

    from stream.capture.scenery import DrivewayCamera

    scene = DrivewayCamera(seed + 1000)
    partial = path.with_name(f".{path.name}.part")
    with av.open(str(partial), "w", format="mp4") as film:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = film.add_stream(codec, rate=fps)
        stream.pix_fmt = "yuv420p"
        stream.height = stream.width = scene.size_px
        for number in range(int(seconds * fps)):
            picture = scene.at(number / fps).rgb
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                film.mux(packet)
        for packet in stream.encode():
            film.mux(packet)
    partial.rename(path)
