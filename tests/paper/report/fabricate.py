"""Invented results of a scale, laid out as the workflow lays them out; one text in them looks like markup."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nexusflow.config.load import load_configuration
from nexusflow.core.files import write_json, write_text
from nexusflow.paper.claims import write_claims
from nexusflow.paper.claims_values import ClaimFiles
from nexusflow.paper.report.outputs import Output
from nexusflow.paper.report.page import ReportSource
from nexusflow.paper.rows import TableContext

ROOT = Path(__file__).parents[3]
MARKUP = "<script>alert('x')</script> & \"quoted\""
OUTPUTS = [
    Output("table2", "csv"),
    Output("tableB1", "csv"),
    Output("gap_sweep", "csv", on_request=True),
    Output("figure6", "png"),
    Output("collapse", "png"),
    Output("video", "gif"),
]
TABLE2 = (
    "id,method,group,run,region,status,n,seeds,AMOTA,AMOTA std,AMOTA paper,Lanes,Lanes std,Lanes paper,"
    "train seconds,steps,scale,data,inputs sha256\n"
    'full,Full supervision,paper,full,all,measured,2,0 1,.5,.01,.323,69.9,0.2,31.40,566,1500,smoke,"{m}",ab\n'
    'full,Full supervision,paper,full,boston,measured,2,0 1,0.6,0.02,,71.1,0.1,,,,smoke,"{m}",ab\n'
    'base,Baseline,paper,baseline,all,measured,2,0 1,0.25,0.04,0.289,58.1,1.0,27.1,60,1500,smoke,"{m}",cd\n'
    'base,Baseline,paper,baseline,boston,measured,2,0 1,0.35,0.01,,60.2,1.1,,,,smoke,"{m}",cd\n'
    'ours,"{m}",ours only,nexusflow_two_stage,all,not yet run,0,,,,,,,,,,smoke,"{m}",\n'
)
TABLE_B1 = (
    "metric,group,better,unit,Baseline,Baseline std,Baseline n,Baseline paper,1,1 std,1 n,1 paper,"
    "scale,data\n"
    "Seg IoU,paper,up,%,25.8991,,1,26.75,20.7859,,1,28.57,smoke,rooms\n"
    "Depth aErr,paper,down,m,0.695235,,1,0.6511,0.732181,,1,0.6841,smoke,rooms\n"
)


def quoted(text: str) -> str:
    """Escape a text for a quoted cell."""
    return text.replace('"', '""')


def write_provenance(base: Path, suite: str, run: str, seed: int) -> None:
    """Write what training leaves of a run but its weights."""
    folder = base / "checkpoints" / suite / run / f"seed{seed}"
    content = {"suite": suite, "run": run, "seed": seed, "steps": 40, "train_seconds": 61.4 + seed}
    content |= {"code": "c0de" * 4, "data": "da7a" * 16, "settings": {"lambda": 1.0}, "precision": "32-true"}
    content |= {"peak_memory_mib": 1234.5, "versions": {"torch": "2.13.0"}, "scale": "smoke"}
    write_json(folder / "provenance.json", content)
    rows = [f"{step},{9.0 / step:.4f},{5.0 - step / 10:.3f}" for step in range(2, 42, 2)]
    write_text(folder / "log.csv", "step,loss/track/focal,loss/nexusflow/align\n" + "\n".join(rows) + "\n")
    job = "s\th:m:s\tmax_rss\tcpu_time\n90.5\t0:01:30\t700.25\t88.0\n"
    write_text(base / "benchmarks" / "train" / f"{suite}_{run}_seed{seed}.tsv", job)


def source() -> ReportSource:
    """Say what the invented results are about."""
    contexts = {
        "nuscenes": TableContext(
            "smoke", f"invented streets {MARKUP}", (0, 1), domain_gap=0.1, embedded=True
        ),
        "nyuv2": TableContext("smoke", "invented rooms", (0, 1), embedded=True),
    }
    paper = load_configuration(ROOT / "config", "smoke").paper
    return ReportSource("smoke", "invented worlds", contexts, paper, OUTPUTS)


def write_results(base: Path) -> None:
    """Write tables, a figure, the ledger and three runs.

    Args:
        base: results folder of the scale.
    """
    write_text(base / "table2.csv", TABLE2.replace("{m}", quoted(MARKUP)))
    write_text(base / "table2.md", "# Table 2\n")
    write_text(base / "tableB1.csv", TABLE_B1)
    Image.new("RGB", (2000, 500), "white").save(base / "figure6.png")
    Image.new("RGB", (60, 40), "red").save(base / "surprise.png")
    frames = [Image.new("P", (30, 20), colour) for colour in (0, 1)]
    frames[0].save(base / "video.gif", save_all=True, append_images=frames[1:], duration=500)
    about = source()
    write_claims(about.paper, ClaimFiles(), about.contexts, base)
    for suite, run, seed in (("nuscenes", "full", 0), ("nuscenes", "full", 1), ("nyuv2", "baseline", 0)):
        write_provenance(base, suite, run, seed)
