"""The profiles name rules that exist, and SLURM gets what they say, from an `sbatch` that only pretends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROFILES = ROOT / "profiles"
RULES = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))

SBATCH = """#!{python}
import pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
wrapped = next(a.removeprefix("--wrap=") for a in sys.argv if a.startswith("--wrap="))
with (here / "job.log").open("a") as log:
    code = subprocess.run(wrapped, shell=True, stdout=log, stderr=log).returncode
with (here / "states").open("a") as states:
    states.write(f"{{sum(1 for _ in (here / 'calls').open())}}|{{'FAILED' if code else 'COMPLETED'}}\\n")
print(sum(1 for _ in (here / "calls").open()))
"""
SACCT = '#!/bin/sh\ncase "$*" in *JobIdRaw*) cat "$(dirname "$0")/states" ;; esac\n'
SRUN = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
SINFO = '#!/bin/sh\necho "main*"\n'
SNAKEFILE = """
rule train:
    output:
        "trained",
    threads: 1
    resources:
        gpu=1,
    shell:
        "echo done > {output}"
"""


def read(name: str) -> dict:
    return yaml.safe_load((PROFILES / name / "config.yaml").read_text())


def rules_with_a_gpu() -> set[str]:
    """Rules that ask for a GPU."""
    parts = re.split(r"^rule (\w+):", RULES, flags=re.MULTILINE)[1:]
    return {name for name, body in zip(parts[::2], parts[1::2], strict=True) if "gpu=" in body}


def test_what_trains_or_predicts_asks_for_a_gpu() -> None:
    assert rules_with_a_gpu() == {"train", "nuscenes_predict", "nyuv2_predict", "features", "cost"}


@pytest.mark.parametrize(("name", "count"), [("gpu", 1), ("multi-gpu", 4)])
def test_profiles_of_one_machine_limit_the_gpus(name: str, count: int) -> None:
    profile = read(name)
    assert profile["resources"]["gpu"] == count and profile["cores"] == "all"


def test_the_slurm_profile_names_rules_that_exist() -> None:
    profile = read("slurm")
    named = {*profile["set-threads"], *profile["set-resources"]}
    assert {name for name in named if not re.search(rf"^rule {name}:", RULES, re.MULTILINE)} == set()
    assert rules_with_a_gpu() <= set(profile["set-threads"])


@pytest.mark.slow
def test_a_job_reaches_slurm_with_its_gpu(tmp_path: Path) -> None:
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs the extra `slurm`")
    tools = tmp_path / "bin"
    tools.mkdir()
    scripts = {"sbatch": SBATCH.format(python=sys.executable), "sacct": SACCT, "srun": SRUN, "sinfo": SINFO}
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "snakemake", "--profile", str(PROFILES / "slurm"), "--latency-wait", "1"]
    result = subprocess.run(
        [*command, "--slurm-init-seconds-before-status-checks", "1", "trained"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "USER": "someone"},
        capture_output=True,
        text=True,
        check=False,
    )
    job_log = (tools / "job.log").read_text() if (tools / "job.log").exists() else ""
    assert result.returncode == 0, result.stderr[-2000:] + job_log[-2000:]
    assert (tmp_path / "trained").read_text() == "done\n"
    (call,) = (tools / "calls").read_text().splitlines()
    for option in ("-p main", "-t 1440", "--mem 64000", "--cpus-per-task=8", "--gpus=1"):
        assert option in call, call
