"""Writes workflow/smoke/dvc.yaml: the stages of dvc.yaml at the smoke scale, with a lock of their own.

    python scripts/smoke_pipeline.py

Tables and figures stay below results/smoke, so that both pipelines live in one checkout.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SCALE = "smoke"
TARGET = ROOT / "workflow" / SCALE / "dvc.yaml"
HEADER = "# Written by scripts/smoke_pipeline.py from dvc.yaml.\n"


def smoke_pipeline(text: str) -> str:
    """Turn the text of dvc.yaml into that of the smoke scale's pipeline."""
    text = text.replace("results/${scale}/", f"results/{SCALE}/").replace("${scale}", SCALE)
    text = re.sub(rf"results/(?!{SCALE}/)", f"results/{SCALE}/", text)
    text = re.sub(
        r"snakemake --cores all (\w+)", rf"snakemake --cores all --config scale={SCALE} -- \1", text
    )
    text = text.replace("-- stage_paper", "-- stage_paper_of_scale")
    text = text.replace("nexusflow seal", f"nexusflow seal --scale {SCALE}")
    content = yaml.safe_load(text)
    del content["vars"]
    content["stages"] = {name: {"wdir": "../..", **stage} for name, stage in content["stages"].items()}
    above = {key: _from_here(content[key]) for key in ("metrics", "plots")}
    return HEADER + yaml.safe_dump({"stages": content["stages"], **above}, sort_keys=False, width=110)


def _from_here(value: object) -> object:
    """Paths outside of stages count from the folder of the file."""
    if isinstance(value, str):
        return f"../../{value}" if value.startswith("results/") else value
    if isinstance(value, list):
        return [_from_here(item) for item in value]
    if isinstance(value, dict):
        return {_from_here(key): _from_here(item) for key, item in value.items()}
    return value


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(smoke_pipeline((ROOT / "dvc.yaml").read_text()))
