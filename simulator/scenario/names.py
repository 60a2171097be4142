"""The names that a file may use: domains, controllers, and users as they come and go along the timeline."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.scenario.nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.scenario.model import Given
    from simulator.scenario.reader import Draft, Read

CREATORS = {"ad.create-user": "directory", "cloud.create-user": "cloud"}
TENANT_DOMAIN = "contoso.onmicrosoft.com"

_LDIF_NAME = re.compile(r"^(?:sAMAccountName|uid|cn):(:?)[ ]*(.*?)[ ]*$", re.IGNORECASE | re.MULTILINE)


@dataclass
class Names:
    """What is known at a point of the timeline.

    directory, cloud: users that have existed there so far, deleted ones included. live: users that exist now.
    home: a directory user's domain. later: lines in which users of the timeline are created. sessions: those opened.
    domains: controllers by domain; None where ``given`` could not be read, so that nothing can be said.
    """

    directory: set[str] = field(default_factory=set)
    cloud: set[str] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    home: dict[str, str] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    domains: dict[str, tuple[str, ...]] | None = None
    default_domain: str = ""
    cloud_domains: set[str] = field(default_factory=set)

    @property
    def users(self) -> set[str]:
        return self.directory | self.cloud

    def add(self, space: str, name: str, *, live: bool = True) -> None:
        """A user has come into being in the ``directory`` or in the ``cloud``; or, not ``live``, might have."""
        (self.directory if space == "directory" else self.cloud).add(name)
        if live:
            self.live.add(name)


def gather(draft: Draft) -> Names:
    """The names at the start; users are added by the checks, which report those that are there twice."""
    names = Names()
    if draft.given is not None:
        _gather_domains(draft.given, names)
    for read in created(draft):
        user = user_node(read)
        if user is not None:
            names.later.setdefault(user.text, user.line)
    for name in principal_domains(draft):
        names.cloud_domains.add(name)
    return names


def _gather_domains(given: Given, names: Names) -> None:
    names.domains = {name: spec.controllers for name, spec in given.all_domains().items()}
    names.default_domain = given.default_domain()
    names.cloud_domains = {*names.domains, *given.cloud.domains, TENANT_DOMAIN}
    for user in given.users:
        names.home[user.name] = user.domain or names.default_domain


def created(draft: Draft) -> Iterator[Read]:
    """The actions of the timeline that create a user."""
    for step in draft.steps:
        for read in step.actions:
            if read.name in CREATORS:
                yield read


def user_node(read: Read) -> Scalar | None:
    """The user that an action names, even where the action could not be read."""
    node = read.arguments.get("user") if isinstance(read.arguments, Mapping) else None
    return node if isinstance(node, Scalar) and node.text else None


def given_users(draft: Draft) -> Iterator[tuple[str, Scalar]]:
    """The named users of ``given`` with their places, ``directory`` or ``cloud``, even where some could not be read."""
    for key, space in (("users", "directory"), ("cloud-users", "cloud")):
        listed = draft.node("given", key)
        for item in listed.items if isinstance(listed, Sequence) else ():
            name = item.get("name") if isinstance(item, Mapping) else None
            if isinstance(name, Scalar) and name.text:
                yield space, name


def principal_domains(draft: Draft) -> Iterator[str]:
    """Domains that user principal names of the file end in."""
    parts = [*(draft.given.users if draft.given else ()), *(read.part for step in draft.steps for read in step.actions)]
    for part in parts:
        upn = getattr(part, "upn", None)
        if isinstance(upn, str):
            yield upn.rpartition("@")[2]


def ldif_names(text: str) -> set[str]:
    """Every name that an entry of an LDIF file may go by: sAMAccountName, uid and cn."""
    names = set()
    for encoded, value in _LDIF_NAME.findall(text):
        if encoded:
            try:
                names.add(base64.b64decode(value, validate=True).decode())
            except (binascii.Error, UnicodeDecodeError):
                continue
        else:
            names.add(value)
    return names


def items(node: Node | None) -> list[Node]:
    """The items of a list, none for anything else."""
    return node.items if isinstance(node, Sequence) else []
