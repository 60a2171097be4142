"""``pwsync agent``: the agent as a process of its own in a served world, and what its administrator asks of it."""

from __future__ import annotations

import json
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.console import INTERRUPTED, refuse, say
from simulator.scenario.errors import suggest
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from pwsync.agent import SyncAgent
    from pwsync.config_file import Configuration
    from pwsync.store_view import UserView
    from pwsync.timekeeper import Timekeeper
    from pwsync.windows_log import Record

Config = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="The agent's configuration, as pwsync serve writes it.")
]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
PENDING_SHOWN = 20
CONFIG = Path("pwsync-agent.json")

agent = typer.Typer(
    name="agent", no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    help="Run the synchronization agent in a served world, and look after it.",
)  # fmt: skip


@agent.command()
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
    told = (lambda record: None) if quiet else show
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
        service.run(secrets.token_hex(16), lambda: say(f"the agent runs on {configuration.store}"))
    except (AgentError, OSError) as error:
        refuse(str(error))
    finally:
        service.close()
    say("the agent has stopped")
    raise typer.Exit(INTERRUPTED if signal.SIGINT in interrupted else ExitCode.HELD)


@agent.command()
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
        say(json.dumps({"running": running is not None, **(running or {}), **asdict(view)}, indent=2))
        return
    say(_running(running))
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


@agent.command()
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
    answer = dict(order(configuration, "diagnose", lambda made: diagnosed(made, anchor), anchor=anchor))
    text = answer.pop("text")
    say(json.dumps(answer, indent=2) if as_json else text)
    raise typer.Exit(ExitCode.HELD if answer["finds"] == ["ok"] else ExitCode.BROKE)


@agent.command(name="full-sync")
def full_sync(
    domain: Annotated[str | None, typer.Argument(metavar="DOMAIN", help="Default: all domains.")] = None,
    config: Config = CONFIG,
) -> None:
    """Have the next password cycle read a whole domain and send every password in scope again."""
    configuration = configuration_of(config)
    known = [connector.domain for connector in configuration.settings.connectors]
    if domain is not None and domain not in known:
        refuse(f'there is no connector for "{domain}"', suggest(domain, known))
    for each in known if domain is None else [domain]:
        order(configuration, "full-sync", partial(_order_full_sync, each), domain=each)
        say(f"{each}: the next password cycle sends everything in scope")


def _order_full_sync(domain: str, made: SyncAgent) -> Mapping[str, Any]:
    made.full_password_sync(domain)
    return {}


@agent.command(name="sync-user")
def sync_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="Account, principal name, DN or anchor.")],
    config: Config = CONFIG,
) -> None:
    """Have the next password cycle send one user's password again, changed or not.

    Refused where a rule or a setting keeps the password on premises, and by builds before 1.1.749.0.
    """
    configuration = configuration_of(config)
    whom = found(configuration, user)
    order(configuration, "sync-user", partial(_order_sync_user, whom.anchor), anchor=whom.anchor)
    say(f"{whom.dn}: the next password cycle sends the password again")


def _order_sync_user(anchor: str, made: SyncAgent) -> Mapping[str, Any]:
    made.sync_user(anchor)
    return {}


@agent.command(name="object-log")
def object_log(
    user: Annotated[str, typer.Argument(metavar="USER", help="Account, principal name, DN or anchor.")],
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


@agent.command()
def events(
    config: Config = CONFIG,
    identifier: Annotated[list[int] | None, typer.Option("--id", metavar="ID", help="Only these events.")] = None,
    level: Annotated[str | None, typer.Option("--level", metavar="LEVEL", help="error, warning, information.")] = None,
    last: Annotated[int, typer.Option("--last", "-n", metavar="N", min=0, help="The last N; 0: all.")] = 50,
    full: Annotated[bool, typer.Option("--full", help="Whole texts, not their first lines.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write .xml, .csv or .json, as Windows does.")
    ] = None,
) -> None:
    """Show the agent's part of the Application log, or export it as administrators exchange it."""
    from pwsync.event_export import FORMATS
    from pwsync.event_file import read
    from pwsync.service import events_of
    from pwsync.windows_log import LEVELS

    if level is not None and level not in LEVELS:
        refuse(f'there is no level "{level}"', suggest(level, LEVELS))
    if output is not None and output.suffix not in FORMATS:
        refuse(f'"{output}" has no known ending', f"known are {', '.join(FORMATS)}")
    chosen = [
        record
        for record in read(events_of(configuration_of(config).store))
        if (not identifier or record.event.id in identifier) and level in (None, record.event.level)
    ][-last:]
    if output is None:
        for record in chosen:
            show(record, full=full)
        return
    try:
        output.write_bytes(FORMATS[output.suffix](chosen))
    except OSError as error:
        refuse(f'can\'t write "{output}": {error.strerror}')
    say(f"{len(chosen)} events written to {output}")


@agent.command()
def stop(config: Config = CONFIG) -> None:
    """Stop the agent that runs with this configuration, as SIGTERM does."""
    from pwsync.operator_port import NotRunning, OrderFailed, ask

    try:
        ask(configuration_of(config).store, "stop")
    except (NotRunning, OrderFailed) as error:
        refuse(str(error))
    say("the agent is stopping")


def order(
    configuration: Configuration, name: str, here: Callable[[SyncAgent], Any], **arguments: Any
) -> Mapping[str, Any]:
    """Have a running agent do something; where none runs, do it on its store in this process."""
    from pwsync.errors import AgentError
    from pwsync.operator_port import NotRunning, ask
    from pwsync.service import Service

    try:
        return ask(configuration.store, name, **arguments)
    except NotRunning:
        pass
    except AgentError as error:
        refuse(str(error))
    if not configuration.store.exists():
        refuse("no agent has run with this configuration yet", "pwsync agent run")
    try:
        service = Service(configuration, timekeeper(configuration), SystemRandom())
    except (AgentError, OSError) as error:
        refuse(str(error))
    try:
        answer: Mapping[str, Any] = here(service.agent)
    except AgentError as error:
        refuse(str(error))
    finally:
        service.close()
    return answer


def found(configuration: Configuration, user: str) -> UserView:
    """A user whom the agent knows; anybody else is refused."""
    from pwsync.errors import StoreError
    from pwsync.store_view import find

    try:
        return find(configuration.store, user)
    except StoreError as error:
        refuse(str(error))


def diagnosed(made: SyncAgent, anchor: str | None) -> Mapping[str, Any]:
    """A diagnosis as an order's answer."""
    from pwsync.service import diagnosed as carried_out

    return carried_out(made, anchor)


def show(record: Record, *, full: bool = False) -> None:
    """Print an event as it is written: its time, id, level, and first line."""
    event = record.event
    head = event.text if full else event.text.partition("\n")[0].rstrip()
    say(f"{event.time:%Y-%m-%d %H:%M:%S}  {event.id:>4}  {event.level:<11}  {head}")


def configuration_of(path: Path) -> Configuration:
    """The configuration in a file; a bad one is refused."""
    from pwsync.config_file import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        refuse(str(error), "pwsync serve writes one; name it with --config")


def timekeeper(configuration: Configuration) -> Timekeeper:
    """The served world's clock, or this machine's."""
    from pwsync.timekeeper import RealTime, WorldTime

    if configuration.clock is None:
        return RealTime(lambda: datetime.now(UTC))
    import requests

    def session() -> requests.Session:
        made = requests.Session()
        made.trust_env = False
        made.verify = str(configuration.authority)
        return made

    return WorldTime(configuration.clock, session, time.monotonic)
