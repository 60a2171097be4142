"""Suites: which scenario files there are, which of their cases are chosen, and what all their results come to.

A path is a file, a folder (every ``*.yaml`` below it that is not hidden, sorted), or ``FILE::row``. A case that two
paths name runs once. How cases are run, one by one or side by side, is :mod:`simulator.workers`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.scenario.errors import nearest, suggest
from simulator.scenario.result import ExitCode, Position, RunResult

if TYPE_CHECKING:
    from simulator.scenario.file import Case, FileError, Loaded

SUFFIX = ".yaml"


@dataclass(frozen=True)
class PathError:
    """A path that leads to no scenario. ``hint`` says what to do, or is empty."""

    message: str
    hint: str = ""

    def render(self) -> str:
        """The error as text, shaped like the errors of a file."""
        return f"error: {self.message}" + (f"\n  = {self.hint}" if self.hint else "")


@dataclass(frozen=True)
class Suite:
    """What some paths hold.

    cases: in the order of the paths, below a folder in the order of names.
    errors: of all paths and all files; a suite with errors is not run.
    files: number of files read.
    """

    cases: tuple[Case, ...]
    errors: tuple[FileError | PathError, ...]
    files: int


def files_below(folder: Path) -> list[Path]:
    """Scenario files below a folder, sorted by their parts; hidden files and folders are left out.

    Raises OSError for a folder that can't be read.
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if name.endswith(SUFFIX) and not name.startswith(".")]
    return sorted(found, key=lambda path: path.parts)


def _raise(error: OSError) -> None:
    raise error


def split_row(argument: str) -> tuple[Path, str | None]:
    """``FILE::row`` as (FILE, row); a path that exists as it stands has no row."""
    if "::" in argument and not Path(argument).exists():
        file, _, row = argument.rpartition("::")
        return Path(file), row
    return Path(argument), None


def find_files(argument: str) -> tuple[list[Path], str | None, PathError | None]:
    """The files that one PATH names, the row that it asks for, and the error if it names none."""
    path, row = split_row(argument)
    if not argument:
        return [], row, PathError("an empty path names no file or folder")
    if path.is_file():
        return [path], row, None
    if not path.is_dir():
        return [], row, PathError(f'there is no file or folder "{path}"', _near_path(path))
    if row is not None:
        return [], row, PathError(f'"{path}" is a folder; a row is asked for as FILE::row')
    try:
        files = files_below(path)
    except OSError as error:
        return [], None, PathError(f'can\'t read the folder "{error.filename}": {error.strerror}')
    if not files:
        return [], None, PathError(f'there is no scenario file (*{SUFFIX}) below "{path}"', _other_suffix(path))
    return files, None, None


def _near_path(path: Path) -> str:
    """What a missing path may have meant: the same with a suffix, below ``scenarios``, or a name like it."""
    for guess in (path.with_name(path.name + SUFFIX) if path.name else path, Path("scenarios", f"{path}{SUFFIX}")):
        if guess.is_file():
            return f'did you mean "{guess}"?'
    try:
        names = [name for name in os.listdir(path.parent) if not name.startswith(".")]
    except OSError:
        return ""
    near = nearest(path.name, names)
    return f'did you mean "{path.parent / near}"?' if near else ""


def _other_suffix(folder: Path) -> str:
    return f"files that end in .yml are not read: rename them to *{SUFFIX}" if any(folder.rglob("*.yml")) else ""


def collect(paths: Sequence[str], load: Callable[[Path], Loaded] | None = None) -> Suite:
    """Read every file that the paths name. All errors of all files are gathered; content never raises."""
    if load is None:
        from simulator.scenario.file import load as load_file

        load = load_file
    loaded: dict[Path, Loaded] = {}
    chosen: dict[Path, set[str] | None] = {}
    errors: list[FileError | PathError] = []
    for argument in paths:
        files, row, error = find_files(argument)
        if error is not None:
            errors.append(error)
        for file in files:
            key = file.resolve()
            if key not in loaded:
                loaded[key] = load(file)
                errors += loaded[key].errors
            if row is not None and (problem := _no_such_row(loaded[key], file, row)):
                errors.append(problem)
            _choose(chosen, key, row)
    cases = [case for key, file in loaded.items() for case in file.cases if _is_chosen(chosen[key], case)]
    return Suite(tuple(cases), tuple(errors), len(loaded))


