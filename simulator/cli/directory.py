"""``pwsync directory``: a simulated directory as LDIF, and LDIF that is to become one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.console import complain, losing, read_suite, refuse, say
from simulator.cli.options import Seed, seed_of

if TYPE_CHECKING:
    from simulator.active_directory.ldif import Loaded
    from simulator.active_directory.state import Domain

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
"""When an invented company stands in the export, if no scenario says: where scenarios begin."""

FEW = 5_000
"""Up to so many entries an export does not tell how far it has come."""

_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*", re.ASCII)

DEFAULT_DOMAIN = "contoso.example"

directory = typer.Typer(
    name="directory", no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    help="Write a simulated directory as LDIF, or check LDIF that is to be loaded into one.",
)  # fmt: skip


@directory.command()
def export(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A scenario (or FILE::row): the directory of its given. Without it: an "
                       "invented company."),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="Write to this file; -: to standard output.")
    ] = "-",
    users: Annotated[
        int | None, typer.Option("--users", metavar="N", min=0, max=1_000_000, show_default=False,
                                 help="How many people to invent, if there is no FILE. Default: 100.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="Which of several domains; or what to call the "
                                 "invented company's.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="DN", help="Only this entry and what lies below it.")
    ] = None,
    matching: Annotated[
        str | None, typer.Option("--filter", metavar="FILTER", help="Only what matches this LDAP filter.")
    ] = None,
    operational: Annotated[
        bool, typer.Option("--operational", help="With what the system keeps: whenCreated, uSNChanged, memberOf...")
    ] = False,
    seed: Seed = None,
) -> None:  # fmt: skip
    """Write a directory as LDIF: a scenario's at its start, or that of an invented company.

    Parents come before their children, and the same directory gives the same text. Passwords are never written. Other
    LDAP tools read the file, and so does the key "directory" of a scenario's given.

    \b
    Examples:
      pwsync directory export --users 5000 -o people.ldif
      pwsync directory export scenarios/scope/imported-people.yaml
      pwsync directory export --filter "(objectClass=inetOrgPerson)" --base "OU=Berlin,OU=People,DC=contoso,DC=example"
    """
    if file is not None and users is not None:
        refuse("--users does not go with a file", "a scenario has its own people; given.population adds invented ones")
    from simulator.active_directory.ldif_out import export_ldif

    number = seed_of(seed)
    if file is None:
        found = _invented(domain or DEFAULT_DOMAIN, 100 if users is None else users, 1 if number is None else number)
    else:
        found = _of_scenario(file, domain, number)
    if output != "-" and Path(output).is_dir():
        refuse(f'can\'t write "{output}": it is a folder')
    with _progress(found) as told:
        try:
            texts = export_ldif(found, base=base, matching=matching, operational=operational, told=told)
        except ValueError as problem:
            refuse(str(problem))
        _write(texts, output)


def _write(texts: Iterator[str], output: str) -> None:
    """To standard output, or to a file that is there wholly or not at all."""
    from simulator.report.files import opened_through

    if output == "-":
        with losing():
            sys.stdout.writelines(texts)
            sys.stdout.flush()
        return
    path = Path(os.path.realpath(output))
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if device := opened_through(Path(output)):
            with device:
                device.writelines(text.encode("ascii") for text in texts)
            return
        with beside.open("x", encoding="ascii", newline="\n") as stream:
            stream.writelines(texts)
        beside.replace(path)
    except OSError as error:
        refuse(f'can\'t write "{output}": {error.strerror}')
    finally:
        beside.unlink(missing_ok=True)


@directory.command()
def check(
    ldif: Annotated[str, typer.Argument(metavar="LDIF", help="A file of entries or changes; -: standard input.")],
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="The domain that it is meant for. Default: the one "
                                 "that its first entry lies in.")
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Pass over attributes and classes that the schema does not know.")
    ] = False,
) -> None:  # fmt: skip
    """Check LDIF: whether it can be loaded, what it holds, and what would be passed over.

    Exports of ldifde, ldapsearch -LLL and slapcat are read, and ldifde's and ldapmodify's changes. The file is loaded
    into an empty domain and told the first thing that is wrong, with its line.

    \b
    Examples:
      pwsync directory check people.ldif
      ldapsearch -LLL -H ldap://dc1 ... | pwsync directory check - --lenient
    """
    from simulator.active_directory.ldif import LdifError, read_ldif

    name = "<standard input>" if ldif == "-" else ldif
    try:
        octets = sys.stdin.buffer.read() if ldif == "-" else Path(ldif).read_bytes()
    except OSError as error:
        refuse(f'can\'t read "{ldif}": {error.strerror}')
    try:
        found = _empty(domain or _domain_of(octets, name))
        loaded = read_ldif(found, octets, file=name, lenient=lenient)
    except LdifError as problem:
        refuse(problem.reason, f"{problem.file}:{problem.line}")
    _tell(name, found, loaded)


def _tell(name: str, found: Domain, loaded: Loaded) -> None:
    for note in loaded.notes:
        times = "" if note.count == 1 else f" ({note.count:,} times)"
        say(f"{name}:{note.line}: {note.text}{times}")
    people, passwords = len(loaded.accounts), sum(password is not None for _, password in loaded.accounts)
    say(
        f"{name}: {loaded.entries:,} {'entry' if loaded.entries == 1 else 'entries'} for {found.name}, of them "
        f"{people:,} {'user' if people == 1 else 'users'}, {passwords:,} with a password: can be loaded"
    )


def _domain_of(octets: bytes, name: str) -> str:
    """The domain in which the first entry lies: the DC= parts at the end of its DN."""
    from simulator.active_directory.ldif_text import records
    from simulator.active_directory.names import InvalidName, parse_dn

    for record in records(octets, name):
        try:
            labels = [value for kind, value in parse_dn(record.dn) if kind.upper() == "DC"]
        except InvalidName:
            break
        if labels:
            return ".".join(labels)
        break
    return DEFAULT_DOMAIN


def _empty(name: str, seed: int = 1) -> Domain:
    if not _DOMAIN.fullmatch(name) or len(name) > 255:
        refuse(f'"{name}" is no name of a domain', "write it as in DNS, such as contoso.example")
    from simulator.active_directory.state import Forest
    from simulator.clock import Clock
    from simulator.random import Randomness

    return Forest(name, Clock(START), Randomness(seed)).add_domain(name)


def _invented(name: str, users: int, seed: int) -> Domain:
    from simulator.active_directory.population import populate

    domain = _empty(name, seed)
    populate(domain, users, domain.forest.randomness, profile="company")
    return domain


def _of_scenario(file: str, name: str | None, seed: int | None) -> Domain:
    from simulator.clock import Clock
    from simulator.served import domains_of, scenario_forests

    case = read_suite([file]).cases[0]
    domains = {found.name: found for found in domains_of(scenario_forests(case, seed, Clock(case.scenario.start)))}
    if name is None and len(domains) == 1:
        return next(iter(domains.values()))
    if name not in domains:
        what = "there are several domains" if name is None else f'no domain is called "{name}"'
        refuse(what, f"choose with --domain: {', '.join(domains)}")
    return domains[name]


@contextmanager
def _progress(found: Domain) -> Iterator[Callable[[int], None] | None]:
    """Tells how far an export of many entries has come: a bar where people look on, a line now and then elsewhere."""
    total = len(found.controller().replica.by_guid)
    if total <= FEW:
        yield None
    elif not sys.stderr.isatty():
        yield lambda count: complain(f"{count:,} of {total:,} entries") if count % (FEW * 4) == 0 else None
    else:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("entries", total=total)
            yield lambda count: bar.update(task, completed=count) if count % 500 == 0 else None
