"""What the commands share: where text goes, how they refuse, and which suite their paths name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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


class StandardOutput:
    """Whether standard output took all that was said.

    One that does not (a full disk) ends no command: the loss is told once, at once, and the command goes on, since
    reports and findings go elsewhere. Its exit code tells of the loss in the end. A reader that has left is another
    thing: BrokenPipeError ends the command.
    """

    def __init__(self) -> None:
        self.lost = False

    def prepare(self) -> None:
        """A command begins. Streams that the process was started without take what is written, and keep nothing."""
        self.lost = False
        if sys.stderr is None:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        if sys.stdout is None:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            self.lose("it is closed")

    def lose(self, reason: str) -> None:
        """It could not be written to; from now on nothing more is, not even at exit."""
        if not self.lost:
            self.lost = True
            complain(f"error: can't write to standard output: {reason}")
        discard(sys.stdout)


output = StandardOutput()


def discard(stream: object) -> None:
    """Let a stream drop what it has not written yet, and all that comes."""
    with suppress(OSError, AttributeError):  # it may be none of the process's own
        number = stream.fileno()  # type: ignore[attr-defined]
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), number)


@contextmanager
def losing() -> Iterator[None]:
    """In this block nothing but standard output is written to; if it takes nothing, that is told."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        output.lose(error.strerror or str(error))


def say(text: str = "") -> None:
    """Print to standard output, whatever characters its encoding lacks."""
    with losing():
        say_or_raise(text)


def say_or_raise(text: str) -> None:
    """Print to standard output. Raises OSError, after which the next line may find room again."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print to standard error. If that takes nothing there is nobody to tell."""
    try:
        _print(text, sys.stderr)
    except BrokenPipeError:
        raise
    except OSError:
        discard(sys.stderr)


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
