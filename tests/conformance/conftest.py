"""The two servers, and the table at the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.comparison import Comparison, Verdicts

WORDS = ("agree", "differ", "unlisted", "stale", "failed")
VERDICTS: pytest.StashKey[Verdicts] = pytest.StashKey()


@pytest.fixture(scope="session")
def comparison(request: pytest.FixtureRequest) -> Iterator[Comparison]:
    """Both servers, up; skipped where Samba cannot be."""
    from conformance.catalogue import Check
    from conformance.controller import obstacle

    missing = obstacle()
    if missing:
        pytest.skip(missing)
    from conformance.comparison import Comparison
    from conformance.runner import Runner
    from conformance.servers import OurServer, SambaServer

    selected = [item.callspec.params.get("check") for item in request.session.items if hasattr(item, "callspec")]
    verdicts = request.config.stash.setdefault(VERDICTS, {})
    with ExitStack() as stack:
        # Whoever ends the run politely gets the same tidying up as with Ctrl-C.
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, signal.default_int_handler))
        servers = [stack.enter_context(SambaServer()), stack.enter_context(OurServer())]
        runner = Runner(servers, [each for each in selected if isinstance(each, Check)])
        stack.callback(runner.close)
        yield Comparison(runner, verdicts)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Checks by area, and each listed difference with both answers and its reason."""
    verdicts = config.stash.get(VERDICTS, {})
    if not verdicts:
        return
    write = terminalreporter.write_line
    terminalreporter.section("conformance")
    reason = None
    for check, verdict, listed in sorted(verdicts.values(), key=lambda each: (str(each[2]), each[0].number)):
        if verdict.word == "differ" and listed is not None:
            if listed != reason:
                write(f"{listed.kind}: {listed.reason}")
                reason = listed
            write(f"    {check.id}")
            for line in verdict.text.splitlines():
                write(f"        {line}")
    areas = dict.fromkeys(check.area for check, _, _ in verdicts.values())
    write(f"{'area':24}{'checks':>8}" + "".join(f"{word:>10}" for word in WORDS))
    for area in [*areas, None]:
        words = [verdict.word for check, verdict, _ in verdicts.values() if area in (None, check.area)]
        write(f"{area or 'all':24}{len(words):>8}" + "".join(f"{words.count(word):>10}" for word in WORDS))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per check of the table."""
    if "check" in metafunc.fixturenames:
        import conformance.checks  # noqa: F401 # fills the table
        from conformance.catalogue import CHECKS

        metafunc.parametrize("check", list(CHECKS), ids=[check.id for check in CHECKS])