def _choose(chosen: dict[Path, set[str] | None], key: Path, row: str | None) -> None:
    """Note the rows asked for; None stands for the whole file and stays."""
    if row is None:
        chosen[key] = None
    elif key not in chosen:
        chosen[key] = {row}
    elif (rows := chosen[key]) is not None:
        rows.add(row)


def _is_chosen(rows: set[str] | None, case: Case) -> bool:
    return rows is None or case.row in rows


def _no_such_row(loaded: Loaded, file: Path, row: str) -> PathError | None:
    rows = list(dict.fromkeys(case.row for case in loaded.cases if case.row is not None))
    if row in rows or loaded.errors:
        return None
    if not rows:
        return PathError(f'"{file}" has no examples, so there is no row "{row}"')
    return PathError(f'"{file}" has no row "{row}"', suggest(row, rows))


@dataclass(frozen=True)
class Choice:
    """Which cases of a suite to take.

    tags: a case is taken if each of these holds for it. One may name several words, ``a,b``: any of them will do;
        ``not:a`` holds for a case that does not have the tag.
    rule: only cases that name this rule. profile: only cases of this profile.
    """

    tags: tuple[str, ...] = ()
    rule: str | None = None
    profile: str | None = None

    def takes(self, case: Case) -> bool:
        """Whether the case is chosen."""
        return (
            all(_has_tag(case, words) for words in self.tags)
            and (self.rule is None or self.rule in case.scenario.rules)
            and (self.profile is None or self.profile == case.profile)
        )

    def describe(self) -> str:
        """The choice in words, for a message."""
        parts = [f"-t {words}" for words in self.tags]
        parts += [f"--rule {self.rule}"] * (self.rule is not None)
        parts += [f"--profile {self.profile}"] * (self.profile is not None)
        return " ".join(parts)


def _has_tag(case: Case, words: str) -> bool:
    for word in filter(None, (word.strip() for word in words.split(","))):
        if (word[4:] not in case.tags) if word.startswith("not:") else (word in case.tags):
            return True
    return False


def why_none(cases: Sequence[Case], choice: Choice) -> PathError:
    """The reason why a choice takes none of the cases, with the nearest tag where one is unknown."""
    tags = sorted({tag for case in cases for tag in case.tags})
    words = [word.strip().removeprefix("not:") for group in choice.tags for word in group.split(",")]
    unknown = [word for word in words if word and word not in tags]
    message = f"none of {len(cases)} scenarios is chosen by {choice.describe()}"
    if unknown:
        return PathError(f'{message}: no scenario has the tag "{unknown[0]}"', suggest(unknown[0], tags))
    return PathError(message)


def unrunnable(cases: Iterable[Case]) -> tuple[FileError, ...]:
    """Errors for what keeps cases that read well from running."""
    from simulator.report.text import source_line
    from simulator.scenario.errors import FileError
    from simulator.scenario.runnable import directory_problem

    errors: dict[Position, FileError] = {}
    for case in cases:
        if (problem := directory_problem(case)) is not None:
            place = Position(problem.file, problem.line, 1)
            errors[place] = FileError(problem.reason, place, source_line(place))
    return tuple(errors.values())


def suite_digest(results: Sequence[RunResult]) -> str:
    """The digest of a whole run: SHA-256 (hex) over each case's id and digest; of a single case, its own."""
    if len(results) == 1:
        return results[0].digest
    lines = "".join(f"{result.id} {result.digest}\n" for result in results)
    return hashlib.sha256(lines.encode()).hexdigest()


def exit_code(results: Iterable[RunResult]) -> ExitCode:
    """What a run comes to: a fault of the harness outweighs a run that can't be repeated, and that one that broke."""
    outcomes = {result.outcome for result in results}
    if "harness-fault" in outcomes:
        return ExitCode.HARNESS_FAULT
    if "not-deterministic" in outcomes:
        return ExitCode.NOT_DETERMINISTIC
    return ExitCode.BROKE if "broke" in outcomes else ExitCode.HELD
