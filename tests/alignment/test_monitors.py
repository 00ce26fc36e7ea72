"""Monitors: they tell collapse from alignment, and remember the right samples."""

import pytest
import torch

from nexusflow.alignment import (
    AlignmentOutput,
    CollapseMonitor,
    NexusFlow,
    collapse_report,
    collapse_signs,
    effective_rank,
)


def output_of(track_BD: torch.Tensor, map_BD: torch.Tensor) -> AlignmentOutput:
    vectors = {"track": track_BD, "map": map_BD}
    log_dets = {"track": torch.zeros(len(track_BD)), "map": torch.full((len(map_BD),), -2.0)}
    return AlignmentOutput(vectors, vectors, log_dets, loss=torch.zeros(()), terms={})


def gaussians(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_healthy_alignment():
    z_BD = gaussians(0, 256, 16)
    report = collapse_report(output_of(z_BD, z_BD + 0.1 * gaussians(1, 256, 16)))
    assert report["track/latent_std"] == pytest.approx(1, abs=0.1)
    assert report["track/latent_rank"] > 14 and report["map/embedding_rank"] > 14
    assert report["cosine_same"] > 0.98 and abs(report["cosine_shuffled"]) < 0.05
    assert report["distance_ratio"] < 0.1
    assert report["relative_loss"] == pytest.approx(0.005, rel=0.2)
    assert report["map/log_det_mean"] == -2 and report["map/log_det_std"] == 0


def test_collapse_to_a_point():
    noise_BD, point_D = 1e-3 * gaussians(0, 256, 16), gaussians(1, 16)
    report = collapse_report(output_of(point_D + noise_BD, point_D + 1e-3 * gaussians(2, 256, 16)))
    assert report["track/latent_std"] < 2e-3
    assert report["relative_loss"] < 1e-4
    assert report["cosine_same"] > 0.99 and report["cosine_shuffled"] > 0.99
    assert report["distance_ratio"] == pytest.approx(1, abs=0.05)


def test_collapse_to_a_constant_and_to_zero():
    report = collapse_report(output_of(torch.ones(8, 4), torch.ones(8, 4)))
    assert report["track/latent_rank"] == 0 and report["relative_loss"] == 0
    assert all(torch.tensor(value).isfinite() for value in report.values())
    report = collapse_report(output_of(torch.zeros(8, 4), torch.zeros(8, 4)))
    assert all(torch.tensor(value).isfinite() for value in report.values())


def test_collapse_to_a_line():
    line_BD = gaussians(0, 256, 1) * gaussians(1, 1, 16)
    assert collapse_report(output_of(line_BD, line_BD))["track/latent_rank"] == pytest.approx(1, abs=1e-3)


def test_unrelated_tasks():
    report = collapse_report(output_of(gaussians(0, 256, 16), gaussians(1, 256, 16)))
    assert report["distance_ratio"] == pytest.approx(1, abs=0.05)
    assert report["relative_loss"] == pytest.approx(1, abs=0.05)


def test_signs_of_collapse():
    z_BD, noise_BD = gaussians(0, 64, 16), gaussians(1, 64, 16)
    assert collapse_signs(collapse_report(output_of(z_BD, z_BD + 0.01 * noise_BD))) == []  # aligned
    assert collapse_signs(collapse_report(output_of(z_BD, noise_BD))) == []  # not aligned yet
    point = collapse_signs(collapse_report(output_of(10 + 1e-3 * z_BD, 10 + 1e-3 * noise_BD)))
    assert len(point) == 1 and "no closer" in point[0]
    line_BD = z_BD[:, :1] * noise_BD[:1]
    assert collapse_signs(collapse_report(output_of(line_BD, line_BD))) == [
        f"latents of {task!r} lie on a line or at a point" for task in ("track", "map")
    ]


def test_effective_rank_ignores_scale_and_offset():
    x_BD = gaussians(0, 100, 5)
    assert effective_rank(1e-3 * x_BD + 1) == pytest.approx(effective_rank(x_BD), rel=1e-3)
    assert 4.5 < effective_rank(x_BD) <= 5


def test_single_samples_have_no_shuffled_pairs():
    report = collapse_report(output_of(torch.ones(1, 4), torch.ones(1, 4)))
    assert "cosine_shuffled" not in report and "distance_ratio" not in report
    assert report["cosine_same"] == pytest.approx(1)


def test_three_tasks():
    vectors = {task: gaussians(seed, 64, 8) for seed, task in enumerate("abc")}
    output = AlignmentOutput(
        vectors, vectors, {task: torch.zeros(64) for task in vectors}, torch.zeros(()), {}
    )
    report = collapse_report(output)
    assert {f"{task}/latent_rank" for task in "abc"} < set(report)
    assert abs(report["cosine_same"]) < 0.2


@pytest.mark.parametrize("batch", [1, 3, 4, 10, 25])
def test_the_window_holds_the_last_samples(batch):
    monitor = CollapseMonitor(["track", "map"], dim=4, window=10)
    samples_SD = gaussians(0, 50, 4)
    for chunk_BD in samples_SD.split(batch):
        monitor.update(output_of(chunk_BD, 2 * chunk_BD))
    expected = collapse_report(output_of(samples_SD[-10:], 2 * samples_SD[-10:]))
    assert monitor.report() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_partly_filled_window():
    monitor = CollapseMonitor(["track", "map"], dim=4, window=10)
    assert monitor.report() == {}
    x_BD = gaussians(0, 6, 4)
    monitor.update(output_of(x_BD, x_BD))
    assert monitor.report() == pytest.approx(collapse_report(output_of(x_BD, x_BD)))


def test_memory_holds_no_graph_and_survives_a_checkpoint():
    surrogates = NexusFlow({"track": 3, "map": 3}, dim=8, output="second_half")
    monitor = CollapseMonitor(surrogates.tasks, 8, surrogates.latent_dim, window=6)
    for seed in range(3):
        monitor.update(surrogates({"track": gaussians(seed, 4, 3), "map": gaussians(seed + 9, 4, 3)}))
    assert not any(memory.requires_grad for memory in monitor.buffers())
    restored = CollapseMonitor(surrogates.tasks, 8, surrogates.latent_dim, window=6)
    restored.load_state_dict(monitor.state_dict())
    assert restored.report() == monitor.report() and len(monitor.report()) > 10
