"""Invented people: a population beside the users that a scenario names."""

from __future__ import annotations

import unicodedata
from collections.abc import Container
from datetime import timedelta
from functools import cache
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from simulator.active_directory import accounts
from simulator.active_directory.invented import NAME_LENGTH_MAX, Invented, first_and_last_names, pick, titles
from simulator.active_directory.schema import Value
from simulator.collection import uncollected
from simulator.random import Randomness

if TYPE_CHECKING:
    from simulator.active_directory.company import Shares
    from simulator.active_directory.state import Domain

__all__ = ["LOCALES", "PROFILES", "UNITS", "Invented", "populate"]

LOCALES = ("en_US", "de_DE", "fr_FR", "pl_PL", "tr_TR", "ru_RU", "el_GR", "he_IL", "ar_AA", "hi_IN", "ja_JP", "zh_CN")
UNITS = ("Finance", "Legal", "Marketing", "Operations", "Production", "Research", "Sales", "Support")
PASSWORD_AGE = timedelta(days=30)
PROFILES = ("people", "company")


def populate(
    domain: Domain,
    count: int,
    randomness: Randomness | None = None,
    *,
    seed: int | str = 1,
    profile: str = "people",
    shares: Shares | None = None,
) -> list[Invented]:
    """Make ``count`` users; no existing name is used again, and the same seed gives the same people.

    randomness: what is drawn from, or ``seed`` for one of its own. profile: ``people``, what a scenario's population
    is: users with names in several scripts, spread over :data:`UNITS`, whose passwords are 30 days old; or ``company``,
    with all that belongs to one, see :mod:`simulator.active_directory.company` (shares: how much of what). Passwords
    are taken as they are. ValueError for an unknown profile or a count below 0.
    """
    if profile not in PROFILES:
        raise ValueError(f"no profile is called {profile!r}; there are {', '.join(PROFILES)}")
    if count < 0:
        raise ValueError(f"a population has at least 0 people, not {count}")
    random = (randomness or Randomness(seed)).child(f"population/{domain.name}")
    with uncollected():
        if profile == "company":
            from simulator.active_directory import company

            return company.found(domain, count, random, shares)
        return _people(domain, count, random)


def _people(domain: Domain, count: int, random: Random) -> list[Invented]:
    controller = domain.controller()
    names = _AccountNames(controller.replica.by_name)
    made = []
    for number in range(count):
        first, last = _person(random)
        name = names.free(first, last, number)
        unit = UNITS[int(random.random() * len(UNITS))]
        more: dict[str, Value] = {
            "givenname": first,
            "sn": last,
            "mail": f"{name}@{domain.name}",
            "title": pick(random, titles()),
            "department": unit,
        }
        password = f"{random.getrandbits(40):010x}-Pw!"
        entry = accounts.create(
            domain,
            controller,
            name,
            password,
            ou=f"OU={unit},OU=People",
            display_name=f"{first} {last}",
            password_age=PASSWORD_AGE,
            stored_attributes=more,
            check_policy=False,
        )
        made.append(Invented(name, password, UUID(bytes_le=entry.guid)))
    return made


def _person(random: Random) -> tuple[str, str]:
    first, last = first_and_last_names(pick(random, LOCALES))
    return pick(random, first), pick(random, last)


class _AccountNames:
    """``first.last`` in plain ASCII letters, numbered if that is taken or nothing of the name is left."""

    def __init__(self, taken: Container[str]) -> None:
        self._taken = taken
        self._next: dict[str, int] = {}

    def free(self, first: str, last: str, number: int) -> str:
        """A name that nobody has; ``number``: the first that may stand behind it."""
        stem = ".".join(part for part in (_plain(first), _plain(last)) if part)
        if len(stem) < 4:
            stem = "person"
        name = stem[:NAME_LENGTH_MAX].rstrip(".")
        if name in self._taken:
            number = max(number, self._next.get(stem, 0))  # all below are taken, and stay so
            while name in self._taken:
                suffix = str(number)
                name = stem[: NAME_LENGTH_MAX - len(suffix)] + suffix
                number += 1
            self._next[stem] = number
        return name


@cache
def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).lower()
    return "".join(letter for letter in letters if "a" <= letter <= "z")
