"""What a check works with: connections, fresh names, and observations in a form that two servers can share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ldap3
from ldap3.protocol.rfc4511 import AuthenticationChoice, BindRequest, Simple, Version

if TYPE_CHECKING:
    from conformance.catalogue import Check
    from conformance.servers import Server

PASSWORD = "Winter-2016!"
OTHER, THIRD = "Spring-2017?", "Summer-2018#"
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
NEVER = (1 << 63) - 1
DECADE = timedelta(days=3653)
"""Times further away than this are no relation to the clock."""

FILETIMES = {
    "pwdlastset", "lastlogon", "lastlogontimestamp", "lockouttime", "badpasswordtime", "accountexpires",
    "msds-userpasswordexpirytimecomputed", "creationtime",
}  # fmt: skip
DATES = {"whencreated", "whenchanged", "createtimestamp", "modifytimestamp", "currenttime"}
USNS = {"usncreated", "usnchanged", "highestcommittedusn"}
GUIDS = {"objectguid", "parentguid", "invocationid"}
SIDS = {"objectsid", "tokengroups", "tokengroupsglobalanduniversal"}
RIDS = {"primarygrouptoken", "primarygroupid"}

ADD, DELETE, REPLACE = ldap3.MODIFY_ADD, ldap3.MODIFY_DELETE, ldap3.MODIFY_REPLACE
BASE, LEVEL, SUBTREE = ldap3.BASE, ldap3.LEVEL, ldap3.SUBTREE

Change = tuple[str, str, Sequence[str | bytes]]


@dataclass(frozen=True)
class Said:
    """An answer: LDAP result code, Win32 code (or a bind's sub-code) at its text's start, and the matched DN.

    win32 is empty where the text has none.
    """

    code: int
    win32: str = ""
    matched: str = ""

    def __str__(self) -> str:
        return " ".join(each for each in (str(self.code), self.win32, self.matched and f"<{self.matched}>") if each)


def said(result: Mapping[str, Any]) -> Said:
    """ldap3's result as an answer."""
    text, code = str(result["message"] or ""), int(result["result"])
    data = re.search(r"AcceptSecurityContext error, data ([0-9a-fA-F]+)", text)
    if code in (0, 5, 6):
        return Said(code)
    if data:
        return Said(code, data[1].lower())
    number = re.match(r"(?:0x)?([0-9A-Fa-f]{8})\b", text)
    return Said(code, number[1].upper() if number else "", str(result["dn"] or ""))


def quoted(password: str) -> bytes:
    """A password as unicodePwd wants it."""
    return f'"{password}"'.encode("utf-16-le")


def raw_bind(connection: ldap3.Connection, user: str, password: str) -> Mapping[str, Any]:
    """A simple bind as it is said, without ldap3's opinion of names and passwords."""
    request = BindRequest()
    request["version"], request["name"] = Version(3), user
    request["authentication"] = AuthenticationChoice().setComponentByName("simple", Simple(password.encode()))
    _, result = connection.get_response(connection.send("bindRequest", request, None))
    answer: Mapping[str, Any] = result
    return answer


class Lab:
    """One check's place on one server: everything that it makes lies below its own OU, and has names of its own."""

    def __init__(self, server: Server, check: Check) -> None:
        self.server = server
        self.base = server.base
        self.mine = f"k{check.number:03}"
        self._ou: str | None = None
        self._known: dict[tuple[str, bytes], str] = {}
        self.marked = 0

    def crowd(self, make: Callable[[Lab], None]) -> Lab:
        """A place that all checks share which only look at what ``make`` puts there."""
        key = f"{make.__module__}.{make.__name__}"
        if key not in self.server.shared:
            shared = copy(self)
            shared.mine = f"shared{len(self.server.shared)}"
            make(shared)
            self.server.shared[key] = shared
        found: Lab = self.server.shared[key]
        return found

    # --- who -----------------------------------------------------------------------------------------------------

    @property
    def admin(self) -> ldap3.Connection:
        """The administrator's connection, anew after a jump of the clock."""
        return self.server.admin()

    @property
    def now(self) -> datetime:
        """What the servers' clock says."""
        return self.server.now

    def connect(self, user: str, password: str = PASSWORD, how: str = "ldaps") -> ldap3.Connection:
        """A connection that must come about: as a user by DN or name."""
        connection = self.server.open(user, password, how)
        if not connection.bound:
            raise ValueError(f"{user} cannot bind: {connection.result['message']}")
        return connection

    def bind(self, user: str, password: str = PASSWORD, how: str = "ldaps") -> Said:
        """What a bind is answered."""
        connection = self.server.connection(how)
        answer = said(raw_bind(connection, user, password))
        connection.unbind()
        return answer

    # --- making --------------------------------------------------------------------------------------------------

    @property
    def ou(self) -> str:
        """DN of an organizational unit of the check's own."""
        if self._ou is None:
            self._ou = f"OU={self.mine},{self.base}"
            self.must(self.add(self._ou, "organizationalUnit"))
        return self._ou

    @staticmethod
    def must(answer: Said) -> None:
        """Preparations have to succeed."""
        if answer.code != 0:
            raise ValueError(f"a preparation was answered {answer}")

    def name(self, name: str) -> str:
        """A sAMAccountName of the check's own."""
        return self.mine + name

    def dn(self, name: str) -> str:
        """The DN of something in the check's OU."""
        return f"CN={self.name(name)},{self.ou}"

    def upn(self, name: str) -> str:
        """A userPrincipalName of the check's own."""
        return f"{self.name(name)}@{self.server.domain}"

    def user(self, name: str = "u", password: str | None = PASSWORD, kind: str = "user", **attributes: Any) -> str:
        """Make a user that can log on; returns the DN."""
        given: dict[str, Any] = {"sAMAccountName": self.name(name), "userAccountControl": "512"}
        if password is None:
            given["userAccountControl"] = "514"
        else:
            given["unicodePwd"] = quoted(password)
        self.must(self.add(self.dn(name), kind, {**given, **attributes}))
        return self.dn(name)

    def group(self, name: str = "g", members: Iterable[str] = (), **attributes: Any) -> str:
        """Make a global security group; returns the DN."""
        given: dict[str, Any] = {"sAMAccountName": self.name(name), **attributes}
        if members:
            given["member"] = list(members)
        self.must(self.add(self.dn(name), "group", given))
        return self.dn(name)

    def contact(self, name: str = "c", **attributes: Any) -> str:
        """Make a contact; returns the DN."""
        self.must(self.add(self.dn(name), "contact", attributes))
        return self.dn(name)

    # --- doing ---------------------------------------------------------------------------------------------------

    def add(
        self,
        dn: str,
        kind: str | Sequence[str],
        attributes: Mapping[str, Any] | None = None,
        *,
        by: ldap3.Connection | None = None,
        controls: Any = None,
    ) -> Said:
        """Add an object."""
        connection = by or self.admin
        connection.add(dn, [kind] if isinstance(kind, str) else list(kind), dict(attributes or {}), controls)
        return said(connection.result)

    def modify(self, dn: str, *changes: Change, by: ldap3.Connection | None = None, controls: Any = None) -> Said:
        """Change an object: changes are (attribute, operation, values), in order."""
        connection = by or self.admin
        wanted: dict[str, list[tuple[str, list[str | bytes]]]] = {}
        for name, operation, values in changes:
            wanted.setdefault(name, []).append((operation, list(values)))
        connection.modify(dn, wanted, controls)
        return said(connection.result)

    def set(self, dn: str, by: ldap3.Connection | None = None, **values: str | bytes | list[str]) -> Said:
        """Replace attributes."""
        lists = {name: each if isinstance(each, list) else [each] for name, each in values.items()}
        return self.modify(dn, *((name, REPLACE, each) for name, each in lists.items()), by=by)

    def reset(self, dn: str, password: str, by: ldap3.Connection | None = None) -> Said:
        """Reset a password."""
        return self.modify(dn, ("unicodePwd", REPLACE, [quoted(password)]), by=by)

    def change(self, dn: str, old: str, new: str, by: ldap3.Connection) -> Said:
        """Change a password, as users do."""
        return self.modify(dn, ("unicodePwd", DELETE, [quoted(old)]), ("unicodePwd", ADD, [quoted(new)]), by=by)

    def delete(self, dn: str, by: ldap3.Connection | None = None, controls: Any = None) -> Said:
        """Delete an object."""
        connection = by or self.admin
        connection.delete(dn, controls)
        return said(connection.result)

    def rename(
        self, dn: str, rdn: str, superior: str | None = None, *, by: ldap3.Connection | None = None, keep: bool = False
    ) -> Said:
        """Rename or move an object."""
        connection = by or self.admin
        connection.modify_dn(dn, rdn, delete_old_dn=not keep, new_superior=superior)
        return said(connection.result)

    def compare(self, dn: str, name: str, value: str | bytes, by: ldap3.Connection | None = None) -> Said:
        """Compare a value."""
        connection = by or self.admin
        connection.compare(dn, name, value)
        return said(connection.result)

    # --- seeing --------------------------------------------------------------------------------------------------

    def search(
        self,
        filter: str = "(objectClass=*)",
        base: str | None = None,
        scope: str = SUBTREE,
        attributes: Sequence[str] = ("1.1",),
        *,
        by: ldap3.Connection | None = None,
        controls: Any = None,
        **options: Any,
    ) -> tuple[Said, list[dict[str, Any]]]:
        """The answer and ldap3's raw entries, referrals left out."""
        connection = by or self.admin
        connection.search(
            self.ou if base is None else base, filter, scope, attributes=list(attributes), controls=controls, **options
        )
        found = [each for each in connection.response or () if each["type"] == "searchResEntry"]
        return said(connection.result), found

    def names(self, filter: str, **options: Any) -> Observation:
        """Answer and first parts of the DNs found, in the order of the alphabet."""
        answer, found = self.search(filter, **options)
        return answer, sorted(each["dn"].split(",")[0].replace(self.mine, "") for each in found)

    def read(self, dn: str, *attributes: str, by: ldap3.Connection | None = None, controls: Any = None) -> Observation:
        """An object's attributes as they can be compared; the answer if there is no object."""
        answer, found = self.search(base=dn, scope=BASE, attributes=attributes or ("*",), by=by, controls=controls)
        return self.shown(found[0]) if found else answer

    def raw(self, dn: str, attribute: str, controls: Any = None) -> list[bytes]:
        """An attribute's octets."""
        answer, found = self.search(base=dn, scope=BASE, attributes=[attribute], controls=controls)
        if not found:
            raise ValueError(f"{dn} cannot be read: {answer}")
        values: Any = found[0]["raw_attributes"].get(attribute, [])
        return [values] if isinstance(values, bytes) else list(values or ())

    def shown(self, entry: Mapping[str, Any]) -> dict[str, list[str]]:
        """An entry's attributes in comparable form, without those that have no value."""
        found = {}
        for name, values in sorted(entry["raw_attributes"].items(), key=lambda item: item[0].lower()):
            octets = [values] if isinstance(values, bytes) else values
            if octets:
                shown = [self.plain(name, each) for each in octets]
                found[name] = shown if name.lower() == "objectclass" else sorted(shown)
        return found

    def mark(self) -> None:
        """From here on USNs are shown as what they are above the highest one now."""
        self.marked = self.usn()

    def risen(self) -> int:
        """How far the highest USN has risen since the mark."""
        return self.usn() - self.marked

    def tick(self) -> None:
        """Let a second pass; for checks that run alone."""
        self.server.tick()

    def usn(self) -> int:
        """highestCommittedUSN."""
        return int(self.raw("", "highestCommittedUSN")[0])

    def plain(self, name: str, octets: bytes) -> str:
        """A value in comparable form: times and USNs as relations, identifiers by their order of appearance."""
        key = name.lower().partition(";")[0]
        if key in GUIDS:
            return self._known.setdefault(("guid", octets), f"guid {len(self._known)}")
        if key in SIDS:
            return self.sid(octets)
        try:
            text = octets.decode()
        except UnicodeDecodeError:
            return octets.hex()
        if key in RIDS and int(text) >= 1000:
            return "a RID of its own"
        if key in FILETIMES:
            return self.filetime(int(text))
        if key in DATES:
            moment = datetime.strptime(text, "%Y%m%d%H%M%S.0Z").replace(tzinfo=UTC)
            return self._since(moment)
        if key in USNS:
            return f"mark{int(text) - self.marked:+}"
        return self._without_guids(text)

    def sid(self, octets: bytes) -> str:
        """A SID: relative identifiers of accounts that a check made differ from server to server."""
        domain, rid = octets[:-4], int.from_bytes(octets[-4:], "little")
        if rid >= 1000:
            return self._known.setdefault(("sid", octets), f"sid {len(self._known)}")
        return f"{'domain' if len(octets) == 28 else domain.hex()}-{rid}"

    def filetime(self, ticks: int) -> str:
        """A FILETIME as what it is to the clock."""
        if ticks in (0, NEVER, -1, -NEVER - 1):
            return {0: "0", NEVER: "never", -1: "-1"}.get(ticks, "-never")
        moment = EPOCH + timedelta(microseconds=ticks // 10) if abs(ticks) < NEVER // 10 else EPOCH
        return self._since(moment) if abs(moment - self.now) < DECADE else str(ticks)

    def _since(self, moment: datetime) -> str:
        seconds = (moment - self.now).total_seconds()
        return "now" if seconds == 0 else f"now{seconds:+.7g}s"

    @staticmethod
    def _without_guids(text: str) -> str:
        return re.sub(r"(?i)[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", "<guid>", text)


Observation = Any
