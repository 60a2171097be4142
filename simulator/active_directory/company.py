"""An invented company: people at several sites and in several departments, with managers, groups and machines.

Everything a directory of some age holds beside ordinary users: service accounts, disabled and expired ones, people who
never logged on or must change their password, iNetOrgPersons, contacts, groups in groups, computers. The same seed
gives the same company in every process and under every Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from simulator.active_directory import accounts, names, policy
from simulator.active_directory.invented import (
    NAME_LENGTH_MAX,
    Invented,
    first_and_last_names,
    japanese_readings,
    pick,
    titles,
)
from simulator.active_directory.schema import CLASSES, Value
from simulator.active_directory.times import TICKS_PER_SECOND
from simulator.active_directory.transliteration import latin

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Domain

DAY = 86_400 * TICKS_PER_SECOND
SPAN = 8
"""How many people report to one."""


@dataclass(frozen=True)
class Shares:
    """How much of the company is what. Shares of all accounts; contacts, computers: objects beside them, for each."""

    disabled: float = 0.04
    expired: float = 0.01
    never_logged_on: float = 0.05
    must_change: float = 0.02
    inet_org_person: float = 0.03
    service: float = 0.005
    contacts: float = 0.02
    computers: float = 0.05


class Site(NamedTuple):
    """A place: city, country, telephone prefix, and where most of its people's names come from."""

    city: str
    code: str
    prefix: str
    locale: str


SITES = (
    Site("Seattle", "US", "+1 206 555 ", "en_US"),
    Site("Berlin", "DE", "+49 30 5550 ", "de_DE"),
    Site("Lyon", "FR", "+33 4 5555 ", "fr_FR"),
    Site("Brno", "CZ", "+420 555 ", "cs_CZ"),
    Site("Izmir", "TR", "+90 232 555 ", "tr_TR"),
    Site("Kazan", "RU", "+7 843 555 ", "ru_RU"),
    Site("Athens", "GR", "+30 21 5555 ", "el_GR"),
    Site("Haifa", "IL", "+972 4 555 ", "he_IL"),
    Site("Amman", "JO", "+962 6 555 ", "ar_AA"),
    Site("Pune", "IN", "+91 20 5550 ", "hi_IN"),
    Site("Osaka", "JP", "+81 6 5555 ", "ja_JP"),
    Site("Suzhou", "CN", "+86 512 5555 ", "zh_CN"),
)
DEPARTMENTS = ("Finance", "Human Resources", "IT", "Legal", "Marketing", "Operations", "Research", "Sales")
SERVICES = ("sql", "backup", "web", "scan", "deploy", "monitor", "print", "sync")
HOMETOWN = 0.8
"""Share of a site's people whose names are of its country."""


@dataclass
class _Unit:
    """A department at a site: its container, the values that its people share, who leads, who belongs to it."""

    home: str
    site: Site
    department: str
    shared: dict[str, Value]
    leads: list[tuple[bytes]] = field(default_factory=list)
    members: list[bytes] = field(default_factory=list)


def found(domain: Domain, count: int, random: Random, shares: Shares | None = None) -> list[Invented]:
    """Make a company of ``count`` user accounts, service accounts among them, and what belongs to it.

    Names of accounts are at most 20 characters of ASCII; no existing one is used again. Returns the accounts in order.
    """
    maker = _Company(domain, count, random, shares or Shares())
    maker.people()
    maker.services()
    maker.contacts()
    maker.computers()
    maker.groups()
    return maker.made


