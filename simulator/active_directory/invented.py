"""Where invented people's names come from: faker's tables, read directly.

Building a Faker takes tens of milliseconds for each locale, and each of its values tens of microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from random import Random
from typing import NamedTuple
from uuid import UUID

NAME_LENGTH_MAX = 20
"""Longest sAMAccountName of a user (product documentation)."""

TITLE_LENGTH_MAX = 128


class Invented(NamedTuple):
    """A person of a population: account name, password, objectGUID."""

    name: str
    password: str
    guid: UUID


@cache
def first_and_last_names(locale: str) -> tuple[Sequence[str], Sequence[str]]:
    """First and last names of a locale."""
    provider = import_module(f"faker.providers.person.{locale}").Provider
    first = getattr(provider, "first_names", None) or provider.first_names_male
    return list(first), list(provider.last_names)


@cache
def japanese_readings() -> dict[str, str]:
    """How Japanese names are read, in Latin letters: it can't be told from the signs alone."""
    provider = import_module("faker.providers.person.ja_JP").Provider
    return {signs: latin.lower() for signs, _, latin in (*provider.first_name_pairs, *provider.last_name_pairs)}


@cache
def titles() -> Sequence[str]:
    """Names of jobs."""
    return [title[:TITLE_LENGTH_MAX] for title in import_module("faker.providers.job.en_US").Provider.jobs]


def pick(random: Random, choices: Sequence[str]) -> str:
    """One of them, all equally likely; drawn the same way under every Python."""
    return choices[int(random.random() * len(choices))]
