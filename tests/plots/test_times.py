"""The bars of a step's times: their lengths, their unit, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu import plots


@pytest.mark.parametrize(
    ("times", "unit", "forward"),
    [
        ((2.0, 1.0), "s", 2.0),
        ((0.5, 0.4), "ms", 500.0),
        ((2e-4, 3e-4), "µs", 200.0),
        ((0.0, 0.0), "µs", 0.0),
    ],
)
def test_the_unit_suits_the_longest(times, unit, forward):
    ax = plots.step_times({"long": times, "nothing": (0.0, 0.0)})

    assert ax.get_xlabel() == unit
    assert ax.containers[0][0].get_width() == pytest.approx(forward)
    assert ax.containers[1][0].get_x() == pytest.approx(forward)


def test_forward_and_backward_are_told_apart_without_colour():
    ax = plots.step_times({"a": (1.0, 2.0)})

    hatches = [bars[0].get_hatch() for bars in ax.containers]
    assert hatches == [None, "//"]


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({}, "1 to 500 rows, got 0"),
        ({str(i): (1, 1) for i in range(501)}, "1 to 500 rows, got 501"),
        ({"a": (1.0, -1.0)}, "pairs of seconds"),
        ({"a": (1.0, np.nan)}, "pairs of seconds"),
        ({"a": (1.0, 1.0, 1.0)}, "pairs of seconds"),
    ],
)
def test_what_is_no_time_is_refused(times, told):
    with pytest.raises(ValueError, match=told):
        plots.step_times(times)
