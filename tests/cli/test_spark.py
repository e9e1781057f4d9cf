from __future__ import annotations

import pytest

from anyplug.cli.spark import milliseconds, sparkline


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([None, None], "××"),
        ([5.0], "▁"),
        ([5.0, 5.0], "▁▁"),
        ([0.0, None, 7.0], "▁×█"),
        ([float(each) for each in range(8)], "▁▂▃▄▅▆▇█"),
        ([10.0, 13.5, 17.0], "▁▅█"),
    ],
)
def test_a_bar_each(values: list[float | None], expected: str) -> None:
    assert sparkline(values) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0.000 ms"),
        (0.0000534, "0.053 ms"),
        (0.00534, "5.34 ms"),
        (0.0534, "53.4 ms"),
        (0.534, "534 ms"),
        (5.34, "5340 ms"),
    ],
)
def test_milliseconds_have_three_digits_that_count(seconds: float | None, text: str) -> None:
    assert milliseconds(seconds) == text
