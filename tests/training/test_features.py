"""Extraction of features: balanced frames in order, pooled and embedded, whatever the batch size."""

import numpy as np
import pytest
import torch

from nexusflow.analysis.features import KINDS, FeatureSet
from nexusflow.core.errors import UserError
from nexusflow.suites.taps import FrameTable
from nexusflow.training.features import extract_features, pool_tap
from nexusflow.training.features_config import FeaturesConfig
from tests.training.toy_taps import WIDTHS, ToyReader, make_surrogates

META = {"scale": "smoke", "suite": "nuscenes", "run": "toy", "seed": 0, "post_hoc": False}


def extract(batch_size: int, frames: int = 500, reader: ToyReader | None = None) -> FeatureSet:
    config = FeaturesConfig(frames=frames, batch_size=batch_size)
    return extract_features(reader or ToyReader(), make_surrogates(), config, META, "toy")


def test_pooling_is_the_weighted_mean() -> None:
    x_BQF = torch.tensor([[[1.0, 0.0], [3.0, 4.0]], [[5.0, 5.0], [9.0, 9.0]]])
    pooled = pool_tap({"features": x_BQF, "weights": torch.tensor([[1.0, 3.0], [0.0, 0.0]])})
    torch.testing.assert_close(pooled, torch.tensor([[2.5, 3.0], [0.0, 0.0]]))
    dense_BFHW = torch.arange(8.0).reshape(1, 2, 2, 2)
    torch.testing.assert_close(pool_tap({"features": dense_BFHW}), torch.tensor([[1.5, 5.5]]))


def test_every_kind_has_the_same_balanced_frames() -> None:
    found = extract(batch_size=4)
    assert found.frames_N.tolist() == [f"frame{row}" for row in (5, 9, 11, 6, 8, 10)]
    assert found.domains_N.tolist() == ["boston"] * 3 + ["singapore"] * 3
    for kind in KINDS:
        for task, width in WIDTHS.items():
            table_NX = found.of(kind, task)
            assert table_NX.shape == (6, width if kind == "h" else 8) and table_NX.dtype == np.float32


def test_features_are_those_of_the_surrogates() -> None:
    found, reader, surrogates = extract(batch_size=4), ToyReader(), make_surrogates().eval()
    with torch.no_grad():
        taps = reader.taps([5, 9, 11, 6, 8, 10])
        aligned = surrogates(taps)
    for task in WIDTHS:
        np.testing.assert_allclose(found.of("h", task), pool_tap(taps[task]).numpy(), rtol=1e-6)
        np.testing.assert_allclose(
            found.of("embedding", task), aligned.embeddings[task].numpy(), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            found.of("latent", task), aligned.latents[task].numpy(), rtol=1e-4, atol=1e-6
        )


def test_the_batch_size_changes_nothing_but_rounding() -> None:
    one, all_at_once = extract(batch_size=1), extract(batch_size=100)
    for kind in KINDS:
        for task in WIDTHS:
            np.testing.assert_allclose(one.of(kind, task), all_at_once.of(kind, task), rtol=1e-4, atol=1e-6)


def test_the_file_says_what_was_looked_at() -> None:
    meta = extract(batch_size=4).meta
    assert meta["run"] == "toy" and meta["split"] == "val" and meta["tasks"] == ["track", "map"]
    assert (meta["frames"], meta["groups"]) == (6, 4)
    assert meta["domains"] == {"boston": 3, "singapore": 3}
    assert meta["width"] == {
        "h": WIDTHS,
        "embedding": {"track": 8, "map": 8},
        "latent": {"track": 8, "map": 8},
    }


def test_only_the_asked_for_validation_frames_are_looked_at() -> None:
    reader = ToyReader()
    assert len(extract(batch_size=2, frames=1, reader=reader).frames_N) == 2
    assert reader.asked == [5, 6]


class OneCity(ToyReader):
    def frames(self, split: str) -> FrameTable:
        return super().frames(split).take(np.array([0, 2]))


def test_frames_of_one_domain_are_refused() -> None:
    with pytest.raises(UserError, match="between domains, but the frames are of 1"):
        extract(batch_size=2, reader=OneCity())
