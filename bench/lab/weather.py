"""What troubles a gate: light, weather, leaves, insects, a shaking mast, a time stamp. Each is a layer over a picture.

A layer is called once a frame with the picture (float32 luma, changed in place or replaced) and the frame's number.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from bench.lab.scenery import HEIGHT, WIDTH, Gray

Layer = Callable[[Gray, int], Gray]


def leaves(random: np.random.Generator) -> Layer:
    """A tree in the left third: 90 leaves that sway with gusts, each with a phase and a pace of its own."""
    count = 90
    x, y = random.uniform(0, 420, count), random.uniform(60, 460, count)
    size, shade = random.uniform(8, 30, count), np.clip(110 + random.uniform(-55, 45, count), 5, 250)
    phase, pace, start = random.uniform(0, 6, count), random.uniform(0.6, 1.6, count), random.uniform(0, 6)

    def layer(image: Gray, frame: int) -> Gray:
        gust = 0.6 + 0.8 * max(0.0, float(np.sin(frame * 0.05 + start)))
        dx = gust * (9 * np.sin(phase + frame * pace * 0.55) + 5 * np.sin(phase * 2 + frame * 0.9 * pace))
        dy = gust * 4 * np.sin(phase + frame * pace * 0.8)
        for i in range(count):
            middle, axes = (int(x[i] + dx[i]), int(y[i] + dy[i])), (int(size[i]), int(size[i] * 0.6))
            cv2.ellipse(image, middle, axes, float(phase[i] * 50 + dx[i] * 2), 0, 360, float(shade[i]), -1, cv2.LINE_AA)
        return image

    return layer


def rain(random: np.random.Generator) -> Layer:
    """70 bright streaks at new places in every frame."""

    def layer(image: Gray, frame: int) -> Gray:
        streaks = np.zeros((HEIGHT // 2, WIDTH // 2), np.float32)
        for _ in range(70):
            x, y = int(random.integers(0, WIDTH // 2)), int(random.integers(-40, HEIGHT // 2))
            length = int(random.integers(10, 45))
            cv2.line(streaks, (x, y), (x + length // 6, y + length), float(random.uniform(10, 45)), 1, cv2.LINE_AA)
        image += cv2.resize(streaks, (WIDTH, HEIGHT))
        return image

    return layer


def snow(random: np.random.Generator) -> Layer:
    """220 flakes that fall and drift, 3 to 9 px wide."""
    count = 220
    x, y = random.uniform(0, WIDTH, count), random.uniform(0, HEIGHT, count)
    speed, radius = random.uniform(8, 30, count), random.uniform(1.5, 4.5, count)

    def layer(image: Gray, frame: int) -> Gray:
        y[:] += speed
        x[:] = (x + random.normal(2, 3, count)) % WIDTH
        gone = y > HEIGHT
        y[gone], x[gone] = 0, random.uniform(0, WIDTH, int(gone.sum()))
        for i in range(count):
            cv2.circle(image, (int(x[i] * 4), int(y[i] * 4)), int(radius[i] * 4), 225.0, -1, cv2.LINE_AA, 2)
        return image

    return layer


def insects(random: np.random.Generator) -> Layer:
    """Up to two out-of-focus bright insects at a time, right before the lens, for half a second to two."""
    flying: list[list[float]] = []  # x, y, vx, vy, thickness, frames left, brightness

    def layer(image: Gray, frame: int) -> Gray:
        if len(flying) < 2 and frame > 50 and random.random() < 0.05:
            start = [
                random.uniform(0, WIDTH),
                random.uniform(0, HEIGHT),
                random.uniform(-60, 60),
                random.uniform(-45, 45),
            ]
            flying.append([*start, random.uniform(14, 38), float(random.integers(5, 18)), random.uniform(60, 110)])
        for insect in flying:
            trail = np.zeros((HEIGHT // 4, WIDTH // 4), np.float32)
            begin = (int(insect[0] / 4), int(insect[1] / 4))
            end = (int((insect[0] + insect[2] * 0.5) / 4), int((insect[1] + insect[3] * 0.5) / 4))
            cv2.line(trail, begin, end, insect[6], max(1, int(insect[4] / 4)))
            image += cv2.resize(cv2.GaussianBlur(trail, (0, 0), 2.5), (WIDTH, HEIGHT))
            insect[0] += insect[2]
            insect[1] += insect[3]
            insect[2] += random.normal(0, 18)
            insect[3] += random.normal(0, 18)
            insect[5] -= 1
        flying[:] = [insect for insect in flying if insect[5] > 0]
        return image

    return layer


def clouds(random: np.random.Generator) -> Layer:
    """Soft shadows, up to 38 % dark, that cross the picture at 5 px a frame."""
    cover = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT // 8, WIDTH * 3 // 8)).astype(np.float32), (0, 0), 14)
    cover = cv2.resize(cover / cover.std(), (WIDTH * 3, HEIGHT))
    cover = np.clip(cover * 0.9 + 0.3, 0, 1).astype(np.float32) * np.float32(0.38)

    def layer(image: Gray, frame: int) -> Gray:
        offset = max(0, frame - 40) * 5 % (WIDTH * 2 - 1)
        image *= 1 - cover[:, offset : offset + WIDTH] * min(1.0, max(0, frame - 30) / 60)
        return image

    return layer


def headlights(ground: Gray) -> Layer:
    """A broad patch of light that sweeps the scene in 3.5 s of every 8 s, from a car outside of the picture."""

    def layer(image: Gray, frame: int) -> Gray:
        step = (frame - 60) % 80
        if frame < 60 or step >= 35:
            return image
        patch = np.zeros((HEIGHT // 8, WIDTH // 8), np.float32)
        cv2.ellipse(patch, (int((step * 55 - 300) / 8), int(HEIGHT * 0.6 / 8)), (35, 22), 0, 0, 360, 1.0, -1)
        image += cv2.resize(cv2.GaussianBlur(patch, (0, 0), 9), (WIDTH, HEIGHT)) * (0.35 * ground + 15)
        return image

    return layer


def light_step(at: int, amount: float) -> Layer:
    """A lamp is switched: from frame `at` on everything is brighter (or darker) by about `amount` levels."""

    def layer(image: Gray, frame: int) -> Gray:
        if frame < at:
            return image
        return image * (1 + amount / 160) + amount * 0.4 if amount > 0 else image * (1 + amount / 130)

    return layer


def shake(random: np.random.Generator) -> Layer:
    """A mast in the wind: correlated shifts of up to 2 px."""
    shift = np.zeros(2)

    def layer(image: Gray, frame: int) -> Gray:
        shift[:] = shift * 0.6 + random.normal(0, 0.9, 2)
        x, y = np.clip(shift, -2, 2)
        warp = np.array([[1, 0, x], [0, 1, y]], np.float32)
        return cv2.warpAffine(image, warp, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    return layer


def stamp(fps: float) -> Layer:
    """The time in white on black, top left, that changes every second."""

    def layer(image: Gray, frame: int) -> Gray:
        second = int(frame / fps)
        panel = np.zeros((40, 340), np.uint8)
        text = f"2026-05-03 12:{second // 60:02d}:{second % 60:02d}"
        cv2.putText(panel, text, (5, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2, cv2.LINE_AA)
        image[15:55, 20:360] = panel
        return image

    return layer


def beams(image: Gray, x: float, y: float, width: int, height: int, forward: bool) -> None:
    """Headlights of a car at night: a cone on the road and a glaring lamp, painted in place."""
    ahead = 1 if forward else -1
    lamp = (int(x + ahead * width * 0.5), int(y - height * 0.35))
    cone = np.zeros((HEIGHT // 4, WIDTH // 4), np.float32)
    far = lamp[0] + ahead * 420
    corners = np.array([lamp, (far, lamp[1] - 40), (far, lamp[1] + 120)], np.int32) // 4
    cv2.fillPoly(cone, [corners], 40.0)
    image += cv2.resize(cv2.GaussianBlur(cone, (0, 0), 10), (WIDTH, HEIGHT))
    cv2.circle(image, lamp, 8, 240.0, -1)
