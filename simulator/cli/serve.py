"""``pwsync serve``: simulated services on real ports, for clients of one's own."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulator.cli.console import INTERRUPTED, check_overwritten, complain, read_suite, refuse, refuse_all, say
from simulator.cli.options import Seed, seed_of
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from simulator.active_directory.population import Invented
    from simulator.active_directory.port import DirectoryPort
    from simulator.active_directory.state import Forest
    from simulator.served import RunningClock, ServedDirectories

LDAP_PORT, LDAPS_PORT, HTTPS_PORT = 3890, 6360, 8443
KERBEROS_PORT, MANAGED_LDAP_PORT, MANAGED_LDAPS_PORT = 8800, 3990, 6460
YEARS = range(2000, 2100)
"""In which a served world may stand: its certificates are valid."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PORT_MAX = 65535


def serve(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A scenario (or FILE::row): serve the world of its given. Without it: "
                       "the domain contoso.example with invented people."),
    ] = None,
    directory: Annotated[
        bool, typer.Option("--directory", help="Serve the directory alone: LDAP with StartTLS, and LDAPS.")
    ] = False,
    users: Annotated[
        int | None, typer.Option("--users", metavar="N", min=0, max=1_000_000, show_default=False,
                                 help="How many people to invent, if there is no FILE. Default: 100.")
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Listen on this address.")] = "127.0.0.1",
    ldap_port: Annotated[
        int, typer.Option("--ldap-port", metavar="N", min=0, max=_PORT_MAX,
                          help="LDAP port of the first controller; 0: any that is free.")
    ] = LDAP_PORT,
    ldaps_port: Annotated[
        int, typer.Option("--ldaps-port", metavar="N", min=0, max=_PORT_MAX,
                          help="LDAPS port of the first controller; 0: any that is free.")
    ] = LDAPS_PORT,
    https_port: Annotated[
        int, typer.Option("--https-port", metavar="N", min=0, max=_PORT_MAX,
                          help="Port of tenant, replication and control; 0: any that is free.")
    ] = HTTPS_PORT,
    kerberos_port: Annotated[
        int, typer.Option("--kerberos-port", metavar="N", min=0, max=_PORT_MAX,
                          help="Kerberos port (TCP and UDP) of the managed domain, once Domain Services is on; 0: any "
                          "that is free.")
    ] = KERBEROS_PORT,
    managed_ldap_port: Annotated[
        int, typer.Option("--managed-ldap-port", metavar="N", min=0, max=_PORT_MAX,
                          help="LDAP port of the managed domain; 0: any that is free.")
    ] = MANAGED_LDAP_PORT,
    managed_ldaps_port: Annotated[
        int, typer.Option("--managed-ldaps-port", metavar="N", min=0, max=_PORT_MAX,
                          help="LDAPS port of the managed domain; 0: any that is free.")
    ] = MANAGED_LDAPS_PORT,
    ca: Annotated[
        Path, typer.Option("--ca", metavar="FILE", help="Write the certificate that clients are to trust here.")
    ] = Path("pwsync-ca.pem"),
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="What time it is in the served world at first, such as "
                                 "2017-01-13T00:00:00Z; it runs on from there. Default: the real time.")
    ] = None,
    pace: Annotated[
        float, typer.Option("--pace", metavar="N", min=0, max=100_000,
                            help="Seconds that pass in the served world for each real one; 0: time stands still until "
                            "it is moved. Not for --directory.")
    ] = 1.0,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="Write the configuration for pwsync agent run here.")
    ] = Path("pwsync-agent.json"),
    with_agent: Annotated[
        bool, typer.Option("--with-agent", help="Run an agent within the world, as the file's sync says.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="P", help="The world of 2017 (default) or current.")
    ] = None,
    seed: Seed = None,
    throttle: Annotated[
        bool, typer.Option("--throttle", help="Let the tenant take 7,000 writes of agents in five minutes, and be busy "
                           "then. Not for --directory.")
    ] = False,
    require_signing: Annotated[
        bool, typer.Option("--require-signing", help="Refuse simple binds without TLS, as a hardened domain does.")
    ] = False,
) -> None:  # fmt: skip
    """Serve a simulated world on real ports, for an agent, MSAL, curl, ldapsearch or a tool of your own.

    Every domain controller answers over LDAP, with StartTLS, and LDAPS. One HTTPS port has the tenant (sign-in,
    provisioning, Graph), AD FS, the directory's replication, and a control endpoint that shows what there is, does what
    scenarios do, moves the clock, and breaks things. A world with Domain Services has a managed domain: Kerberos, LDAP
    and LDAPS, and a krb5.conf that leads there. It prints where everything is and commands to try. Whatever happens
    lasts until Ctrl-C. An agent of one's own: pwsync agent run.

    A browser on this machine gets a page at the HTTPS port's address: people, cycles, events, links and faults as they
    are, and the clock to move. It, and POST /snapshots with {"take": NAME} or {"restore": NAME}, keep the whole world
    under a name and bring it back, the agent of --with-agent too. An agent that is a process of its own does not go
    back: stop it, put back a copy of its store, and add "force": true.

    Clients that know the tenant's real host names take the HTTPS port as their proxy. They must trust the certificate
    written to --ca. Each further controller gets the next port numbers. With --directory only the LDAP ports are there.

    \b
    Examples:
      pwsync serve
      pwsync serve scenarios/incident/43-controllers-apart.yaml --pace 0
      pwsync serve --directory --users 5000 --at 2017-01-13T09:00:00Z
    """
    if file is not None and users is not None:
        refuse("--users does not go with a file", "a scenario has its own people; given.population adds invented ones")
    start, seed_value = moment_of(at), seed_of(seed)
    from simulator.certificates import is_ours

    check_overwritten(ca, is_ours, "--ca")
    people = users if users is not None else 100 if file is None else 0
    if not directory:
        from simulator.cli.serve_world import WorldOptions, serve_world

        options = WorldOptions(
            file, people, host, ldap_port, ldaps_port, https_port, ca, config, start or datetime.now(UTC), pace,
            seed_value, profile, with_agent, require_signing, (kerberos_port, managed_ldap_port, managed_ldaps_port),
            throttle,
        )  # fmt: skip
        raise typer.Exit(serve_world(options))
    if with_agent or profile is not None or pace != 1.0 or throttle:
        names = "--with-agent, --profile, --pace and --throttle"
        refuse(f"{names} do not go with --directory", "a directory alone has no agent and no tenant")

    from simulator.active_directory.port import PortUnavailable
    from simulator.served import RunningClock, ServedDirectories

    clock = RunningClock(start)
    forests, invented = _forests(file, people, seed_value, clock)
    served = ServedDirectories(
        forests, host=host, ldap_port=ldap_port, ldaps_port=ldaps_port, require_signing=require_signing
    )
    signal.signal(signal.SIGTERM, lambda number, frame: served.timetable.stop())
    code: int = ExitCode.HELD
    try:
        with served:
            _write_authority(ca, served.authority.pem)
            _tell(served, host, ca, clock, invented)
            served.timetable.run()
    except PortUnavailable as problem:
        refuse(str(problem), "another program (or pwsync serve) may hold it: choose --ldap-port and --ldaps-port")
    except KeyboardInterrupt:
        code = INTERRUPTED
    say("stopped")
    raise typer.Exit(code)


