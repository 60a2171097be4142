"""Accounts of several directories that are one person: which of them counts.

Where an administrator matches users across directories by an attribute (custom settings, product documentation on
topologies), one account gives the person's name, anchor and password. An enabled one goes before a disabled one; of
several enabled ones the engine picks that of the connector that was made first, and ignores the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Account(NamedTuple):
    """An account that may be one of several. key: the value by which users are matched; an empty one matches nobody.

    connector: how many connectors were made before that of the account's directory.
    """

    anchor: str
    key: str
    enabled: bool
    connector: int


def ignored(accounts: Iterable[Account]) -> set[str]:
    """Anchors of the accounts that do not count; accounts of one and the same connector are never one person."""
    people: dict[str, list[Account]] = {}
    for account in accounts:
        if account.key:
            people.setdefault(account.key.casefold(), []).append(account)
    left: set[str] = set()
    for same in people.values():
        chosen = min(same, key=_rank)
        left.update(account.anchor for account in same if account.connector != chosen.connector)
    return left


def _rank(account: Account) -> tuple[bool, int]:
    return not account.enabled, account.connector
