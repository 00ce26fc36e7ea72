"""Statistics of BatchNorm taken anew: right images, right numbers, nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nexusflow.core.errors import UserError
from nexusflow.data.nyuv2.build import build_cache
from nexusflow.data.nyuv2.cache import NYUv2Cache
from nexusflow.data.nyuv2.config import NYUv2ReaderConfig
from nexusflow.data.nyuv2.domains import validation_clusters
from nexusflow.data.worlds.rooms.config import RoomsWorldConfig
from nexusflow.data.worlds.rooms.generate import generate_rooms_world
from nexusflow.dense.config import DenseModelConfig
from nexusflow.dense.model import DenseModel, build_dense_model
from nexusflow.evaluation.dense_predictions import DensePredictions
from nexusflow.suites.nyuv2.normalisation import predict_reestimated, reestimate

CLUSTERS = {"cluster": np.arange(18) % 2}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> NYUv2Cache:
    folder = tmp_path_factory.mktemp("rooms")
    config = RoomsWorldConfig(train_images=18, val_images=4, image_height=32, image_width=64, supersample=1)
    generate_rooms_world(config, folder / "rooms", workers=1)
    build_cache(NYUv2ReaderConfig(image_height=32, image_width=64), folder / "rooms", folder / "cache")
    return NYUv2Cache.open(folder / "cache")


@pytest.fixture(scope="module")
def model() -> DenseModel:
    torch.manual_seed(0)
    return build_dense_model(DenseModelConfig(widths=(6, 6, 8, 8, 8))).eval()


def first_pair(model: torch.nn.Module) -> tuple[torch.nn.Conv2d, torch.nn.BatchNorm2d]:
    """The first convolution of the trunk, which reads the images, and its BatchNorm."""
    parts = list(model.modules())
    place = next(i for i, part in enumerate(parts) if isinstance(part, torch.nn.BatchNorm2d))
    assert isinstance(parts[place - 1], torch.nn.Conv2d) and parts[place - 1].in_channels == 3
    return parts[place - 1], parts[place]


def test_statistics_are_those_of_the_images_and_weights_stay(cache: NYUv2Cache, model: DenseModel) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = np.arange(16)  # two batches of eight
    changed = reestimate(model, cache, rows)
    convolution, norm = first_pair(changed)
    with torch.no_grad():
        responses = convolution(torch.from_numpy(cache.images_N3HW[rows]))
    torch.testing.assert_close(norm.running_mean, responses.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(norm.running_var, responses.var((0, 2, 3)), rtol=0.1, atol=1e-4)
    assert not changed.training and norm.momentum == first_pair(model)[1].momentum
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for name, value in changed.named_parameters():
        assert torch.equal(value, before[name]), name


def test_every_image_is_predicted_under_its_own_cluster(
    cache: NYUv2Cache, model: DenseModel, tmp_path: Path
) -> None:
    for mode in ("all", "per_domain"):
        predict_reestimated(model, cache, CLUSTERS, mode, tmp_path / mode, mode)  # type: ignore[arg-type]
    found = {mode: DensePredictions.open(tmp_path / mode) for mode in ("all", "per_domain")}
    own = validation_clusters(cache, CLUSTERS["cluster"])
    assert set(own) == {0, 1}
    by_cluster = [reestimate(model, cache, np.arange(18)[k::2]) for k in (0, 1)]
    over_all = reestimate(model, cache, np.arange(18))
    for place, row in enumerate(cache.rows("val")):
        image = torch.from_numpy(cache.images_N3HW[[row]])
        for mode, used in (("all", over_all), ("per_domain", by_cluster[own[place]])):
            with torch.no_grad():
                depth = used(image).outputs["depth"][0].numpy()
            np.testing.assert_allclose(found[mode].depth_N1HW[place], depth, atol=1e-3)
    assert not np.allclose(found["all"].depth_N1HW, found["per_domain"].depth_N1HW, atol=1e-2)


def test_a_partition_without_clusters_is_refused(
    cache: NYUv2Cache, model: DenseModel, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no clusters"):
        predict_reestimated(model, cache, {"cluster": np.full(18, -1)}, "per_domain", tmp_path, "none")