def moment_of(text: str | None) -> datetime | None:
    """The time at which a served world stands at first."""
    if text is None:
        return None
    hint = "write it with its zone, such as 2017-01-13T09:00:00Z"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        refuse(f'--at "{text}" is not a time', hint)
    if found.tzinfo is None or not re.match(r"\d{4}-\d\d-\d\dT", text, re.ASCII):
        refuse(f'--at "{text}" is not a time with its zone', hint)
    try:
        found = found.astimezone(UTC)
    except OverflowError:
        refuse(f'--at "{text}" is not a time', hint)
    if found.year not in YEARS:
        refuse(f'--at "{text}": the certificates are valid from {YEARS.start} to {YEARS.stop}')
    return found


def _write_authority(path: Path, pem: str) -> None:
    try:
        path.write_text(pem, encoding="ascii")
    except OSError as error:
        refuse(f'can\'t write "{path}": {error.strerror}', "name another file with --ca")


def _forests(
    file: str | None, users: int, seed: int | None, clock: RunningClock
) -> tuple[list[Forest], Sequence[Invented]]:
    from simulator.served import invented_forest, scenario_forests

    if file is None:
        forest, invented = invented_forest(users, 1 if seed is None else seed, clock)
        return [forest], invented
    if Path(file).is_dir():
        refuse(f'"{file}" is a folder', "name one scenario file")
    from simulator.suite import unrunnable

    cases = read_suite([file]).cases
    refuse_all(unrunnable(cases[:1]))
    return scenario_forests(cases[0], seed, clock), ()


def _tell(served: ServedDirectories, host: str, ca: Path, clock: RunningClock, invented: Sequence[Invented]) -> None:
    """Print what there is and how to reach it. Passwords too: they are a simulator's."""
    rows = [("controller", "LDAP", "LDAPS", "base DN")]
    for port in served.ports:
        domain = port.controller.domain
        rows.append((f"{port.controller.name}.{domain.name}", str(port.ldap_port), str(port.ldaps_port), domain.dn))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    shown: set[str] = set()
    for port in served.ports:
        if port.controller.domain.name not in shown:
            shown.add(port.controller.domain.name)
            _tell_domain(port, host, ca)
    if invented:
        say(f"\nOne of {len(invented)} invented people: {invented[0].name}, password {invented[0].password}")
    say(f"\nTrust {ca} (written now). In the served world it is {clock():%Y-%m-%d %H:%M:%S} UTC. Ctrl-C stops.")
    if host not in _LOOPBACK:
        complain(f"note: whoever reaches {host} can read these passwords' accounts and change everything")


def _tell_domain(port: DirectoryPort, host: str, ca: Path) -> None:
    domain = port.controller.domain
    administrator = f"CN=Administrator,CN=Users,{domain.dn}"
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked for, if at all
    address = f"[{reachable}]" if ":" in reachable else reachable
    command: list[Any] = [
        "ldapsearch", "-LLL", "-x", "-H", f"ldaps://{address}:{port.ldaps_port}", "-D", administrator,
        "-w", domain.administrator_password, "-b", domain.dn, "-E", "pr=1000/noprompt", "(objectClass=user)",
        "sAMAccountName",
    ]  # fmt: skip
    say(f"\n{domain.name}\n  administrator  {administrator}\n  password       {domain.administrator_password}")
    say(f"  try            LDAPTLS_CACERT={shlex.quote(str(ca))} {shlex.join(command)}")
