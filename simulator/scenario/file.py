"""Reading scenario files: from a path to cases that can run, or to errors with positions. Content never raises."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.scenario import checks, examples
from simulator.scenario.base import place
from simulator.scenario.building import ERRORS_MAX
from simulator.scenario.errors import FileError, one_of
from simulator.scenario.model import PROFILE_NAMES, Scenario, Step
from simulator.scenario.nodes import UNREADABLE, Mapping, Node, Problem, Scalar, compose, split_lines
from simulator.scenario.reader import Draft, Read, read
from simulator.scenario.result import Position

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SIZE_MAX", "Case", "FileError", "Loaded", "load", "load_text"]

SIZE_MAX = 1 << 20
"""Bytes of the largest file that is read."""

ROOT = "scenarios"
"""Ids and folder tags count from the nearest folder of this name."""


@dataclass(frozen=True)
class Case:
    """One test: a file, or one row of its examples, under one profile.

    id: the path below the ``scenarios`` folder without ``.yaml``; ``::row`` and ``[profile]`` where there are several.
    tags: the file's tags, then the names of its folders.
    """

    id: str
    path: str
    row: str | None
    profile: str
    tags: tuple[str, ...]
    scenario: Scenario


@dataclass(frozen=True)
class Loaded:
    """What became of a file: its cases, or its errors in the order of their places."""

    path: str
    cases: tuple[Case, ...]
    errors: tuple[FileError, ...]


def load(path: Path | str, *, profile: str | None = None) -> Loaded:
    """Read and check a file. ``profile``: run under this one instead of those that the file names.

    Errors of the system (no such file, no rights) are errors of the file as well.
    """
    path = Path(path)
    if profile is not None and profile not in PROFILE_NAMES:
        return _failed(path, f'unknown profile "{profile}"', one_of(PROFILE_NAMES))
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_MAX + 1)
    except OSError as error:
        return _failed(path, f"can't read the file: {error.strerror or error}")
    except ValueError:
        return _failed(path, "can't read the file: its name holds a NUL character")
    if len(data) > SIZE_MAX:
        return _failed(path, "the file is too big for a scenario", f"at most {SIZE_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _failed(path, f"the file is not UTF-8 text (byte {error.start})", "save it as UTF-8")
    return load_text(text, path, profile=profile)


def load_text(text: str, path: Path, *, profile: str | None = None) -> Loaded:
    """Read and check the text of a file; ``path`` names it, and the files beside it."""
    root, problems = compose(text)
    if root is None:
        return Loaded(str(path), (), _errors(path, text, problems))
    if not isinstance(root, Mapping):
        problems.append(Problem("expected a mapping", Node(root.line, root.column, 1), 'such as "scenario: ..."'))
        return Loaded(str(path), (), _errors(path, text, problems))
    variants, found = examples.expand(root)
    problems += found
    readings = []
    for row, tree in variants:
        draft = read(tree)
        draft.problems += checks.check(draft, path.parent)
        problems += [each for each in draft.problems if not _is_reported(each.node)]
        readings.append((row, draft))
    if problems:
        return Loaded(str(path), (), _errors(path, text, problems))
    return Loaded(str(path), tuple(_cases(path, readings, profile)), ())


def _cases(path: Path, readings: Iterable[tuple[str | None, Draft]], profile: str | None) -> Iterable[Case]:
    base, folders = identify(path)
    for row, draft in readings:
        scenario = _finish(draft, str(path))
        profiles = scenario.profile if profile is None else (profile,)
        for each in profiles:
            name = base + (f"::{row}" if row is not None else "") + (f"[{each}]" if len(profiles) > 1 else "")
            tags = tuple(dict.fromkeys((*scenario.tags, *folders)))
            yield Case(name, str(path), row, each, tags, scenario)


def identify(path: Path) -> tuple[str, tuple[str, ...]]:
    """The id of a file, and the folders in it: below the nearest folder ``scenarios``, or below the current folder."""
    whole = Path(os.path.abspath(path))
    folders = whole.parts[:-1]
    if ROOT in folders:
        below = whole.parts[len(folders) - folders[::-1].index(ROOT) :]
    elif whole.is_relative_to(Path.cwd()):
        below = whole.relative_to(Path.cwd()).parts
    else:
        return whole.with_suffix("").as_posix(), ()
    return Path(*below).with_suffix("").as_posix(), below[:-1]


def _finish(draft: Draft, path: str) -> Scenario:
    """The whole scenario of a draft without problems, each part with its place."""
    if draft.scenario is None or draft.given is None:
        raise AssertionError("a draft that lacks a part has a problem")
    steps: list[Step] = []
    for read_step in draft.steps:
        step = Step(
            at=read_step.at or timedelta(0),
            do=tuple(_placed(each, path) for each in read_step.actions),
            expect=tuple(_placed(each, path) for each in read_step.expectations),
        )
        place(step, _position(path, read_step.at_node or read_step.node))
        steps.append(step)
    faults = tuple(_placed(each, path) for each in draft.faults)
    update = {"given": draft.given, "faults": faults, "timeline": tuple(steps)}
    return draft.scenario.model_copy(update=update)


def _placed(read: Read, path: str) -> Any:
    place(read.part, _position(path, read.key))
    return read.part


def _position(path: str, node: Node) -> Position:
    return Position(path, node.line, node.column, node.length)


def _errors(path: Path, text: str, problems: Iterable[Problem]) -> tuple[FileError, ...]:
    """The problems as errors, each once, in the order of their places."""
    lines = split_lines(text)
    found: dict[FileError, None] = {}
    for problem in sorted(problems, key=lambda each: (each.node.line, each.node.column)):
        node = problem.node
        line = lines[node.line - 1] if node.line <= len(lines) else ""
        length = max(1, min(node.length, len(line) - node.column + 1))
        if isinstance(node, Scalar) and node.style in ("|", ">"):
            length = 1
        found[FileError(problem.message, Position(str(path), node.line, node.column, length), line, problem.hint)] = (
            None
        )
        if len(found) >= ERRORS_MAX:
            break
    return tuple(found)


def _is_reported(node: Node) -> bool:
    """Whether something was said about this node already: an alias, a key that is no word, a ``$key`` without value."""
    return examples.is_placeholder(node) or (isinstance(node, Scalar) and node.style == UNREADABLE)


def _failed(path: Path, message: str, hint: str = "") -> Loaded:
    return Loaded(str(path), (), (FileError(message, Position(str(path), 1, 1), "", hint),))
