"""Runs of another tap start from the same phase 1, and nothing else is forgiven."""

from pathlib import Path

from nexusflow.config.bindings.nuscenes import NuScenesBinding, _architecture
from nexusflow.config.load import load_configuration
from nexusflow.suites.nuscenes.suite import architecture_of


def test_a_tap_does_not_change_the_weights(config_folder: Path) -> None:
    configuration = load_configuration(config_folder, "embedded")
    start = configuration.resolve("nuscenes", "baseline").model
    assert _architecture(start) == architecture_of(start)
    for run in ("nexusflow_tap_memory", "nexusflow_tap_bev"):
        model = configuration.resolve("nuscenes", run).model
        assert model.tap != start.tap
        assert _architecture(model) == _architecture(start)
    wider = start.model_copy(update={"norm_groups": 2})
    assert _architecture(wider) != _architecture(start)


def test_the_cache_follows_the_map_queries(config_folder: Path) -> None:
    embedded, full = (load_configuration(config_folder, scale) for scale in ("embedded", "full"))
    binding = NuScenesBinding()
    assert set(binding.settings(embedded, "cache", {})) == {"version", "reader"}
    assert binding.settings(full, "cache", {})["instances"] is True
