"""Sensors: noise with the right growth, missing depth where a real camera has none."""

import numpy as np

from nexusflow.data.worlds.rooms.sensor import sense_colour, sense_depth, sense_labels, sense_normals

SHAPE = (60, 80)


def test_noise_grows_with_the_square_of_depth() -> None:
    spread = []
    for depth in (1.0, 4.0):
        rng = np.random.default_rng(0)
        noisy, valid = sense_depth(np.full(SHAPE, depth), np.ones(SHAPE), np.zeros(SHAPE), rng)
        spread.append((noisy[valid] - depth).std())
    assert 12 < spread[1] / spread[0] < 20


def test_border_shine_grazing_and_range_are_missing() -> None:
    def share(depth: float = 2.0, facing: float = 1.0, gloss: float = 0.0) -> float:
        planes = [np.full(SHAPE, value) for value in (depth, facing, gloss)]
        noisy, valid = sense_depth(*planes, np.random.default_rng(0))
        assert np.array_equal(noisy > 0, valid) and not valid[0].any() and not valid[:, -1].any()
        return float(valid.mean())

    clear = share()
    assert clear > 0.9 and share(gloss=0.6) < clear - 0.2 and share(facing=0.05) < clear - 0.2
    assert share(depth=0.2) == 0 and share(depth=12.0) == 0


def test_colours_have_256_levels_and_darken_to_the_corners() -> None:
    image = sense_colour(np.full((*SHAPE, 3), 0.4), np.random.default_rng(0))
    assert np.allclose(image * 255, np.round(image * 255)) and 0 <= image.min() <= image.max() <= 1
    assert image[25:35, 35:45].mean() > image[:5, :5].mean() + 0.02


def test_void_lies_on_outlines_only() -> None:
    labels = np.zeros(SHAPE, np.int64)
    labels[:, 40:] = 3
    seen = sense_labels(labels, labels, np.random.default_rng(0))
    void = seen == -1
    assert 0 < void[:, 39:41].mean() < 1 and not void[:, :38].any() and not void[:, 42:].any()


def test_normals_are_known_inside_surfaces_only() -> None:
    normals = np.zeros((*SHAPE, 3))
    normals[:, :40], normals[:, 40:] = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)
    depth = np.full(SHAPE, 2.0)
    depth[30:] = 3.0  # a step in the depth of a surface of one direction
    depth[:10, :10] = 0.0
    known = sense_normals(normals, depth)
    blank = ~known.any(-1)
    assert blank[:, 39:41].all() and blank[29:31].all() and blank[:10, :10].all()
    blank[:, 39:41] = blank[29:31] = blank[:10, :10] = False
    assert not blank.any()
    assert np.array_equal(known[20, 50], (1.0, 0.0, 0.0))