class _Company:
    def __init__(self, domain: Domain, count: int, random: Random, shares: Shares) -> None:
        self.made: list[Invented] = []
        self._domain = domain
        self._controller = domain.controller()
        self._random = random
        self._shares = shares
        self._services = min(count, round(count * shares.service) or int(count >= 20 and shares.service > 0))
        self._head: tuple[bytes] | None = None
        self._people = count - self._services
        self._count = count
        self._names = AccountNames(domain)
        self._now = self._controller.now()
        self._company = domain.netbios.title()
        places = max(1, min(len(SITES), count // 40 + 1))
        sections = max(1, min(len(DEPARTMENTS), count // (places * 4) + 1))
        self._units = [
            self._unit(site, department) for site in SITES[:places] for department in DEPARTMENTS[:sections]
        ]  # fmt: skip

    def _unit(self, site: Site, department: str) -> _Unit:
        shared: dict[str, Value] = {
            "department": department, "l": site.city, "c": site.code,
        }  # fmt: skip
        return _Unit(f"OU={department},OU={site.city},OU=People", site, department, shared)

    # --- people ---------------------------------------------------------------------------------------------------

    def people(self) -> None:
        """The employees, spread over all units."""
        draw, units = self._random.random, self._units
        for number in range(self._people):
            self._person(number, units[int(draw() * len(units))])

    def _person(self, number: int, unit: _Unit) -> None:
        random, draw, site, domain = self._random, self._random.random, unit.site, self._domain
        locale = site.locale if draw() < HOMETOWN else SITES[int(draw() * len(SITES))].locale
        firsts, lasts = first_and_last_names(locale)
        first, last = pick(random, firsts), pick(random, lasts)
        name = self._names.of_person(first, last, number)
        display = f"{last} {first}" if locale in ("ja_JP", "zh_CN") else f"{first} {last}"
        upn = f"{name}@{domain.name}"
        values = self._values(unit, first, last, upn)
        age, kind = int(draw() * 40), draw()
        shares = self._shares
        enabled, must_change = kind >= shares.disabled, False
        if enabled:
            kind -= shares.disabled
            if kind < shares.expired:
                values["accountexpires"] = self._now - int(1 + draw() * 90) * DAY
            elif kind < shares.expired + shares.must_change:
                must_change = True
            elif kind >= shares.expired + shares.must_change + shares.never_logged_on:
                values["lastlogontimestamp"] = self._now - int(draw() * min(age + 1, 13) * DAY)
        password = f"{random.getrandbits(40):010x}-Pw!"
        parent = self._controller.home(unit.home)
        entry = accounts.create(
            domain,
            self._controller,
            name,
            password,
            user_class="inetOrgPerson" if draw() < shares.inet_org_person else "user",
            ou=unit.home,
            cn=_free(parent, display, name),
            display_name=display,
            upn=upn,
            enabled=enabled,
            must_change=must_change,
            password_age=_days(age),
            stored_attributes=values,
            check_policy=False,
        )
        if len(unit.members) % SPAN == 0:
            unit.leads.append((entry.guid,))
            self._head = self._head or unit.leads[0]
        unit.members.append(entry.guid)
        self.made.append(Invented(name, password, domain.password_log[-1].guid))

    def _values(self, unit: _Unit, first: str, last: str, mail: str) -> dict[str, Value]:
        random, draw = self._random, self._random.random
        values: dict[str, Value] = {
            "givenname": first,
            "sn": last,
            "mail": mail,
            "title": pick(random, titles()),
            "telephonenumber": f"{unit.site.prefix}{int(draw() * 10000):04d}",
            **unit.shared,
        }
        manager = self._manager(unit)
        if manager:
            values["manager"] = manager
        return values

    def _manager(self, unit: _Unit) -> tuple[bytes] | None:
        """Whom the next person of a unit reports to, as a link: a lead, a lead's lead, the head of all; nobody."""
        at = len(unit.members)
        if at % SPAN:
            return unit.leads[at // SPAN]
        if at:
            return unit.leads[(at // SPAN - 1) // SPAN]
        return self._head

    # --- what there is beside them --------------------------------------------------------------------------------

    def services(self) -> None:
        """Accounts that programs run under: their passwords do not expire."""
        for number in range(self._services):
            kind, site = SERVICES[number % len(SERVICES)], SITES[number // len(SERVICES) % len(SITES)]
            host = f"{kind}{number + 1:02d}.{self._domain.name}"
            name = self._names.free(f"svc-{kind}-{site.code.lower()}", number)
            password = f"{self._random.getrandbits(80):020x}-Sv!"
            entry = accounts.create(
                self._domain,
                self._controller,
                name,
                password,
                ou="OU=Service Accounts",
                display_name=name,
                password_never_expires=True,
                password_age=_days(30 + number % 900),
                stored_attributes={
                    "description": f"Runs {kind} in {site.city}",
                    "serviceprincipalname": (f"HTTP/{host}", f"HTTP/{host.partition('.')[0]}"),
                },
                check_policy=False,
            )
            self.made.append(Invented(name, password, UUID(bytes_le=entry.guid)))

    def contacts(self) -> None:
        """People of other companies, in the address book only."""
        home = self._controller.home("OU=Contacts")
        for number in range(int(self._count * self._shares.contacts)):
            site = SITES[int(self._random.random() * len(SITES))]
            first, last = (pick(self._random, each) for each in first_and_last_names(site.locale))
            stem = ".".join(part for part in (latin(first), latin(last)) if part) or f"guest{number}"
            display = f"{first} {last} ({number + 1})"
            values: dict[str, Value] = {
                "displayname": display, "givenname": first, "sn": last, "mail": f"{stem}@partner.example",
                "targetaddress": f"SMTP:{stem}@partner.example",
            }  # fmt: skip
            self._controller.create(home, _free(home, display, display), CLASSES["contact"], values)

    def computers(self) -> None:
        """Machines, each managed by one of the people."""
        home = self._controller.home("OU=Workstations")
        members = [member for unit in self._units for member in unit.members]
        for number in range(int(self._count * self._shares.computers) if members else 0):
            host = f"WS{number + 1:06d}"
            if f"{host.lower()}$" in self._controller.replica.by_name:
                continue
            values: dict[str, Value] = {
                "samaccountname": f"{host}$",
                "useraccountcontrol": policy.WORKSTATION_ACCOUNT,
                "pwdlastset": self._now - int(self._random.random() * 30) * DAY,
                "dnshostname": f"{host.lower()}.{self._domain.name}",
                "managedby": (members[int(self._random.random() * len(members))],),
            }
            self._controller.create(home, host, CLASSES["computer"], values, rid=self._controller.take_rid())

    def groups(self) -> None:
        """A group for each unit, one for each site with all its people, and one for all sites."""
        home = self._controller.home("OU=Groups")
        sites: dict[str, list[bytes]] = {}
        for unit in self._units:
            self._group(home, f"{unit.site.city} {unit.department}", unit.members)
            sites.setdefault(unit.site.city, []).extend(unit.members)
        tops = [self._group(home, f"All {city}", members) for city, members in sites.items()]
        self._group(home, f"All {self._company}", [group.guid for group in tops if group is not None])

    def _group(self, home: Entry, name: str, members: Sequence[bytes]) -> Entry | None:
        """A group; one of that name that is there already gets the new members."""
        there = (home.children or {}).get(names.rdn_key("CN", name))
        if there is not None:
            before = there.values.get("member")
            known = before if isinstance(before, tuple) else ()
            self._controller.replica.write(
                there, {"member": tuple(dict.fromkeys((*known, *members))) or None}, self._controller.seconds()
            )
            return there
        if name.casefold() in self._controller.replica.by_name:
            return None
        values: dict[str, Value] = {"samaccountname": name, "description": f"Everyone of {name}"}
        if members:
            values["member"] = tuple(members)
        return self._controller.create(home, name, CLASSES["group"], values, rid=self._controller.take_rid())


class AccountNames:
    """Hands out names of accounts, ``first.last`` in ASCII, that nobody in the domain has."""

    def __init__(self, domain: Domain) -> None:
        self._taken = domain.controller().replica.by_name
        self._next: dict[str, int] = {}

    def of_person(self, first: str, last: str, number: int) -> str:
        """A person's; by the number on the payroll where nothing of the name can be written in ASCII."""
        stem = _stem(first, last)
        return self.free(stem, 2) if stem else self.free(f"p{100_000 + number}", 2)

    def free(self, stem: str, first: int) -> str:
        """The stem, with a number behind it if it is taken."""
        name = stem[:NAME_LENGTH_MAX].rstrip(".")
        number = self._next.get(stem, first)
        while name in self._taken:
            suffix = str(number)
            name = stem[: NAME_LENGTH_MAX - len(suffix)] + suffix
            number += 1
        self._next[stem] = number
        return name


@cache
def _stem(first: str, last: str) -> str:
    parts = [part for name in (first, last) if (part := latin(name) or japanese_readings().get(name, ""))]
    stem = ".".join(parts)
    if len(stem) > NAME_LENGTH_MAX:
        stem = f"{parts[0][0]}.{parts[-1]}"
    return stem if len(stem) >= 3 else ""


def _free(parent: Entry, wanted: str, otherwise: str) -> str:
    """A name that nothing below ``parent`` has."""
    children = parent.children or {}
    if names.rdn_key("CN", wanted) not in children:
        return wanted
    return otherwise if names.rdn_key("CN", otherwise) not in children else f"{wanted} ({otherwise})"


@cache
def _days(number: int) -> timedelta:
    return timedelta(days=number)
