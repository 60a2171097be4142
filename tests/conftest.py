"""Guards for every test, and the option that rewrites golden files."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

# Whoever starts the tests in the background may have Ctrl-C ignored, in all that they start too: tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update``, unless the pytest plugin of pwsync brings it along already."""
    try:
        parser.addoption("--update", action="store_true", help="rewrite golden files with what came out")
    except ValueError:
        return


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(autouse=True)
def _time_moves_on() -> Iterator[None]:
    """No test leaves time frozen."""
    yield
    api = sys.modules.get("freezegun.api")
    if api is not None and api.freeze_factories:
        while api.freeze_factories:
            api.freeze_factories.pop()
        pytest.fail("this test left time frozen")
