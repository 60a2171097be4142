"""Random plans as a hypothesis strategy, for property tests of an agent: hypothesis draws, and shortens what fails.

    @given(plans())
    def test_my_agent(plan):
        assert play(case_of(plan, PLAN_PATH), "my.agent:factory").judged() == []

Where a seed must mean the same plan for years, as in ``pwsync explore``, it is drawn without hypothesis, by
:func:`simulator.explore.plans.draw_plan`.
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from simulator.explore.plans import draw_plan_from
from simulator.explore.writing import Document


@st.composite
def plans(draw: st.DrawFn) -> Document:
    """Plans of random runs; see :mod:`simulator.explore.plans`."""

    def source(name: str) -> Random:
        return draw(st.randoms(use_true_random=False))

    return draw_plan_from(source, source, draw(st.integers(0, 2**32 - 1)))
