"""Settings of the evaluation: bounds and unknown keys."""

import pytest
from pydantic import ValidationError

from nexusflow.evaluation.config import EvaluationConfig


def test_defaults_are_the_official_evaluation() -> None:
    config = EvaluationConfig()
    assert (config.split, config.class_range_m, config.official, config.workers) == ("val", None, True, 1)


@pytest.mark.parametrize(
    "wrong", [{"class_range_m": 0.0}, {"class_range_m": {"tram": 5.0}}, {"workers": 0}, {"x": 1}]
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluationConfig(**wrong)  # type: ignore[arg-type]
