"""The session of a world's agent: straight to the world's hosts, and otherwise like any other session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.wire import Answer
from simulator.direct_session import DirectSession

OWN = "https://own.example"


class Echo:
    """An application that keeps what it was asked, and answers as told."""

    hosts = ("own.example",)

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, Any]] = []

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        self.asked.append(environ)
        return (
            self.answers.pop(0)
            if self.answers
            else Answer(200, [("Content-Type", "text/plain; charset=utf-8")], b"yes")
        )


header_names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


class TestPreparing:
    @given(
        method=st.sampled_from(["get", "POST", "Put", "HEAD"]),
        path=st.text(max_size=20),
        data=st.none() | st.binary(max_size=20) | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
        headers=st.none() | st.dictionaries(header_names, header_values, max_size=4),
    )
    def test_is_what_requests_prepares(
        self, method: str, path: str, data: Any, headers: dict[str, str | bytes] | None
    ) -> None:
        """A plain request comes out as requests itself prepares it."""
        session = DirectSession()
        url = f"{OWN}/{path}"
        wanted = session.prepare_request(requests.Request(method.upper(), url, headers=headers, data=data or {}))
        made = session.prepare_plain(method, url, data, headers)
        assert (made.method, made.url, made.body) == (wanted.method, wanted.url, wanted.body)
        assert dict(made.headers) == dict(wanted.headers)

    @pytest.mark.parametrize("headers", [{"X": "a\nb"}, {"X": " a"}, {"X": 3}, {"X": ["a"]}])
    def test_refuses_headers_that_requests_refuses(self, headers: dict[str, Any]) -> None:
        """What can be no header raises the same exception."""
        session, plain = DirectSession(), requests.Session()
        with pytest.raises(requests.exceptions.InvalidHeader) as usual:
            plain.get(OWN, headers=headers)
        with session.answered_by(Echo()), pytest.raises(requests.exceptions.InvalidHeader) as direct:
            session.get(OWN, headers=headers)
        assert str(direct.value) == str(usual.value)


class TestAnswers:
    def test_says_what_the_application_says(self) -> None:
        """Status, headers, text and the request stand in the response."""
        application = Echo(Answer(404, [("Content-Type", "text/plain; charset=utf-8"), ("X-A", "b")], "ä".encode()))
        session = DirectSession()
        with session.answered_by(application):
            found = session.post(f"{OWN}/a?b=c", data=b"xyz", headers={"Content-Type": "x/y"}, timeout=3)
        assert (found.status_code, found.reason, found.text, found.headers["x-a"]) == (404, "Not Found", "ä", "b")
        assert (found.url, found.request.body, found.ok, found.history) == (f"{OWN}/a?b=c", b"xyz", False, [])
        (asked,) = application.asked
        assert (asked["REQUEST_METHOD"], asked["QUERY_STRING"], asked["CONTENT_TYPE"]) == ("POST", "b=c", "x/y")
        assert asked["wsgi.input"].read() == b"xyz"

    def test_sends_forms(self) -> None:
        """A dictionary goes out as a form."""
        application = Echo()
        session = DirectSession()
        with session.answered_by(application):
            session.post(OWN, data={"a": "b c"}, params={})
        assert application.asked[0]["CONTENT_TYPE"] == "application/x-www-form-urlencoded"
        assert parse_qs(application.asked[0]["wsgi.input"].read().decode()) == {"a": ["b c"]}

    def test_raises_what_the_application_raises(self) -> None:
        """A wire that breaks is the caller's to know of."""

        class Broken(Echo):
            def answer(self, environ: Mapping[str, Any]) -> Answer:
                raise requests.ConnectionError("lost")

        session = DirectSession()
        with session.answered_by(Broken()), pytest.raises(requests.ConnectionError, match="lost"):
            session.get(OWN)

    def test_follows_redirects(self) -> None:
        """A redirect is followed as by any session, and only if that is allowed."""
        session = DirectSession()
        there = Answer(302, [("Location", "/there")], b"")
        with responses.RequestsMock() as mock, session.answered_by(Echo(there, there)):
            mock.get(f"{OWN}/there", body="come")
            found = session.get(OWN)
            stayed = session.get(OWN, allow_redirects=False)
        assert (found.text, [each.status_code for each in found.history]) == ("come", [302])
        assert (stayed.status_code, stayed.history) == (302, [])


class TestOtherWays:
    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("https://other.example/", {}),
            ("http://own.example/", {}),
            ("https://own.example:8443/", {}),
            (f"{OWN}/", {"params": {"a": "b"}}),
            (f"{OWN}/", {"cookies": {"a": "b"}}),
            (f"{OWN}/", {"json": {"a": 1}}),
            (f"{OWN}/", {"auth": ("a", "b")}),
            (f"{OWN}/", {"stream": True}),
        ],
    )
    def test_goes_the_usual_way(self, url: str, options: dict[str, Any]) -> None:
        """Other hosts, and whatever is not plain, is left to requests."""
        session, application = DirectSession(), Echo()
        with responses.RequestsMock() as mock, session.answered_by(application):
            mock.get(url, body="usual")
            assert session.get(url, **options).text == "usual"
        assert application.asked == []

    def test_is_an_ordinary_session_before_and_after(self) -> None:
        """Outside of the block nothing is answered directly."""
        session, application = DirectSession(), Echo()
        with session.answered_by(application):
            assert session.get(OWN).text == "yes"
        with responses.RequestsMock() as mock:
            mock.get(f"{OWN}/", body="usual")
            assert session.get(f"{OWN}/").text == "usual"
        assert len(application.asked) == 1
