"""Sizes of the dense networks: impossible ones are refused with a sentence."""

import pytest
from pydantic import ValidationError

from nexusflow.dense.config import DenseModelConfig


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tap": "N2"}, "needs network mtan"),
        ({"network": "mtan", "tap": "N4"}, "tap"),
        ({"norm": "group", "norm_groups": 5}, "must divide every width"),
        ({"widths": (8, 8, 8)}, "widths"),
        ({"depth": 3}, "depth"),
    ],
)
def test_impossible_sizes_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DenseModelConfig.model_validate(change)
