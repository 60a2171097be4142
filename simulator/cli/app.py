"""All commands of ``pwsync``, and what surrounds each: faults of our own, Ctrl-C, an output that is full or cut off."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from simulator.cli.agent import agent
from simulator.cli.check import check
from simulator.cli.console import INTERRUPTED, complain, discard, output, say
from simulator.cli.diff import diff
from simulator.cli.directory import directory
from simulator.cli.explore import explore
from simulator.cli.new import new
from simulator.cli.rules import rules
from simulator.cli.run import run
from simulator.cli.schema import schema
from simulator.cli.score import score
from simulator.cli.serve import serve
from simulator.cli.show import show
from simulator.cli.shrink import shrink
from simulator.cli.surface import surface
from simulator.cli.sweep import sweep
from simulator.report.text import REPORT_FAULT_TO
from simulator.scenario.result import ExitCode
from simulator.workers import FaultBoundary

EPILOG = """
Exit codes: 0 everything held; 1 an expectation or invariant broke; 2 a bad file or option; 3 a fault of pwsync itself;
4 not deterministic; 130 stopped by Ctrl-C.
"""

app = typer.Typer(
    name="pwsync", no_args_is_help=True, add_completion=False, rich_markup_mode=None, epilog=EPILOG,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)  # fmt: skip

for command in (run, check, show, rules, schema, new, diff, serve, surface, sweep, explore, shrink, score):
    app.command()(command)
app.add_typer(directory)
app.add_typer(agent)


def _version(asked: bool) -> None:
    if asked:
        import platform

        from pwsync import __version__

        say(f"pwsync {__version__} (Python {platform.python_version()}, {platform.system()})")
        raise typer.Exit


@app.callback()
def pwsync(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """A flight simulator for password hash synchronization.

    Scenario files say what people do, what breaks, and what must hold; pwsync runs the synchronization agent between a
    simulated Active Directory and a simulated Azure AD, with the clock frozen, and tells what did not hold.

    Start with:

    \b
      pwsync new first/try             write a small scenario to scenarios/first/try.yaml
      pwsync run scenarios             run every scenario below a folder
      pwsync run scenarios -t smoke    run those with a tag
      pwsync show FILE                 tell a scenario in plain words
      pwsync serve --directory         a simulated Active Directory on real ports
    """


def run_app(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    output.prepare()
    try:
        with FaultBoundary() as boundary:
            code = _run(arguments)
            return ExitCode.BAD_INPUT if output.lost and code in (ExitCode.HELD, ExitCode.BROKE) else code
    except KeyboardInterrupt:
        complain("\nstopped")
        return INTERRUPTED
    complain(boundary.fault or "")
    complain("this is a fault of pwsync itself, not of your scenario")
    complain(REPORT_FAULT_TO)
    return ExitCode.HARNESS_FAULT


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="pwsync")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.HELD
    except BrokenPipeError:
        # Whoever read the output has left (pwsync ... | head); nothing more may be written, not even at exit.
        discard(sys.stdout)
        return ExitCode.BROKE
    except OSError as error:
        if traceback.extract_tb(error.__traceback__)[-1].name != typer.echo.__name__:  # which prints the help
            raise
        output.lose(error.strerror or str(error))
    return ExitCode.HELD
