"""Charts of training logs lie in their frame and say in words what they show."""

from pathlib import Path

from nexusflow.paper.report.curves import HEIGHT, WIDTH, draw_charts
from nexusflow.paper.report.present import find_files


def test_every_run_has_a_chart_of_each_loss(results: Path) -> None:
    charts = draw_charts(find_files(results).logs, {("nuscenes", "full"): "Full supervision"})
    assert [(chart.suite, chart.panel, chart.label) for chart in charts] == [
        ("nuscenes", "Task losses", "Full supervision"),
        ("nuscenes", "Alignment loss, weighted", "Full supervision"),
        ("nyuv2", "Task losses", "baseline"),
        ("nyuv2", "Alignment loss, weighted", "baseline"),
    ]
    assert [curve.seed for curve in charts[0].curves] == [0, 1] and charts[0].steps == 40
    assert charts[0].words.startswith("Task losses of Full supervision over 40 steps; seed 0: from")
    for chart in charts:
        points = [
            tuple(map(float, point.split(","))) for curve in chart.curves for point in curve.points.split()
        ]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)


def test_far_apart_values_have_a_logarithmic_axis_and_long_logs_few_points(tmp_path: Path) -> None:
    path = tmp_path / "nuscenes" / "full" / "seed3" / "log.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "step,loss/map/dice\n" + "".join(f"{step},{10.0 ** (-step / 200)}\n" for step in range(1, 1001))
    )
    (chart,) = draw_charts([path], {})
    assert chart.logarithmic
    points = [tuple(map(float, point.split(","))) for point in chart.curves[0].points.split()]
    assert len(points) == 120
    # An exponential is a straight line on it.
    middle = points[len(points) // 2]
    assert abs(middle[1] / HEIGHT - middle[0] / WIDTH) < 0.02


def test_a_log_without_losses_has_no_chart(tmp_path: Path) -> None:
    path = tmp_path / "nuscenes" / "full" / "seed0" / "log.csv"
    path.parent.mkdir(parents=True)
    path.write_text("step,lr\n1,0.1\n2,0.1\n")
    assert draw_charts([path], {}) == []


def test_task_losses_are_added_up_and_short_logs_are_not_smoothed(tmp_path: Path) -> None:
    path = tmp_path / "nyuv2" / "jtr" / "seed0" / "log.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "step,loss/depth/l1,loss/normal/cosine,loss/jtr/distance,loss/total\n1,1,2,9,12\n2,1,1,9,11\n"
    )
    (chart,) = draw_charts([path], {})
    assert (chart.curves[0].first, chart.curves[0].last) == (3.0, 2.0)
