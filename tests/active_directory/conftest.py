"""A domain with a clock that tests move, and connections to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.active_directory.ldap import DirectoryConnection, connect
from simulator.active_directory.state import Domain, DomainPolicy, Forest
from simulator.clock import Clock
from simulator.random import Randomness

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
PASSWORD = "Winter-2016!"


class Lab:
    """A forest with one domain, ``contoso.example``."""

    def __init__(self, policy: DomainPolicy | None = None, seed: int = 1) -> None:
        self.clock = Clock(START)
        self.forest = Forest("forest", self.clock, Randomness(seed))
        self.domain: Domain = self.forest.add_domain("contoso.example", policy)

    def wait(self, **duration: float) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock() + timedelta(**duration))

    def user(self, name: str = "alice", **options: Any) -> str:
        """Make a user whose password is taken as it is; returns the DN."""
        options.setdefault("check_policy", False)
        self.domain.create_user(name, options.pop("password", PASSWORD), **options)
        return self.domain.find(name).dn

    def bind(self, name: str, password: str) -> DirectoryConnection:
        """A connection on which a bind was tried."""
        connection = connect(self.domain.controller(), name, password)
        connection.bind()
        return connection

    def connector(self) -> DirectoryConnection:
        """A connection bound as the connector's account."""
        return self.bind(*_in_domain(self.domain.connector_account()))

    def administrator(self) -> DirectoryConnection:
        """A connection bound as the administrator."""
        return self.bind("CONTOSO\\Administrator", self.domain.administrator_password)


def _in_domain(account: tuple[str, str]) -> tuple[str, str]:
    return f"CONTOSO\\{account[0]}", account[1]


@pytest.fixture
def lab() -> Lab:
    """A lab with the default policy."""
    return Lab()


@pytest.fixture
def lab_with() -> Callable[..., Lab]:
    """Makes labs with other policies."""
    return lambda **keys: Lab(DomainPolicy(**keys))
