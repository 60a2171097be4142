"""An agent under test may send what is no credential: that is its fault, not the simulation's."""

from __future__ import annotations

import pytest
from world import broken_agents
from world.runs import ALICE, run

from simulator.azure_ad.sign_in import PasswordVerifier

TEXT = (
    ALICE
    + """
timeline:
  - {at: +3m, do: {ad.reset-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +6m, expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: wrong-password}}}
"""
)


@pytest.mark.parametrize("garbled", ["v1;PPH1_MD4,not hex", "", "\u20ac" * 103, "v1;PPH1_MD4," + "0" * 91, "&<" * 9000])
def test_run_goes_on(garbled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item fails with a result of its own; the run ends, and says what did not hold."""
    monkeypatch.setattr(broken_agents.Garbles, "garbled", garbled)
    result = run(TEXT, engine="world.broken_agents:Garbles")
    assert {failure.kind for failure in result.failures} == {"expectation"}


@pytest.mark.parametrize(
    "garbled", ["", "v1;", "v1;PPH1_MD4,00,1000,00;", "v1;PPH1_MD4,00112233445566778899,9" + "9" * 40]
)
def test_fits_nothing(garbled: str) -> None:
    """What is no credential was made from no password."""
    assert not PasswordVerifier().matches(bytes(16), garbled)
