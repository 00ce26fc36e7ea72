"""GIFs: pace, palette with the colours that must stay, equal bytes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nexusflow.core.errors import UserError
from nexusflow.paper.gif import write_gif


def frames(count: int = 3) -> list[np.ndarray]:
    """Photographs in grey with a red line of one pixel width that moves down."""
    rng = np.random.Generator(np.random.PCG64(0))
    pictures = []
    for index in range(count):
        picture = np.repeat(rng.integers(0, 256, (40, 60, 1), dtype=np.uint8), 3, axis=2)
        picture[5 + index] = (224, 0, 0)
        pictures.append(picture)
    return pictures


def test_frames_pace_and_endless_loop(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    write_gif(path, frames(), frames_per_second=4.0, colours=32)
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (3, (60, 40), 0)
        for index in range(3):
            gif.seek(index)
            assert gif.info["duration"] == 250


def test_kept_colours_survive_in_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    write_gif(path, frames(), frames_per_second=2.0, colours=32, kept=["#E00000"])
    with Image.open(path) as gif:
        for index in range(3):
            gif.seek(index)
            pixels = np.asarray(gif.convert("RGB"))
            assert (pixels[5 + index] == (224, 0, 0)).all()
            assert len(np.unique(pixels.reshape(-1, 3), axis=0)) <= 32


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "a.gif", tmp_path / "b.gif"]
    for path in paths:
        write_gif(path, frames(), frames_per_second=2.0, colours=64, kept=["white"])
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_too_few_colours_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 colours are too few beside 2 fixed ones"):
        write_gif(tmp_path / "a.gif", frames(), frames_per_second=2.0, colours=2, kept=["white", "black"])
    assert list(tmp_path.iterdir()) == []
