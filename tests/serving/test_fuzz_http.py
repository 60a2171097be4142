"""A sample of the HTTP fuzzing, and what it would notice. ``python tests/serving/fuzz_http.py`` runs it at length."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from serving.fuzz_http import Figures, Fuzzer

from simulator.azure_ad import tokens
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.wire import Answer
from simulator.refusal import Refusal
from simulator.serving import control

SAMPLE = 1_500


def problems(figures: Figures) -> str:
    return "\n".join(figures.problems)


def test_sample() -> None:
    """Bent requests to every surface are answered in its own words, and what is refused changes nothing."""
    figures = Fuzzer(SAMPLE, seed=1).run()
    assert not figures.problems, problems(figures)
    assert figures.requests == SAMPLE
    assert figures.over_tls == SAMPLE // 50
    assert set(figures.by_surface) == {"graph", "login", "adminwebservice", "adfs", "control", "replication"}
    for surface in figures.by_surface:
        assert any(int(each.split()[1]) < 400 for each in figures.by_status if each.startswith(surface))


def test_repeats() -> None:
    """The same seed makes the same requests, which get the same answers."""
    first, second = (Fuzzer(300, seed=7).run() for _ in range(2))
    assert first.by_status == second.by_status


class TestNotices:
    """What the fuzzing is for, each planted once."""

    def test_exception(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exception that no surface expects."""

        def find(self: Any, refresh_token: str) -> Any:
            raise KeyError(refresh_token)

        monkeypatch.setattr(Tenant, "find_session", find)
        assert "an exception" in problems(Fuzzer(SAMPLE, seed=1, problems_max=1).run())

    def test_half_done(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A call that is refused after it was carried out."""
        delete = Tenant.delete_user

        def delete_and_refuse(self: Any, user: Any) -> None:
            delete(self, user)
            raise Refusal("locked", "too late")

        monkeypatch.setattr(Tenant, "delete_user", delete_and_refuse)
        assert "status 403 changed" in problems(Fuzzer(SAMPLE, seed=1, problems_max=1).run())

    def test_forged_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A token that opens something though nobody has signed it."""

        def read(token: str) -> Any:
            try:
                body = token.split(".")[1]
                return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            except (ValueError, IndexError) as error:
                raise tokens.InvalidToken(str(error)) from error

        monkeypatch.setattr(tokens, "_verify", read)
        assert "with a token of kind forged" in problems(Fuzzer(SAMPLE, seed=1, problems_max=1).run())

    def test_shape(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A refusal that says nothing."""
        monkeypatch.setattr(control, "_refusal", lambda status, reason, detail: Answer(status, [], b""))
        assert "in the shape of nobody" in problems(Fuzzer(SAMPLE, seed=1, problems_max=1).run())
