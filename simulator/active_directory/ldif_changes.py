"""LDIF change records (RFC 2849 5): add, modify, delete and modrdn, applied in order as an administrator's requests.

Every change is the LDAP operation of its name, with the directory's rules and result codes; only what is added is taken
as any file's entries are (:mod:`simulator.active_directory.ldif`). They are tried on a copy of the forest first, so
that a file of which one change is refused changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.active_directory import snapshot, writes
from simulator.active_directory.errors import LdapError
from simulator.active_directory.ldif import Loaded, Maker
from simulator.active_directory.ldif_check import Check
from simulator.active_directory.ldif_text import LdifError, Note, Record, utf8
from simulator.active_directory.requests import TREE_DELETE
from simulator.active_directory.session import Session
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Domain

_OPERATIONS = {"add": writes.ADD, "delete": writes.DELETE, "replace": writes.REPLACE}


class _Administrator(Session):
    """A session that no bind was needed for: whoever loads a file may do everything."""

    @property
    def user(self) -> Entry | None:
        return self.controller.replica.by_rid[500]

    def administrator(self) -> bool:
        return True


def apply_changes(domain: Domain, records: list[Record], file: str, *, lenient: bool = False) -> Loaded:
    """Apply all changes of a file, or none. Raises LdifError."""
    forest = domain.forest
    copy = snapshot.load(forest.snapshot(), forest.clock)
    _Changes(copy.domains[domain.name], file, lenient).apply(records)
    return _Changes(domain, file, lenient).apply(records)


class _Changes:
    """Applies records to a domain as they come."""

    def __init__(self, domain: Domain, file: str, lenient: bool) -> None:
        self._domain = domain
        self._file = file
        self._lenient = lenient
        self._session = _Administrator(domain.controller())
        self._notes: list[Note] = []
        self._perform: dict[str, Callable[[Record], None]] = {
            "add": self._add, "modify": self._modify, "modrdn": self._rename,
        }  # fmt: skip
        self.loaded = Loaded()

    def apply(self, records: list[Record]) -> Loaded:
        """Apply the records in order. Raises LdifError; what came before is applied then."""
        for record in records:
            if not record.change:
                raise self._fail(record.line, "changetype is missing: a file has entries or changes, not both")
            tree = self._tree_delete(record)
            if tree and record.change != "delete":
                raise self._fail(record.controls[0][0], "the tree-delete control is for changetype: delete")
            try:
                if record.change == "delete":
                    self._delete(record, tree)
                else:
                    self._perform[record.change](record)
            except LdapError as problem:
                text = problem.text.rstrip("\n\x00")
                raise self._fail(record.line, f"{record.change} is refused: {problem.code} {text}") from None
            except Refusal as refusal:
                raise self._fail(record.line, f"{record.change} is refused: {refusal.detail}") from None
            self.loaded.entries += 1
        self.loaded.notes.sort(key=lambda note: note.line)
        return self.loaded

    def _fail(self, line: int, reason: str) -> LdifError:
        return LdifError(self._file, line, reason)

    def _tree_delete(self, record: Record) -> bool:
        """Whether the record carries that control; another that is critical is refused."""
        found = False
        for number, text in record.controls:
            oid, *rest = text.replace(":", " ").split() or [""]
            if not oid:
                raise self._fail(number, "this names no control")
            if oid == TREE_DELETE:
                found = True
            elif rest and rest[0].lower() == "true":
                raise self._fail(number, f"the control {oid} is critical and not known")
            else:
                self.loaded.notes.append(Note(number, f"the control {oid} is passed over"))
        return found

    def _add(self, record: Record) -> None:
        check = Check(self._domain, self._file, lenient=self._lenient)
        entry = check.entry(record)
        for planned in check.ordered([] if entry is None else [entry]):
            check.links([planned])
            maker = Maker(self._domain, check)
            maker.make(planned)
            maker.link()
            self.loaded.accounts += maker.accounts
        self.loaded.notes += check.notes()

    def _modify(self, record: Record) -> None:
        """``add: mail``, its values, ``-`` and so on."""
        changes: list[writes.Change] = []
        begun: tuple[int, str] | None = None
        octets: list[bytes] = []
        for number, name, value in [*record.lines, (record.line, "-", b"")]:
            if name == "-":
                if begun is not None:
                    changes.append(writes.Change(begun[0], begun[1], tuple(octets)))
                begun, octets = None, []
            elif begun is None:
                begun = self._operation(number, name), utf8(value, number, self._file).strip()
            elif name.lower() != begun[1].lower():
                raise self._fail(number, f'a value of {begun[1]} or "-" belongs here, not {name}:')
            else:
                octets.append(value)
        if not changes:
            raise self._fail(record.line, "a modify without a change")
        writes.modify(self._session, record.dn, changes)

    def _operation(self, number: int, name: str) -> int:
        operation = _OPERATIONS.get(name.lower())
        if operation is None:
            raise self._fail(number, f'{name}: "add:", "delete:" or "replace:" begins a part of a change')
        return operation

    def _delete(self, record: Record, tree: bool) -> None:
        if record.lines:
            raise self._fail(record.lines[0][0], "a delete has no further lines")
        writes.delete(self._session, record.dn, tree=tree)

    def _rename(self, record: Record) -> None:
        given: dict[str, tuple[int, str]] = {}
        for number, name, value in record.lines:
            key = name.lower()
            if key not in ("newrdn", "deleteoldrdn", "newsuperior") or key in given:
                raise self._fail(number, f"{name}: newrdn, deleteoldrdn and newsuperior make up a modrdn")
            given[key] = number, utf8(value, number, self._file)
        if "newrdn" not in given:
            raise self._fail(record.line, "newrdn is missing")
        number, old = given.get("deleteoldrdn", (record.line, ""))
        if old.strip() != "1":
            raise self._fail(number, "deleteoldrdn: 1 is needed: an object of AD has one name")
        superior = given.get("newsuperior")
        writes.modify_dn(self._session, record.dn, given["newrdn"][1], None if superior is None else superior[1])
