"""Numbers of parameters are shortened to about three digits."""

import pytest

from nexusflow.paper.pipeline_panel import count_text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.00 k"),
        (12_345, "12.3 k"),
        (123_456, "123 k"),
        (1_500_000, "1.50 M"),
        (25_055_188, "25.1 M"),
    ],
)
def test_about_three_digits_stay(number: int, text: str) -> None:
    assert count_text(number) == text
