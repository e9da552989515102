"""Tiny videos in which a square moves over a wall: the same wall and another movement, or the other way."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support import bad_videos

WIDTH, HEIGHT, FPS = 96, 64, 10


def wall(seed: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: large tiles of random colours."""
    tiles = np.random.default_rng(seed).integers(40, 215, (4, 6, 3), dtype=np.uint8)
    return np.kron(tiles, np.ones((HEIGHT // 4, WIDTH // 6, 1), np.uint8))


def film(
    path: Path,
    *,
    scene: int,
    way: int,
    frames: int = 30,
    start: int = 0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """Write a video.

    Args:
        path: The file.
        scene: Which wall.
        way: Which way the square goes.
        frames: How many.
        start: The first frame is this one of the way.
        size: Width and height in pixels.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = _places(way, start + frames)
    number = iter(range(start, start + frames))
    wall_of = wall(scene)

    def paint(picture: np.ndarray) -> None:
        frame = wall_of.copy()
        y, x = place[next(number)]
        frame[y : y + 20, x : x + 20] = 255
        rows = np.arange(picture.shape[0]) * HEIGHT // picture.shape[0]
        columns = np.arange(picture.shape[1]) * WIDTH // picture.shape[1]
        picture[:] = frame[rows][:, columns]

    return bad_videos.encode(path, numbers=range(frames), rate=FPS, size=size, paint=paint)


def _places(way: int, count: int) -> np.ndarray:
    """(count, 2): top and left of the square, along a smooth random way."""
    rng = np.random.default_rng([way, 7])
    times = np.arange(count)[:, None] / FPS
    speeds, phases = rng.uniform(0.6, 2.4, (2,)), rng.uniform(0, 6.28, (2,))
    share = (1 + np.sin(times * speeds + phases)) / 2
    return (share * [HEIGHT - 20, WIDTH - 20]).astype(int)
