"""What an administrator orders of an agent: ``pwsync agent full-sync``, ``sync-user``, ``object-cycle`` and others.

A running agent does it; where none runs it is done on the agent's store, and has its effect when one runs again.
"""

from __future__ import annotations

from typing import Annotated

import typer

from simulator.cli.agent_reach import CONFIG, Config, Domain, User, configuration_of, domains, found, order
from simulator.cli.console import refuse, say
from simulator.scenario.errors import suggest

KINDS = ("delta", "initial")


def full_sync(domain: Domain = None, config: Config = CONFIG) -> None:
    """Have the next password cycle read a whole domain and send every password in scope again."""
    configuration = configuration_of(config)
    for each in domains(configuration, domain):
        order(configuration, "full-sync", domain=each)
        say(f"{each}: the next password cycle sends everything in scope")


def sync_user(user: User, config: Config = CONFIG) -> None:
    """Have the next password cycle send one user's password again, changed or not.

    Refused where a rule or a setting keeps the password on premises, and by builds before 1.1.749.0.
    """
    configuration = configuration_of(config)
    whom = found(configuration, user)
    order(configuration, "sync-user", anchor=whom.anchor)
    say(f"{whom.dn}: the next password cycle sends the password again")


def object_cycle(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="delta, or initial: everything is imported again.")] = (
        "delta"
    ),
    config: Config = CONFIG,
) -> None:
    """Run an object cycle now, beside the schedule. The agent has to run.

    An initial one is no full synchronization of passwords: that is pwsync agent full-sync.
    """
    if kind not in KINDS:
        refuse(f'there is no object cycle "{kind}"', suggest(kind, KINDS))
    order(configuration_of(config), "run-object-cycle", kind=kind)
    say(f"the {kind} object cycle has run")


def enable(domain: Domain = None, config: Config = CONFIG) -> None:
    """Switch password synchronization on; where it was off, the next cycle sends everything in scope."""
    configuration = configuration_of(config)
    for each in domains(configuration, domain):
        order(configuration, "enable", domain=each)
        say(f"{each}: password synchronization is on")


def disable(domain: Domain = None, config: Config = CONFIG) -> None:
    """Switch password synchronization off. What the tenant holds stays there, and goes on working."""
    configuration = configuration_of(config)
    for each in domains(configuration, domain):
        order(configuration, "disable", domain=each)
        say(f"{each}: password synchronization is off")


def stop(config: Config = CONFIG) -> None:
    """Stop the agent that runs with this configuration, as SIGTERM does."""
    from pwsync.operator_port import NotRunning, OrderFailed, ask

    try:
        ask(configuration_of(config).store, "stop")
    except (NotRunning, OrderFailed) as error:
        refuse(str(error))
    say("the agent is stopping")
