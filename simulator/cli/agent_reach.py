"""How the commands of ``pwsync agent`` reach an agent: its configuration, its clock, its store, and itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.console import refuse
from simulator.scenario.errors import suggest

if TYPE_CHECKING:
    from pwsync.config_file import Configuration
    from pwsync.store_view import UserView
    from pwsync.timekeeper import Timekeeper

Config = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="The agent's configuration, as pwsync serve writes it.")
]
Domain = Annotated[str | None, typer.Argument(metavar="DOMAIN", help="Default: all domains.")]
User = Annotated[str, typer.Argument(metavar="USER", help="Account, principal name, DN or anchor.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
CONFIG = Path("pwsync-agent.json")


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


def order(configuration: Configuration, name: str, **arguments: Any) -> Mapping[str, Any]:
    """Have a running agent do something; where none runs, do it on its store in this process."""
    from pwsync.errors import AgentError
    from pwsync.operator_port import NotRunning, ask
    from pwsync.service import Service, carry_out

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
        return carry_out(service.agent, {"order": name, **arguments})
    except AgentError as error:
        refuse(str(error))
    finally:
        service.close()


def domains(configuration: Configuration, domain: str | None) -> list[str]:
    """The domain that was named, or all; one without a connector is refused."""
    known = [connector.domain for connector in configuration.settings.connectors]
    if domain is not None and domain not in known:
        refuse(f'there is no connector for "{domain}"', suggest(domain, known))
    return known if domain is None else [domain]


def found(configuration: Configuration, user: str) -> UserView:
    """A user whom the agent knows; anybody else is refused."""
    from pwsync.errors import StoreError
    from pwsync.store_view import find

    try:
        return find(configuration.store, user)
    except StoreError as error:
        refuse(str(error))
