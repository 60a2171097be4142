"""What one HTTP surface answers: the table that dispatches its calls, and that is shown to whoever asks.

A surface has one :class:`Routes`. A handler enters itself by decorator, is found by method and path, and what is not
found is explained from the same table: so what is listed answers, and what answers is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import NamedTuple, TypeVar

from simulator.azure_ad.wire import Answer

SHOWN_MAX = 200
"""As many characters of a method or path that nobody knows are repeated in an answer."""

Handler = TypeVar("Handler", bound=Callable[..., Answer])


class Route(NamedTuple):
    """One entry: ``path`` has ``{name}`` in place of a segment that the handler gets under that name."""

    method: str
    path: str
    handle: Callable[..., Answer]
    about: str

    def names(self, segments: list[str]) -> dict[str, str] | None:
        """The segments that stand for names, if these segments are the route's; literal ones have no case."""
        found = {}
        for own, given in zip(split(self.path), segments, strict=True):
            if own.startswith("{"):
                found[own[1:-1]] = given
            elif own.lower() != given.lower():
                return None
        return found


class Routes:
    """The calls of one surface. host: the name it is known by, empty for one that any name leads to."""

    def __init__(self, host: str = "") -> None:
        self.host = host
        self._routes: list[Route] = []
        self._by_size: dict[tuple[str, int], list[Route]] = {}

    def __iter__(self) -> Iterator[Route]:
        """All routes, in the order in which they were entered."""
        return iter(self._routes)

    def on(self, method: str, path: str, about: str = "") -> Callable[[Handler], Handler]:
        """Enter the decorated handler for calls of ``method`` to ``path``; ``about``: what it is good for."""

        def enter(handle: Handler) -> Handler:
            route = Route(method, path, handle, about)
            self._routes.append(route)
            self._by_size.setdefault((method, len(split(path))), []).append(route)
            return handle

        return enter

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a call, with the names in its path; the first that fits."""
        segments = split(path)
        for route in self._by_size.get((method, len(segments)), ()):
            names = route.names(segments)
            if names is not None:
                return route, names
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that a path is known for."""
        segments = split(path)
        return [
            route.method
            for route in self._routes
            if len(split(route.path)) == len(segments) and route.names(segments) is not None
        ]

    def known(self) -> list[str]:
        """Every path once, with its methods: ``GET, POST /v1.0/users``."""
        return [f"{', '.join(methods)} {path}" for path, methods in self._methods_by_path().items()]

    def explain(self, method: str, path: str) -> str:
        """Why no route fits a call: what came, what comes nearest, and what is known."""
        shown = f"{method[:SHOWN_MAX]} {'https://' * bool(self.host)}{self.host}{path[:SHOWN_MAX]}"
        others = self.methods(path)
        if others:
            why = f"That path is known for {', '.join(others)} only."
        else:
            why = (
                f"No path matches; the nearest is {self._nearest(path)}." if self._routes else "Nothing is known here."
            )
        return f"The simulation has no {shown}. {why} It knows: {'; '.join(self.known())}."

    def _nearest(self, path: str) -> str:
        given = split(path[:SHOWN_MAX])

        def likeness(item: tuple[str, list[str]]) -> float:
            own = split(item[0])
            same = [
                there if mine.startswith("{") else mine.lower()
                for mine, there in zip(own, given + [""] * len(own), strict=False)
            ]
            return SequenceMatcher(None, "/".join(same), "/".join(given).lower()).ratio()

        nearest, methods = max(self._methods_by_path().items(), key=likeness)
        return f"{', '.join(methods)} {nearest}"

    def _methods_by_path(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for route in self._routes:
            found.setdefault(route.path, []).append(route.method)
        return found


def split(path: str) -> list[str]:
    """The segments of a path; slashes at its ends do not count."""
    return path.strip("/").split("/")
