"""``pwsync agent``: the agent as a process of its own in a served world, and what its administrator asks of it."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli import agent_orders
from simulator.cli.agent_reach import CONFIG, Config, Json, User, configuration_of, found, order, timekeeper
from simulator.cli.console import INTERRUPTED, refuse, say, say_or_raise
from simulator.scenario.errors import suggest
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from pwsync.windows_log import Record

PENDING_SHOWN = 20

agent = typer.Typer(
    name="agent", no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    help="Run the synchronization agent in a served world, and look after it.",
)  # fmt: skip


@agent.command(short_help="Run the agent until it is told to stop.")
def run(
    config: Config = CONFIG,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no events, only that it runs and stops.")] = False,
) -> None:
    """Run the agent until it is told to stop: SIGTERM or Ctrl-C.

    It reads the directory over LDAPS and replication, and writes to the tenant over HTTPS, each as the configuration
    says. What it must not forget is in its store; killed at any moment, it goes on from there when it is run again. Two
    agents never share a store.

    \b
    Examples:
      pwsync serve &
      pwsync agent run
      pwsync agent run --config other/pwsync-agent.json --quiet
    """
    from pwsync.errors import AgentError
    from pwsync.service import Service

    configuration = configuration_of(config)
    keeper = timekeeper(configuration)
    told = (lambda record: None) if quiet else tell
    try:
        service = Service(configuration, keeper, SystemRandom(), told=told)
    except (AgentError, OSError) as error:
        refuse(str(error))
    interrupted: list[int] = []

    def end(number: int, frame: object) -> None:
        interrupted.append(number)
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        service.run(secrets.token_hex(16), lambda: _say_if_possible(f"the agent runs on {configuration.store}"))
    except (AgentError, OSError) as error:
        refuse(str(error))
    finally:
        service.close()
    say("the agent has stopped")
    raise typer.Exit(INTERRUPTED if signal.SIGINT in interrupted else ExitCode.HELD)


@agent.command(short_help="Tell whether it runs, and how far it has come.")
def status(config: Config = CONFIG, as_json: Json = False) -> None:
    """Tell whether the agent runs, and how far synchronization has come."""
    from pwsync.errors import StoreError
    from pwsync.operator_port import NotRunning, ask
    from pwsync.store_view import look

    configuration = configuration_of(config)
    running: Mapping[str, Any] | None
    try:
        running = ask(configuration.store, "status")
    except NotRunning:
        running = None
    try:
        view = look(configuration.store)
    except StoreError as error:
        refuse(str(error))
    if as_json:
        values = {"running": running is not None, "staging": configuration.settings.staging, **(running or {})}
        say(json.dumps({**values, **asdict(view)}, indent=2))
        return
    say(_running(running))
    if configuration.settings.staging:
        say("the server is in staging mode: nothing is sent")
    if view.held_until and (running is None or view.held_until > str(running["now"])):
        say(f"the tenant wants no call until {view.held_until}")
    say(f"\n{'domain':<30} {'objects':>8} {'waiting':>8}  passwords")
    for each in view.domains:
        state = "off" if not each.password_sync else "paused: no full import yet" if not each.imported else "on"
        full = {"ordered": ", full synchronization ordered", "running": ", full synchronization under way"}
        say(f"{each.name:<30} {each.objects:>8} {each.waiting:>8}  {state}{full.get(each.full, '')}")
    told = ", ".join(f"{count} {name}" for name, count in view.statuses.items())
    say(f"\nlast attempts: {told or 'none'}")
    if view.pending:
        say(f"pending ({len(view.pending)}):")
        for dn in view.pending[:PENDING_SHOWN]:
            say(f"  {dn}")
        if len(view.pending) > PENDING_SHOWN:
            say(f"  and {len(view.pending) - PENDING_SHOWN} more")


def _running(running: Mapping[str, Any] | None) -> str:
    if running is None:
        return "the agent does not run"
    last = running.get("password") or "none yet"
    return f"the agent runs; last password cycle {last}, next cycle {running.get('next') or 'none'}"


@agent.command(short_help="Find out why passwords do not arrive.")
def diagnose(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="Account, principal name, DN or anchor.")] = None,
    config: Config = CONFIG,
    as_json: Json = False,
) -> None:
    """Find out why passwords do not arrive, on the whole or for one user. It asks around, and changes nothing.

    Exit code 1 if it finds something.
    """
    configuration = configuration_of(config)
    anchor = None if user is None else found(configuration, user).anchor
    answer = dict(order(configuration, "diagnose", anchor=anchor))
    text = answer.pop("text")
    say(json.dumps(answer, indent=2) if as_json else text)
    raise typer.Exit(ExitCode.HELD if answer["finds"] == ["ok"] else ExitCode.BROKE)


@agent.command(name="object-log", short_help="Show what became of one user's password.")
def object_log(
    user: User,
    config: Config = CONFIG,
    as_json: Json = False,
) -> None:
    """Show what became of each attempt of the last seven days with a user's password."""
    from pwsync import object_log as log
    from pwsync.errors import AgentError
    from pwsync.store_view import attempts

    configuration = configuration_of(config)
    whom = found(configuration, user)
    try:
        now: datetime | None = timekeeper(configuration)()
    except AgentError:
        now = None  # a world that is served no more has no time
    made = attempts(configuration.store, whom.anchor, now)
    if as_json:
        say(log.as_json(made))
        return
    reason = whom.left_out or whom.password_left_out
    kept = f"not synchronized: {reason}" if reason else "synchronized"
    say(f"{whom.dn}\nanchor {whom.anchor}, {kept}, last attempt: {whom.status}\n\n{log.as_text(made)}")


