"""Sections of figures of analyses: the shipped ones are the paper's, mistakes are named."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from nexusflow.paper.analysis_config import LemmaConfig, PictureFigureConfig, SpectrumFigureConfig
from nexusflow.paper.config import PaperConfig

PATH = Path(__file__).parents[2] / "config" / "paper.yaml"
RUN = {"run": "a", "label": "A"}


def test_the_shipped_figures_are_those_of_the_paper() -> None:
    paper = PaperConfig.model_validate(yaml.safe_load(PATH.read_text(encoding="utf-8")))
    assert (len(paper.figure3.runs), paper.figure3.suite, paper.figure3.features) == (
        4,
        "nuscenes",
        ("latent",),
    )
    assert (paper.figure3_v1.runs, paper.figure3_v1.features) == (paper.figure3.runs, ("h", "latent"))
    assert (len(paper.figure4.runs), paper.figure4.suite) == (3, "nyuv2")
    assert (len(paper.figure5.runs), paper.figure5.features) == (3, ("latent", "embedding"))
    assert {run.suite for run in paper.lemma.runs} == {"nuscenes", "nyuv2"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": [RUN, RUN]}, "run repeated: a"),
        ({"runs": []}, "at least 1 item"),
        ({"features": ["latent", "latent"]}, "features repeated: latent"),
        ({"features": ["z"]}, "'h', 'embedding' or 'latent'"),
        ({"suite": "kitti"}, "'nuscenes' or 'nyuv2'"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"sede": 1}, "sede"),
    ],
)
@pytest.mark.parametrize("model", [PictureFigureConfig, SpectrumFigureConfig])
def test_mistakes_are_named(model: type, changes: dict[str, Any], message: str) -> None:
    good = {"title": "T", "runs": [RUN], "features": ["latent"]}
    assert model.model_validate(good).seed == 0
    with pytest.raises(ValidationError, match=message):
        model.model_validate(good | changes)


def test_runs_of_two_suites_may_share_a_name() -> None:
    runs = [RUN | {"suite": suite} for suite in ("nuscenes", "nyuv2")]
    assert len(LemmaConfig.model_validate({"title": "T", "runs": runs}).runs) == 2
    with pytest.raises(ValidationError, match="run repeated: nyuv2/a"):
        LemmaConfig.model_validate({"title": "T", "runs": [*runs, runs[1]]})
