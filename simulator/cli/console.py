"""What the commands share: where text goes, how they refuse, and which suite their paths name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from simulator.scenario.errors import FileError
    from simulator.suite import PathError, Suite

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""

Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="A scenario file, a folder of them, or FILE::row for one row of its examples."),
]


def say(text: str = "") -> None:
    """Print to standard output, whatever characters its encoding lacks."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print to standard error."""
    _print(text, sys.stderr)


def _print(text: str, stream: object) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)  # type: ignore[call-overload]


def refuse(message: str, hint: str = "") -> NoReturn:
    """Leave because a file or an option is bad."""
    complain(f"error: {message}" + (f"\n  = {hint}" if hint else ""))
    raise typer.Exit(ExitCode.BAD_INPUT)


def check_overwritten(path: Path, is_ours: Callable[[bytes], bool], option: str) -> None:
    """Refuse to write over anything but what pwsync wrote; ``option`` names another file.

    A device or a pipe has nothing that could be written over, and to read from it could take for ever.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        return
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        refuse(f'can\'t write "{path}": {error.strerror}', f"name another file with {option}")
    if not is_ours(before):
        refuse(f'"{path}" is there already, and pwsync did not write it', f"name another file with {option}")


def read_suite(paths: Sequence[str]) -> Suite:
    """Everything that the paths name; if anything in it is bad, show all errors of all files and leave."""
    from simulator.suite import collect

    suite = collect(paths)
    refuse_all(suite.errors)
    return suite


def refuse_all(errors: Sequence[FileError | PathError]) -> None:
    """If there are errors, show them all and leave."""
    if errors:
        for error in errors:
            complain(error.render() + "\n")
        complain(f"{len(errors)} error{'s' * (len(errors) != 1)}; nothing was run")
        raise typer.Exit(ExitCode.BAD_INPUT)