@agent.command(short_help="Show or export the agent's event log.")
def events(
    config: Config = CONFIG,
    identifier: Annotated[list[int] | None, typer.Option("--id", metavar="ID", help="Only these events.")] = None,
    level: Annotated[str | None, typer.Option("--level", metavar="LEVEL", help="error, warning, information.")] = None,
    last: Annotated[int, typer.Option("--last", "-n", metavar="N", min=0, help="The last N; 0: all.")] = 50,
    full: Annotated[bool, typer.Option("--full", help="Whole texts, not their first lines.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write .xml, .csv or .json, as Windows does.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the agent's part of the Application log, or export it as administrators exchange it."""
    from pwsync.event_export import FORMATS
    from pwsync.event_file import read
    from pwsync.service import events_of
    from pwsync.windows_log import LEVELS

    if level is not None and level not in LEVELS:
        refuse(f'there is no level "{level}"', suggest(level, LEVELS))
    if output is not None and output.suffix.lower() not in FORMATS:
        refuse(f'"{output}" has no known ending', f"known are {', '.join(FORMATS)}")
    chosen = [
        record
        for record in read(events_of(configuration_of(config).store))
        if (not identifier or record.event.id in identifier) and level in (None, record.event.level)
    ][-last:]
    if as_json and output is None:
        say(FORMATS[".json"](chosen).decode().rstrip("\n"))
        return
    if output is None:
        for record in chosen:
            show(record, full=full)
        return
    try:
        output.write_bytes(FORMATS[output.suffix.lower()](chosen))
    except OSError as error:
        refuse(f'can\'t write "{output}": {error.strerror}')
    say(f"{len(chosen)} events written to {output}")


def show(record: Record, *, full: bool = False) -> None:
    """Print an event as it is written: its time, id, level, and first line."""
    say(_line(record, full=full))


def tell(record: Record) -> None:
    """Print an event of a running agent. An output on a full disk costs lines, not the agent; a reader who has gone
    ends it, as in any pipe."""
    _say_if_possible(_line(record))


def _line(record: Record, *, full: bool = False) -> str:
    event = record.event
    head = event.text if full else event.text.partition("\n")[0].rstrip()
    return f"{event.time:%Y-%m-%d %H:%M:%S}  {event.id:>4}  {event.level:<11}  {head}"


def _say_if_possible(text: str) -> None:
    """An agent runs for long: there may be room for the next line."""
    try:
        say_or_raise(text)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise


for command, name, short in (
    (agent_orders.full_sync, "full-sync", "Have all passwords of a domain sent again."),
    (agent_orders.sync_user, "sync-user", "Have one user's password sent again."),
    (agent_orders.object_cycle, "object-cycle", "Run an object cycle now."),
    (agent_orders.enable, "enable", "Switch password synchronization on."),
    (agent_orders.disable, "disable", "Switch password synchronization off."),
    (agent_orders.stop, "stop", "Stop the agent."),
):
    agent.command(name=name, short_help=short)(command)
