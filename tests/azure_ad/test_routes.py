"""The table that a surface dispatches by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.routes import Routes
from simulator.azure_ad.wire import Answer

OK = Answer(200, [], b"")


@pytest.fixture
def routes() -> Routes:
    made = Routes("graph.example")

    @made.on("GET", "/v1.0/users", "all")
    @made.on("POST", "/v1.0/users", "one more")
    @made.on("GET", "/v1.0/users/{user}")
    @made.on("GET", "/v1.0/users/{user}/things/{thing}")
    def answer() -> Answer:
        return OK

    return made


class TestFind:
    @pytest.mark.parametrize(
        ("path", "names"),
        [
            ("/v1.0/users", {}),
            ("/V1.0/Users/", {}),
            ("/v1.0/users/Alice@X", {"user": "Alice@X"}),
            ("/v1.0/users/a/things/b", {"user": "a", "thing": "b"}),
        ],
    )
    def test_found(self, routes: Routes, path: str, names: dict[str, str]) -> None:
        """Literal segments have no case, the others are handed on as they came."""
        found = routes.find("GET", path)
        assert found is not None
        assert found[1] == names

    @pytest.mark.parametrize("path", ["", "/", "/v1.0", "/v1.0/groups", "/v1.0/users/a/b", "/v1.0/users/a/things/b/c"])
    def test_not_found(self, routes: Routes, path: str) -> None:
        """What is not entered is not found."""
        assert routes.find("GET", path) is None
        assert routes.methods(path) == []

    def test_method(self, routes: Routes) -> None:
        """The methods of a path are told apart."""
        assert routes.find("DELETE", "/v1.0/users") is None
        assert sorted(routes.methods("/v1.0/users")) == ["GET", "POST"]


class TestExplain:
    @pytest.mark.parametrize(
        ("path", "nearest"),
        [
            ("/v1.0/user", "POST, GET /v1.0/users"),
            ("/v1.0/users/bob/thing/5", "GET /v1.0/users/{user}/things/{thing}"),
            ("/beta/users/bob", "GET /v1.0/users/{user}"),
        ],
    )
    def test_nearest(self, routes: Routes, path: str, nearest: str) -> None:
        """The path that comes nearest is named, and what came."""
        text = routes.explain("GET", path)
        assert f"no GET https://graph.example{path}." in text
        assert f"the nearest is {nearest}" in text

    def test_method(self, routes: Routes) -> None:
        """A known path is named with its methods."""
        assert "That path is known for" in routes.explain("PUT", "/v1.0/users")

    @given(st.text(max_size=400), st.text(max_size=3000))
    def test_any(self, method: str, path: str) -> None:
        """Whatever came, there is a text of bounded length."""
        made = Routes()
        made.on("GET", "/a/{b}")(lambda: OK)
        assert len(made.explain(method, path)) < 700
