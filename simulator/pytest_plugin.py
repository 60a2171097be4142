"""The pytest plugin: ``pytest scenarios`` collects scenario files, one item per case.

Tags become marks (``-m smoke``), ``-k`` finds parts of the id, ``-n`` and JUnit work as with any test, and a failure
shows the text that ``pwsync run`` shows. A file is taken if it ends in ``.yaml``, has a key ``scenario`` at its top,
and stands below a folder named ``scenarios`` or was named on the command line; everything else is left to others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from simulator.scenario.file import Case
    from simulator.scenario.result import RunResult

_TITLE = re.compile(rb"""^(?:\{\s*)?["']?scenario["']?[ \t]*:""", re.MULTILINE)
_WINDOW = 65536
"""How many bytes of a file are looked at to tell whether it is a scenario."""

_MEANINGFUL = frozenset(
    {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "tryfirst", "trylast"}
)
"""Marks that do something in pytest: a tag of this name selects by ``-k`` only."""


class ScenarioBroke(Exception):
    """A scenario did not hold, or could not be run; carries the result."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        super().__init__(result.id)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Take a scenario file; leave every other file alone."""
    if file_path.suffix != ".yaml":
        return None
    if "scenarios" not in file_path.parent.parts and not parent.session.isinitpath(file_path):
        return None
    if not (_is_asked_for(parent, file_path) or _has_title(file_path)):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


def _is_asked_for(parent: pytest.Collector, path: Path) -> bool:
    """Whether the command line names the file or a folder above it: then one without a title is an error too."""
    if parent.config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    return any(parent.session.isinitpath(each) for each in (path, *path.parents))


def _has_title(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _TITLE.search(file.read(_WINDOW)) is not None
    except OSError:
        return False


class ScenarioFile(pytest.File):
    """A scenario file; its errors are errors of the collection."""

    def collect(self) -> Iterator[ScenarioItem]:
        from simulator.scenario.file import load
        from simulator.suite import unrunnable

        loaded = load(self.path)
        if errors := loaded.errors or unrunnable(loaded.cases):
            raise self.CollectError("\n\n".join(error.render() for error in errors))
        for case in loaded.cases:
            yield ScenarioItem.from_parent(self, name=_item_name(case), case=case)


def _item_name(case: Case) -> str:
    """The row, or the file's name, and the profile where the id names one."""
    profile = f"[{case.profile}]" if case.id.endswith(f"[{case.profile}]") else ""
    return (case.row or Path(case.path).stem) + profile


class ScenarioItem(pytest.Item):
    """One case of a scenario file."""

    def __init__(self, *, case: Case, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.case = case
        self.extra_keyword_matches.update({case.id, *case.tags, *case.scenario.rules})
        for tag in case.tags:
            if tag not in _MEANINGFUL and not tag.startswith("_"):
                self.config.addinivalue_line("markers", f"{tag}: scenarios with this tag")
                self.add_marker(tag)

    def runtest(self) -> None:
        from simulator.scenario.runner import RunOptions, run_case

        result = run_case(self.case, RunOptions())
        self.user_properties += [
            ("rules", " ".join(result.rules)),
            ("seed", result.seed),
            ("digest", result.digest),
        ]
        if result.outcome != "held":
            raise ScenarioBroke(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if not isinstance(excinfo.value, ScenarioBroke):
            return super().repr_failure(excinfo, style)
        from simulator.report.text import result_text

        return result_text(excinfo.value.result)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, 0, self.case.id
