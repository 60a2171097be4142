"""Loading users from LDIF (RFC 2849): entries as an LDAP server exports them, added below a domain.

``userPassword`` in clear gives the password. A file is checked as a whole first: nothing is loaded from a bad one.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.active_directory import accounts, names, schema, values
from simulator.active_directory.accounts import Account
from simulator.active_directory.names import InvalidName, parse_dn, rdn_key
from simulator.active_directory.schema import Attribute, ObjectClass, Scalar, Value
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Controller, Domain

_IGNORED = {"objectclass", "cn", "ou", "dc", "name", "userpassword", "distinguishedname"}


class LdifError(ValueError):
    """A file that can't be loaded: where, and why."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        super().__init__(f"{file}:{line}: {reason}")


@dataclass(slots=True)
class _Record:
    """An entry of the file: its line, DN, and (line, attribute name, value) of each value."""

    line: int
    dn: str = ""
    lines: list[tuple[int, str, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class _User:
    """An entry that has been checked and can be made."""

    line: int
    path: list[tuple[str, str]]
    kind: ObjectClass
    name: str
    values: dict[str, Value]
    password: str | None


def load_ldif(domain: Domain, source: Path | str, *, file: str = "<text>") -> list[tuple[Account, str | None]]:
    """Load a file (a Path) or a text; the users made, each with the password if the file gives it.

    Organizational units are made as needed. A user's name is sAMAccountName, uid or cn, whichever comes first. Raises
    LdifError (line, reason) before anything is changed, OSError if the file can't be read.
    """
    if isinstance(source, Path):
        file, octets = str(source), source.read_bytes()
    else:
        octets = source.encode()
    check = _Check(domain, file)
    planned = [planned for record in _records(octets, file) if (planned := check.entry(record)) is not None]
    made = []
    for user in planned:
        entry = _make(domain, user)
        if entry is not None:
            made.append((Account(entry), user.password))
    return made


def _make(domain: Domain, user: _User) -> Entry | None:
    controller = domain.controller()
    path = names.join_dn(user.path[1:])
    if not user.kind.is_account:
        above = accounts.unit(controller, path)
        if rdn_key(*user.path[0]) not in (above.children or {}):
            controller.create(above, user.path[0][1], user.kind, user.values)
        return None
    more = dict(user.values)
    for key in ("samaccountname", "userprincipalname", "displayname"):
        more.pop(key, None)
    display, upn = user.values.get("displayname"), user.values.get("userprincipalname")
    return accounts.create(
        domain,
        controller,
        user.name,
        user.password,
        user_class=user.kind.name,
        ou=path or domain.dn,
        cn=user.path[0][1],
        display_name=str(display) if display else user.path[0][1],
        upn=str(upn) if upn else None,
        stored_attributes=more,
        check_policy=False,
    )


def _records(octets: bytes, file: str) -> Iterator[_Record]:
    """The entries of a file. Raises LdifError."""
    record: _Record | None = None
    for number, line in _unfolded(octets):
        if not line:
            if record is not None:
                yield record
            record = None
            continue
        name, value = _attribute_line(line, number, file)
        if record is None:
            if name.lower() == "version" and value.strip() == b"1":
                continue
            if name.lower() != "dn":
                raise LdifError(file, number, f"an entry begins with dn:, not with {name}:")
            record = _Record(number, _utf8(value, number, file))
        elif name.lower() == "dn":
            raise LdifError(file, number, "an empty line is missing before this entry")
        elif name.lower() == "changetype":
            if value.strip().lower() != b"add":
                raise LdifError(file, number, f"only entries to add, not changetype: {_utf8(value, number, file)}")
        else:
            record.lines.append((number, name, value))
    if record is not None:
        yield record


def _unfolded(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Logical lines with their numbers: folded ones joined, comments left out, an empty one at the end."""
    begun: tuple[int, bytes] | None = None
    for number, line in enumerate(octets.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n"), 1):
        if line.startswith(b" ") and begun is not None:
            begun = (begun[0], begun[1] + line[1:])
            continue
        if begun is not None and not begun[1].startswith(b"#"):
            yield begun
        begun = (number, line)
    if begun is not None and not begun[1].startswith(b"#"):
        yield begun
    yield 0, b""


def _attribute_line(line: bytes, number: int, file: str) -> tuple[str, bytes]:
    name, sign, value = line.partition(b":")
    if not sign or not name.strip():
        raise LdifError(file, number, 'a line reads "attribute: value"')
    text = _utf8(name, number, file).strip()
    if value.startswith(b"<"):
        raise LdifError(file, number, f"{text}: values by URL are not read")
    if not value.startswith(b":"):
        return text, value.lstrip(b" ")
    try:
        return text, b64decode(value[1:].strip(), validate=True)
    except (Base64Error, ValueError):
        raise LdifError(file, number, f"{text}: not base64") from None


def _utf8(octets: bytes, number: int, file: str) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise LdifError(file, number, "not UTF-8 text") from None


class _Check:
    """Checks entries against the domain and against each other."""

    def __init__(self, domain: Domain, file: str) -> None:
        self._domain = domain
        self._file = file
        self._root = [rdn_key(*part) for part in parse_dn(domain.dn)]
        self._seen: dict[str, int] = {}

    def entry(self, record: _Record) -> _User | None:
        """What to make of an entry; None for the domain's own root. Raises LdifError."""
        path = self._path(record)
        if not path:
            return None
        found = self._typed(record)
        kind = self._kind(record, path)
        if not kind.is_account:
            return _User(record.line, path, kind, "", self._packed(record, found), None)
        password = self._password(record)
        stored = self._packed(record, found)
        name = self._name(record, stored, path)
        self._once(record, "dn " + ",".join(rdn_key(*part) for part in path), f"the name {record.dn!r}")
        self._once(record, f"name {name.casefold()}", f"the account name {name!r}")
        upn = str(stored.get("userprincipalname") or f"{name}@{self._domain.name}")
        self._once(record, f"upn {upn.casefold()}", f"the principal name {upn!r}")
        controller = self._domain.controller()
        try:
            accounts.check_names(self._domain, controller, name, upn, None)
        except Refusal as refusal:
            raise LdifError(self._file, record.line, refusal.detail) from None
        if _exists(controller, path):
            raise LdifError(self._file, record.line, f"{record.dn!r} exists already")
        return _User(record.line, path, kind, name, stored, password)

    def _once(self, record: _Record, key: str, what: str) -> None:
        before = self._seen.setdefault(key, record.line)
        if before != record.line:
            raise LdifError(self._file, record.line, f"{what} is taken by the entry of line {before}")

    def _path(self, record: _Record) -> list[tuple[str, str]]:
        """The DN's parts below the domain's root."""
        try:
            parts = parse_dn(record.dn)
        except InvalidName as problem:
            raise LdifError(self._file, record.line, str(problem)) from None
        depth = len(self._root)
        if [rdn_key(*part) for part in parts[-depth:]] != self._root:
            raise LdifError(self._file, record.line, f"{record.dn!r} is not below {self._domain.dn}")
        path = parts[:-depth]
        for index, (kind, _) in enumerate(path):
            if kind.upper() != "OU" and (index or kind.upper() not in ("CN", "UID")):
                raise LdifError(
                    self._file, record.line, f"{record.dn!r}: people lie below OUs and are named by CN or UID"
                )
        return path

    def _typed(self, record: _Record) -> dict[str, list[Scalar]]:
        found: dict[str, list[Scalar]] = {}
        for number, name, octets in record.lines:
            attribute = self._attribute(number, name)
            if attribute.key in _IGNORED:
                continue
            if attribute.system or attribute.secret or attribute.constructed or attribute.key == "member":
                raise LdifError(self._file, number, f"{attribute.name} can't be given")
            try:
                value = values.read(attribute, octets)
            except values.InvalidValue as problem:
                raise LdifError(self._file, number, str(problem)) from None
            several = found.setdefault(attribute.key, [])
            several.append(value)
            if attribute.single and len(several) > 1:
                raise LdifError(self._file, number, f"{attribute.name} takes one value")
        return found

    def _attribute(self, number: int, name: str) -> Attribute:
        attribute = schema.attribute(name)
        if attribute is None:
            raise LdifError(self._file, number, f"the schema has no attribute {name!r}")
        return attribute

    @staticmethod
    def _packed(record: _Record, found: dict[str, list[Scalar]]) -> dict[str, Value]:
        packed = {key: values.pack(several) for key, several in found.items()}
        return {key: value for key, value in packed.items() if value is not None}

    def _kind(self, record: _Record, path: list[tuple[str, str]]) -> ObjectClass:
        listed = [(number, octets) for number, name, octets in record.lines if name.lower() == "objectclass"]
        if not listed:
            raise LdifError(self._file, record.line, "objectClass is missing")
        names_given = [_utf8(octets, number, self._file) for number, octets in listed]
        kind = schema.structural_class(names_given)
        if kind is None or not (kind.is_account or kind.name == "organizationalUnit"):
            listing = ", ".join(names_given)
            raise LdifError(self._file, listed[0][0], f"users, inetOrgPersons and organizational units only: {listing}")
        if (path[0][0].upper() == "OU") != (kind.rdn == "OU"):
            raise LdifError(self._file, record.line, f"an object of class {kind.name} is not named {path[0][0]}=")
        return kind

    def _password(self, record: _Record) -> str | None:
        found = [(number, octets) for number, name, octets in record.lines if name.lower() == "userpassword"]
        if not found:
            return None
        if len(found) > 1:
            raise LdifError(self._file, found[1][0], "userPassword takes one value")
        number, octets = found[0]
        text = _utf8(octets, number, self._file)
        if text.startswith("{") and "}" in text:
            raise LdifError(self._file, number, "userPassword is hashed; only clear text gives a password")
        return text

    def _name(self, record: _Record, stored: dict[str, Value], path: list[tuple[str, str]]) -> str:
        for key in ("samaccountname", "uid"):
            found = stored.get(key)
            if found:
                return str(found[0] if isinstance(found, tuple) else found)
        return path[0][1]


def _exists(controller: Controller, path: list[tuple[str, str]]) -> bool:
    entry = controller.replica.root
    for kind, value in reversed([("CN", path[0][1]), *path[1:]]):
        child = (entry.children or {}).get(rdn_key(kind, value))
        if child is None:
            return False
        entry = child
    return True
