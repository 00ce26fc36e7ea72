"""Readings of the MMD: sets, scale, and features of different widths."""

from pathlib import Path

import numpy as np
import pytest

from nexusflow.analysis.config import AnalysisConfig
from nexusflow.analysis.features import KINDS, FeatureSet, read_features, write_features
from nexusflow.analysis.mmd_readings import mmd_readings, standardised, subset_size_of
from nexusflow.core.errors import UserError

CONFIG = AnalysisConfig(subsets=4, permutations=19)
TASKS = ("track", "map")
META = {
    "scale": "smoke",
    "suite": "nuscenes",
    "run": "toy",
    "seed": 0,
    "tasks": list(TASKS),
    "post_hoc": False,
    "labelled_in": {"track": "singapore", "map": "boston"},
}


def features(shift: float, h_widths: tuple[int, int] = (3, 3)) -> FeatureSet:
    """Both tasks equally distributed, but map features of Singapore moved away."""
    generator = np.random.default_rng(0)
    domains = np.array(["boston"] * 12 + ["singapore"] * 12)
    tables = {}
    for kind in KINDS:
        widths = h_widths if kind == "h" else (4, 4)
        tables[kind] = {
            task: generator.normal(size=(24, width)).astype(np.float32)
            for task, width in zip(TASKS, widths, strict=True)
        }
        tables[kind]["map"][12:] += shift
    names = np.array([f"frame{number}" for number in range(24)])
    return FeatureSet(tables, names, domains, names, META)


def values(found: dict, kind: str = "latent") -> dict[tuple[str, str], float]:
    rows = [row for row in found["readings"] if row["features"] == kind]
    return {(row["sets"], row["bandwidth"]): row["mmd2"] for row in rows}


def test_each_set_sees_its_own_frames() -> None:
    near, far = values(mmd_readings(features(0.0), CONFIG)), values(mmd_readings(features(9.0), CONFIG))
    # The moved frames are not in the domain that shows map labels.
    assert far["cross_domain", "data"] == near["cross_domain", "data"]
    assert far["same_frames", "data"] > 1.5 * near["same_frames", "data"]
    assert far["domain_gap", "fixed"] > 1.5 * near["domain_gap", "fixed"]


def test_a_common_scale_changes_nothing() -> None:
    plain, small = features(1.0), features(1.0)
    for task in TASKS:
        small.features["latent"][task][:] *= 2.0**-10
    assert values(mmd_readings(small, CONFIG)) == pytest.approx(values(mmd_readings(plain, CONFIG)))


def test_different_widths_leave_only_the_gap_of_one_task() -> None:
    found = values(mmd_readings(features(0.0, h_widths=(3, 5)), CONFIG), "h")
    assert {sets for sets, _ in found} == {"domain_gap"}


def test_subsets_fit_twice_into_a_domain() -> None:
    assert subset_size_of(features(0.0), 500) == 6 and subset_size_of(features(0.0), 4) == 4


def test_a_dimension_without_spread_stays_finite() -> None:
    x, y = standardised(np.array([[1.0, 2.0], [1.0, 4.0]]), np.array([[1.0, 6.0], [1.0, 8.0]]))
    assert not x[:, 0].any() and np.concatenate([x, y])[:, 1].std() == pytest.approx(1.0)


def test_features_survive_the_disk_and_damage_is_named(tmp_path: Path) -> None:
    path, made = tmp_path / "seed0.npz", features(1.0)
    write_features(path, made)
    first = path.read_bytes()
    read = read_features(path)
    assert read.tasks == list(TASKS) and (read.domains_N == made.domains_N).all()
    np.testing.assert_array_equal(read.of("latent", "map", "boston"), made.features["latent"]["map"][:12])
    write_features(path, made)
    assert path.read_bytes() == first
    short = FeatureSet(made.features, made.frames_N[1:], made.domains_N, made.groups_N, META)
    write_features(path, short)
    with pytest.raises(UserError, match="there are 23 frames"):
        read_features(path)
