"""``pwsync serve`` without ``--directory``: a whole world, with a tenant and a way to control it."""

from __future__ import annotations

import shlex
import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from simulator.cli.console import INTERRUPTED, check_overwritten, complain, read_suite, refuse, refuse_all, say
from simulator.scenario.result import ExitCode

if TYPE_CHECKING:
    from simulator.domain_services.port import ServedDomain
    from simulator.scenario.file import Case
    from simulator.serving.world import ServedWorld

PUBLIC_CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""The product's command line: an application without a secret, which every tenant knows."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class WorldOptions:
    """What the command line says. config: where the configuration for an agent of one's own is written; its store lies
    beside it, with the ending ``.db``. hosted: an agent runs within the world instead."""

    file: str | None
    users: int
    host: str
    ldap_port: int
    ldaps_port: int
    https_port: int
    ca: Path
    config: Path
    start: datetime
    pace: float
    seed: int | None
    profile: str | None
    hosted: bool
    require_signing: bool
    managed: tuple[int, int, int] = (0, 0, 0)
    """Ports of the managed domain: Kerberos, LDAP, LDAPS."""
    throttle: bool = False

    @property
    def krb5_conf(self) -> Path:
        """Where the configuration for Kerberos' clients is written: beside the certificate."""
        return self.ca.with_name("pwsync-krb5.conf")


def serve_world(options: WorldOptions) -> int:
    """Serve until a signal comes; the exit code."""
    from pwsync.config_file import is_ours
    from simulator.active_directory.port import PortUnavailable
    from simulator.served import RunningClock
    from simulator.serving.managed import Numbers
    from simulator.serving.world import serve_case

    check_overwritten(options.config, is_ours, "--config")
    served = serve_case(
        _case(options),
        start=options.start,
        seed=options.seed,
        users=options.users,
        hosted=options.hosted,
        pace=options.pace,
        host=options.host,
        ldap_port=options.ldap_port,
        ldaps_port=options.ldaps_port,
        https_port=options.https_port,
        require_signing=options.require_signing,
        throttle=options.throttle,
        managed=Numbers(*options.managed),
        client_clock=RunningClock(),
    )
    if served.world.tenant.domain_services is not None:
        check_overwritten(options.krb5_conf, _is_krb5_conf, "--ca, beside which it is written")
    ended, signals = Event(), list[int]()

    def end(number: int, frame: object) -> None:
        signals.append(number)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        with served:
            _write(served, options)
            _tell(served, options)
            served.managed.on_open = lambda domain: _tell_managed(domain, options)
            while not ended.wait(1.0):
                continue
    except PortUnavailable as problem:
        refuse(
            str(problem),
            "another program may hold it: choose --https-port, --ldap-port and --ldaps-port, "
            "--kerberos-port and the managed domain's",
        )
    finally:
        served.close_store()
    say("stopped")
    return INTERRUPTED if signal.SIGINT in signals else ExitCode.HELD


def _case(options: WorldOptions) -> Case:
    from simulator.profile import PROFILES
    from simulator.scenario.errors import suggest
    from simulator.serving.world import default_case

    if options.profile is not None and options.profile not in PROFILES:
        refuse(f'there is no profile "{options.profile}"', suggest(options.profile, PROFILES))
    if options.file is None:
        return default_case(options.profile or "2017")
    if Path(options.file).is_dir():
        refuse(f'"{options.file}" is a folder', "name one scenario file")
    from simulator.suite import unrunnable

    cases = [case for case in read_suite([options.file]).cases if options.profile in (None, case.profile)]
    if not cases:
        refuse(f'"{options.file}" is not written for profile {options.profile}', "leave --profile out")
    refuse_all(unrunnable(cases[:1]))
    return cases[0]


