"""Invented people: a population beside the users that a scenario names."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Sequence
from datetime import timedelta
from functools import cache
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from simulator.active_directory import accounts
from simulator.active_directory.schema import Value
from simulator.random import Randomness

if TYPE_CHECKING:
    from simulator.active_directory.state import Domain

LOCALES = ("en_US", "de_DE", "fr_FR", "pl_PL", "tr_TR", "ru_RU", "el_GR", "he_IL", "ar_AA", "hi_IN", "ja_JP", "zh_CN")
UNITS = ("Finance", "Legal", "Marketing", "Operations", "Production", "Research", "Sales", "Support")
PASSWORD_AGE = timedelta(days=30)
NAME_LENGTH_MAX = 20
"""Longest sAMAccountName of a user (product documentation)."""


class Invented(NamedTuple):
    """A person of a population: account name, password, objectGUID."""

    name: str
    password: str
    guid: UUID


@cache
def _names(locale: str) -> tuple[Sequence[str], Sequence[str]]:
    """First and last names of a locale, out of faker's tables: building a Faker per locale takes far longer."""
    provider = import_module(f"faker.providers.person.{locale}").Provider
    first = getattr(provider, "first_names", None) or provider.first_names_male
    return list(first), list(provider.last_names)


@cache
def _titles() -> Sequence[str]:
    return list(import_module("faker.providers.job.en_US").Provider.jobs)


def populate(domain: Domain, count: int, randomness: Randomness) -> list[Invented]:
    """Make ``count`` users with names in several scripts, spread over :data:`UNITS`; no existing name is used again.

    The same seed gives the same people. Passwords are taken as they are and are 30 days old.
    """
    random = randomness.child(f"population/{domain.name}")
    controller = domain.controller()
    taken = controller.replica.by_name
    made = []
    for number in range(count):
        first, last = _person(random)
        name = _account_name(first, last, number, taken)
        unit = UNITS[int(random.random() * len(UNITS))]
        more: dict[str, Value] = {
            "givenname": first,
            "sn": last,
            "mail": f"{name}@{domain.name}",
            "title": _pick(random, _titles())[:128],
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
    first, last = _names(_pick(random, LOCALES))
    return _pick(random, first), _pick(random, last)


def _pick(random: Random, choices: Sequence[str]) -> str:
    return choices[int(random.random() * len(choices))]


def _account_name(first: str, last: str, number: int, taken: Container[str]) -> str:
    """``first.last`` in plain ASCII letters, numbered if that is taken or nothing of the name is left."""
    stem = ".".join(part for part in (_plain(first), _plain(last)) if part)
    if len(stem) < 4:
        stem = "person"
    name = stem[:NAME_LENGTH_MAX].rstrip(".")
    while name in taken:
        suffix = str(number)
        name = stem[: NAME_LENGTH_MAX - len(suffix)] + suffix
        number += 1
    return name


@cache
def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).lower()
    return "".join(letter for letter in letters if "a" <= letter <= "z")
