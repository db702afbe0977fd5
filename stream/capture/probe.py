"""Whether a camera gives pictures: what `seestream check` asks."""

from __future__ import annotations

import cv2
import numpy as np

from stream.capture.address import Secret
from stream.capture.footage import Encoder, shots
from stream.errors import Unavailable


def first_picture(url: str, timeout_s: float = 5.0) -> tuple[int, int]:
    """(width, height) of the first picture of a camera or film; blocks. Raises: Unavailable, the password hidden."""
    address = Secret(url)
    for shot in shots(address, Encoder(85), timeout_s):
        picture = cv2.imdecode(np.frombuffer(shot.jpeg(), np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            return picture.shape[1], picture.shape[0]
    raise Unavailable(f"{address} gave no picture")