def _write(served: ServedWorld, options: WorldOptions) -> None:
    """Write certificate and configuration; the latter again whenever an action has changed what stands in it."""
    from simulator.serving import agent_config

    store = options.config.with_suffix(".db")
    written = served.world.settings

    def write() -> None:
        agent_config.write(served, options.config, options.ca, store)

    def write_if_changed() -> None:
        nonlocal written
        if served.world.settings is not written:
            written = served.world.settings
            with suppress(OSError):
                write()

    try:
        options.ca.write_text(served.authority.pem, encoding="ascii")
        if not options.hosted:
            write()
    except OSError as error:
        refuse(f'can\'t write "{error.filename}": {error.strerror}', "name other files with --ca and --config")
    served.control.agent_settings = lambda: agent_config.values(served, options.config, options.ca, store)
    if not options.hosted:
        served.control.after_action = write_if_changed


def _tell(served: ServedWorld, options: WorldOptions) -> None:
    """Print what there is, and commands to try."""
    rows = [("controller", "LDAP", "LDAPS", "domain")]
    for port in served.directories:
        name = f"{port.controller.name}.{port.controller.domain.name}"
        rows.append((name, str(port.ldap_port), str(port.ldaps_port), port.controller.domain.name))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    proxy = f"http://{served.url.removeprefix('https://')}"
    ca = shlex.quote(str(options.ca))
    say(f"\ntenant        {', '.join(served.world.application.hosts)}")
    say(f"AD FS         {', '.join(served.world.farms.by_host)}")
    say(f"  through     HTTPS proxy {proxy}, or the port itself under these names")
    realm = "https://login.microsoftonline.com/common/.well-known/openid-configuration"
    say(f"  try         curl --cacert {ca} --proxy {proxy} {realm}")
    name, password = served.world.tenant.admin_account()
    say(f"  id          {served.world.tenant.tenant_id}")
    say(f"  signs in    {name}, password {password}: an administrator")
    say(f"  application {served.client[0]}, secret {served.client[1]}")
    say(f"  people      sign in with a public client, such as {PUBLIC_CLIENT}; no other needs to be registered")
    if served.managed.domain is not None:
        _tell_managed(served.managed.domain, options)
    say(f"control       {served.url}")
    say("  page        the same address in a browser that trusts the certificate, or is told to go on without")
    say(f"  try         curl --cacert {ca} {served.url}/users")
    if options.hosted:
        say("agent         runs within this world")
    else:
        say(f"agent         none yet; its configuration is {options.config}")
        say(f"  try         pwsync agent run --config {shlex.quote(str(options.config))}")
    if served.invented:
        person = served.invented[0]
        say(f"\nOne of {len(served.invented)} invented people: {person.name}, password {person.password}")
    pace = (
        "stands still" if not options.pace else "runs" if options.pace == 1 else f"runs {options.pace:g} times as fast"
    )
    say(f"\nIn the served world it is {served.world.clock():%Y-%m-%d %H:%M:%S} UTC, and time {pace}. Ctrl-C stops.")
    if options.host not in LOOPBACK:
        complain(f"note: whoever reaches {options.host} can change everything in this world")


def _is_krb5_conf(octets: bytes) -> bool:
    from simulator.domain_services.port import KRB5_CONF_HEAD

    return octets.startswith(KRB5_CONF_HEAD.encode())


def _tell_managed(domain: ServedDomain, options: WorldOptions) -> None:
    """Write krb5.conf, and print what there is of the managed domain."""
    path = options.krb5_conf
    say(f"managed       {domain.server.dns}, Kerberos realm {domain.kerberos.centre.realm}")
    numbers = f"Kerberos {domain.kerberos.port}, LDAP {domain.ldap.ldap_port}, LDAPS {domain.ldap.ldaps_port}"
    say(f"  ports       {numbers}; it has what the tenant has twenty minutes later")
    try:
        if path.exists() and not _is_krb5_conf(path.read_bytes()):
            complain(f'"{path}" is there already, and pwsync did not write it: it stays as it is')
            return
        path.write_text(domain.krb5_conf(), encoding="utf-8")
    except OSError as error:
        complain(f'can\'t write "{path}": {error.strerror}')
        return
    say(f"  try         KRB5_CONFIG={shlex.quote(str(path))} kinit USER")
