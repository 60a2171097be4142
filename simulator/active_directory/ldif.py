"""Loading a directory from LDIF (RFC 2849): entries as an LDAP server exports them, added below a domain.

A file is checked as a whole first: nothing is loaded from a bad one. Three kinds of entries are taken:

- people of any directory: organizational units are made as needed, a user's name is sAMAccountName, uid or cn, and what
  a user of AD has beside that (principal name, display name) is made up;
- entries with an objectGUID, which only an export of AD has (``ldifde``, ``ldapsearch``, our own): as they are, with
  that GUID, since it is what an account is known by in the cloud. A SID is not kept: it is of the domain that it was
  exported from;
- what every domain holds anyway (its root, ``CN=Users``, built-in accounts and groups): it gets what the file says.

``userPassword`` in clear, or ``unicodePwd`` as ``ldifde -i`` takes it, gives the password; no policy is asked. What the
system alone writes (whenCreated, uSNChanged, memberOf, ...) is passed over with a note. A file in which a change
(modify, delete, modrdn) occurs is a list of changes: see :mod:`simulator.active_directory.ldif_changes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pwsync.credential import nt_hash
from simulator.active_directory import accounts, names, password_settings, passwords, policy
from simulator.active_directory.accounts import Account
from simulator.active_directory.ldif_check import Check, Planned
from simulator.active_directory.ldif_text import LdifError, Note, Record, records
from simulator.active_directory.schema import Value
from simulator.collection import uncollected

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Controller, Domain

__all__ = ["LdifError", "Loaded", "Note", "Record", "load_ldif", "read_ldif"]


@dataclass(slots=True)
class Loaded:
    """What came of a file: the users made, each with the password if the file gives it; how many entries were made or
    changed in all; what was passed over."""

    accounts: list[tuple[Account, str | None]] = field(default_factory=list)
    entries: int = 0
    notes: list[Note] = field(default_factory=list)


def load_ldif(domain: Domain, source: Path | str, *, file: str = "<text>") -> list[tuple[Account, str | None]]:
    """:func:`read_ldif`, the users alone."""
    return read_ldif(domain, source, file=file).accounts


def read_ldif(domain: Domain, source: Path | str | bytes, *, file: str = "<text>", lenient: bool = False) -> Loaded:
    """Load a file (a Path), a text or its octets into a domain.

    lenient: attributes and classes that the schema does not know are passed over with a note, as an export of a domain
    with extensions of its own needs it. Raises LdifError (file, line, reason) before anything is changed, OSError if
    the file can't be read.
    """
    if isinstance(source, Path):
        file, octets = str(source), source.read_bytes()
    else:
        octets = source.encode() if isinstance(source, str) else source
    found = list(records(octets, file))
    if any(record.change not in ("", "add") for record in found):
        from simulator.active_directory.ldif_changes import apply_changes

        return apply_changes(domain, found, file, lenient=lenient)
    check = Check(domain, file, lenient=lenient)
    with uncollected():
        planned = [each for record in found if (each := check.entry(record)) is not None]
        planned = check.ordered(planned)
        check.links(planned)
        maker = Maker(domain, check)
        for each in planned:
            maker.make(each)
        maker.link()
    return Loaded(maker.accounts, len(planned), check.notes())


class Maker:
    """Makes what was checked."""

    def __init__(self, domain: Domain, check: Check) -> None:
        self.accounts: list[tuple[Account, str | None]] = []
        self._domain = domain
        self._controller: Controller = domain.controller()
        self._check = check
        self._later: list[tuple[Entry, str, list[tuple[str, ...]]]] = []

    def make(self, each: Planned) -> None:
        """Make or change one entry."""
        entry = self._check.existing(each.path)
        if entry is not None:
            self._merge(entry, each)
            self._later += [(entry, key, targets) for key, targets in each.targets.items()]
            return
        if each.foreign and each.kind.is_account and each.kind.name != "computer":
            entry = self._person(each)
            self.accounts.append((Account(entry), each.password))
        else:
            entry = self._as_it_is(each)
            if each.kind.is_account and each.kind.name != "computer":
                self.accounts.append((Account(entry), each.password))
        self._later += [(entry, key, targets) for key, targets in each.targets.items() if key not in entry.values]

    def link(self) -> None:
        """Set the links of everything that was made, now that all of it is there."""
        for entry, key, targets in self._later:
            guids = tuple(found.guid for path in targets if (found := self._check.at(path)) is not None)
            known = entry.values.get(key)
            before = known if isinstance(known, tuple) else ()
            self._write(entry, {key: (*before, *(guid for guid in guids if guid not in before)) or None})

    def _merge(self, entry: Entry, each: Planned) -> None:
        """What is there already gets what the file says."""
        changes: dict[str, Value | None] = {key: value for key, value in each.values.items() if value != entry.get(key)}
        self._write(entry, changes)
        if entry.parent is None and password_settings.ROOT_KEYS & changes.keys():
            self._domain.policy = password_settings.root_rules(entry)
        self._set_password(entry, each)

    def _write(self, entry: Entry, changes: dict[str, Value | None]) -> None:
        if changes:
            self._controller.replica.write(entry, changes, self._controller.seconds())

    def _person(self, each: Planned) -> Entry:
        """A user as people make one."""
        more = dict(each.values)
        for key in ("samaccountname", "userprincipalname", "displayname"):
            more.pop(key, None)
        display, upn = each.values.get("displayname"), each.values.get("userprincipalname")
        rdn = each.path[0][1]
        return accounts.create(
            self._domain,
            self._controller,
            each.name,
            each.password,
            user_class=each.kind.name,
            ou=names.join_dn(each.path[1:]) or self._domain.dn,
            cn=rdn,
            display_name=str(display) if display else rdn,
            upn=str(upn) if upn else None,
            stored_attributes=more,
            check_policy=False,
        )

    def _as_it_is(self, each: Planned) -> Entry:
        controller, kind = self._controller, each.kind
        stored = {key: value for key, value in each.values.items() if value != kind.defaults.get(key)}
        for key, targets in each.targets.items():
            found = [self._check.at(path) for path in targets]
            if None not in found:
                stored[key] = tuple(target.guid for target in found if target is not None)
        principal = kind.is_account or kind.name == "group"
        if principal:
            stored.setdefault("samaccountname", each.name)
        if kind.is_account:
            computer = kind.name == "computer"
            stored.setdefault("useraccountcontrol", policy.WORKSTATION_ACCOUNT if computer else policy.NORMAL_ACCOUNT)
            stored.setdefault("pwdlastset", 0)
        parent = controller.home(names.join_dn(each.path[1:]) or self._domain.dn)
        rid = controller.take_rid() if principal else 0
        rdn = each.path[0][1]
        if each.guid is None:
            entry = controller.create(parent, rdn, kind, stored, rid=rid)
        else:
            entry = controller.replica.create(
                parent, rdn, kind, stored, guid=each.guid, rid=rid, seconds=controller.seconds()
            )
        self._set_password(entry, each)
        return entry

    def _set_password(self, entry: Entry, each: Planned) -> None:
        if each.password is None:
            return
        last_set = each.values.get("pwdlastset")
        also: dict[str, Value | None] = {} if last_set is None else {"pwdlastset": last_set}
        passwords.store(self._controller, entry, nt_hash(each.password), "create", clear=each.password, also=also)
