"""What an LDIF file's entries mean to a domain, and whether they can be made there: all of it before anything is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.active_directory import accounts, password_settings, schema, values
from simulator.active_directory.ldif_text import LdifError, Note, Record, utf8
from simulator.active_directory.names import InvalidName, guid_bytes, parse_dn, rdn_key
from simulator.active_directory.schema import LINKS, Attribute, ObjectClass, Scalar, Value
from simulator.active_directory.virtual import well_known
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.active_directory.replica import Entry
    from simulator.active_directory.state import Domain

Path = list[tuple[str, str]]

IMPLIED = frozenset(
    ("objectclass", "cn", "ou", "dc", "name", "distinguishedname", "objectcategory", "objectguid", "userpassword",
     "unicodepwd")
)  # fmt: skip
"""Attributes that are read otherwise, or that an object has by its name and class."""

IMPLIED_NAMES = IMPLIED | {"objectClass", "objectCategory", "objectGUID", "distinguishedName"}
"""The same as most files write them, too."""

UNKNOWN_OPERATIONAL = frozenset(
    """
    dSCorePropagationData uSNDSALastObjRemoved uSNSource uSNIntersite modifiedCount modifiedCountAtLastProm
    creationTime serverState rIDSetReferences rIDManagerReference systemFlags msDS-NcType msDS-SupportedEncryptionTypes
    ms-DS-MachineAccountQuota nextRid replPropertyMetaData uASCompat otherWellKnownObjects auditingPolicy masteredBy
    msDs-masteredBy forceLogoff sIDHistory frsComputerReferenceBL msDFSR-ComputerReferenceBL serverReferenceBL
    structuralObjectClass entryUUID creatorsName createTimestamp modifiersName modifyTimestamp entryCSN
    subschemaSubentry localPolicyFlags hasSubordinates entryDN contextCSN pwdChangedTime
    """.lower().split()
)
"""What servers keep for themselves (AD, and OpenLDAP's export of operational attributes); passed over where the schema
does not know it."""

_SYSTEM_KINDS = frozenset(
    ("domainDNS", "builtinDomain", "lostAndFound", "msDS-PasswordSettingsContainer")
)  # fmt: skip


@dataclass(slots=True)
class Planned:
    """An entry that has been checked and can be made.

    path: names below the domain's root, the entry's own first. foreign: not an export of AD. targets: paths of what its
    links point to, by schema key.
    """

    line: int
    path: Path
    kind: ObjectClass
    name: str
    values: dict[str, Value]
    password: str | None
    guid: bytes | None
    foreign: bool
    links: list[tuple[int, str, str]] = field(default_factory=list)
    targets: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)


class Check:
    """Checks entries against the domain and against each other, and collects what is passed over."""

    def __init__(self, domain: Domain, file: str, *, lenient: bool = False) -> None:
        self._domain = domain
        self._controller = domain.controller()
        self._file = file
        self._lenient = lenient
        self._root = [rdn_key(*part) for part in parse_dn(domain.dn)]
        self._seen: dict[str, int] = {}
        self._paths: dict[tuple[str, ...], Planned] = {}
        self._notes: dict[str, Note] = {}
        self._plain: dict[str, Attribute] = {}

    def notes(self) -> list[Note]:
        """What was passed over, in order of first occurrence."""
        return sorted(self._notes.values(), key=lambda note: note.line)

    def note(self, line: int, text: str) -> None:
        """Remember something that is passed over; the same text is counted."""
        before = self._notes.get(text)
        self._notes[text] = Note(line, text) if before is None else Note(before.line, text, before.count + 1)

    def existing(self, path: Path) -> Entry | None:
        """The entry that lies at a path now."""
        return self.at(key_of(path))

    def at(self, keys: tuple[str, ...]) -> Entry | None:
        """The same by the keys of the path's names."""
        entry = self._controller.replica.root
        for key in reversed(keys):
            child = (entry.children or {}).get(key)
            if child is None:
                return None
            entry = child
        return entry

    # --- an entry ---------------------------------------------------------------------------------------------------

    def entry(self, record: Record) -> Planned | None:
        """What to make of an entry; None to make nothing. Raises LdifError."""
        path = self.path_of(record.dn, record.line)
        kind = self._kind(record, path)
        if kind is None:
            return None
        keys = key_of(path)
        known = self.at(keys)
        guid = self._guid(record)
        planned = Planned(record.line, path, kind, "", {}, None, None if known else guid, guid is None)
        self._once(record.line, "dn " + ",".join(keys), f"the name {record.dn!r}")
        planned.values = self._values(record, planned)
        if kind.is_account:
            planned.password = self._password(record)
        if known is not None:
            self._check_existing(record, known, kind)
            self._check_policy(record, known, planned.values)
        else:
            self._check_new(record, planned)
        self._paths[keys] = planned
        return planned

    def _fail(self, line: int, reason: str) -> LdifError:
        return LdifError(self._file, line, reason)

    def _once(self, line: int, key: str, what: str) -> None:
        before = self._seen.setdefault(key, line)
        if before != line:
            raise self._fail(line, f"{what} is taken by the entry of line {before}")

    def path_of(self, dn: str, line: int) -> Path:
        """The DN's parts below the domain's root. Raises LdifError."""
        try:
            parts = parse_dn(dn)
        except InvalidName as problem:
            raise self._fail(line, str(problem)) from None
        depth = len(self._root)
        if [rdn_key(*part) for part in parts[-depth:]] != self._root:
            raise self._fail(line, f"{dn!r} is not below {self._domain.dn}")
        return parts[:-depth]

    def _check_existing(self, record: Record, known: Entry, kind: ObjectClass) -> None:
        """What is there already may be what every domain has, or a mere container."""
        connector = self._domain.connector_account()[0]
        ours = known.parent is None or known.get("iscriticalsystemobject") is True or known.kind.name in _SYSTEM_KINDS
        ours = ours or known in well_known(known.replica.root).values()
        if not ours and known.kind.rdn != "OU" and known.text("samaccountname") != connector:
            raise self._fail(record.line, f"{record.dn!r} exists already")
        if known.kind is not kind:
            raise self._fail(record.line, f"{record.dn!r} exists already, as {known.kind.name}")

    def _check_policy(self, record: Record, known: Entry, given: dict[str, Value]) -> None:
        if known.parent is not None or not password_settings.ROOT_KEYS & given.keys():
            return
        rules = {key: int(given.get(key, known.integer(key))) for key in password_settings.ROOT_KEYS}  # type: ignore[arg-type] # all are numbers
        problem = password_settings.contradiction(rules)
        if problem:
            raise self._fail(record.line, f"the domain's policy: {problem}")

    def _check_new(self, record: Record, planned: Planned) -> None:
        kind = planned.kind
        if kind.name in _SYSTEM_KINDS:
            raise self._fail(
                record.line, f"an object of class {kind.name} is the system's; there is none {record.dn!r}"
            )
        if planned.guid is not None:
            if planned.guid in self._controller.replica.by_guid:
                raise self._fail(record.line, "its objectGUID is that of an object that there is, or once was")
            self._once(record.line, f"guid {planned.guid.hex()}", "its objectGUID")
        if kind.is_account or kind.name == "group":
            self._check_names(record, planned)

    def _check_names(self, record: Record, planned: Planned) -> None:
        planned.name = name = _name(planned)
        self._once(record.line, f"name {name.casefold()}", f"the account name {name!r}")
        given = planned.values.get("userprincipalname")
        person = planned.kind.is_account and planned.kind.name != "computer"
        upn = str(given) if given else f"{name}@{self._domain.name}" if planned.foreign and person else None
        if upn is not None:
            self._once(record.line, f"upn {upn.casefold()}", f"the principal name {upn!r}")
        try:
            accounts.check_names(self._domain, self._controller, name, upn, None)
        except Refusal as refusal:
            raise self._fail(record.line, refusal.detail) from None

    # --- values -----------------------------------------------------------------------------------------------------

    def _values(self, record: Record, planned: Planned) -> dict[str, Value]:
        found: dict[str, list[Scalar]] = {}
        plain = self._plain
        for number, name, octets in record.lines:
            attribute = plain.get(name)
            if attribute is None:
                if name in IMPLIED_NAMES:
                    continue
                attribute = self._settable(number, name)
                if attribute is None:
                    continue
            if attribute.key in LINKS:
                if attribute.single and any(key == attribute.key for _, key, _ in planned.links):
                    raise self._fail(number, f"{attribute.name} takes one value")
                planned.links.append((number, attribute.key, utf8(octets, number, self._file)))
                continue
            try:
                value = values.read(attribute, octets)
            except values.InvalidValue as problem:
                raise self._fail(number, str(problem)) from None
            several = found.setdefault(attribute.key, [])
            if several and attribute.single:
                raise self._fail(number, f"{attribute.name} takes one value")
            if value in several:
                raise self._fail(number, f"{attribute.name} has this value already")
            several.append(value)
        packed = {key: values.pack(several) for key, several in found.items()}
        return {key: value for key, value in packed.items() if value is not None}

    def _settable(self, number: int, name: str) -> Attribute | None:
        """The attribute of a line; None if it is read otherwise or passed over. Raises LdifError."""
        if name == "-":
            raise self._fail(number, 'a line reads "attribute: value"')
        plain, _, options = name.partition(";")
        attribute = schema.attribute(plain)
        folded = plain.lower()
        if attribute is None:
            if folded not in UNKNOWN_OPERATIONAL and not self._lenient:
                raise self._fail(number, f"the schema has no attribute {plain!r}")
            self.note(number, f"{plain} is passed over: the schema does not have it")
            return None
        if folded in IMPLIED:
            return None
        if attribute.secret:
            raise self._fail(number, f"{attribute.name} can't be given")
        if attribute.system or attribute.constructed or attribute.local:
            self.note(number, f"{attribute.name} is passed over: the system alone writes it")
            return None
        if options.startswith("range="):
            self.note(number, f"{name}: a part of the values only")
        else:
            self._plain[name] = attribute
        return attribute

    def _kind(self, record: Record, path: Path) -> ObjectClass | None:
        listed = [(number, octets) for number, name, octets in record.lines if name.lower() == "objectclass"]
        if not listed:
            raise self._fail(record.line, "objectClass is missing")
        given = [utf8(octets, number, self._file) for number, octets in listed]
        kind = schema.structural_class(given)
        if kind is None:
            if self._lenient:
                self.note(listed[0][0], f"entries of class {given[-1]} are passed over: the schema does not have it")
                return None
            raise self._fail(listed[0][0], f"the schema has no class that is {', '.join(given)}")
        own = path[0][0].upper() if path else "DC"
        if own != kind.rdn and not (own == "UID" and kind.is_account):
            raise self._fail(record.line, f"an object of class {kind.name} is not named {own}=")
        return kind

    def _guid(self, record: Record) -> bytes | None:
        for number, name, octets in record.lines:
            if name.lower() == "objectguid":
                if len(octets) == 16:
                    return octets
                try:
                    return guid_bytes(octets.decode("ascii"))  # as text, which Samba's tools write
                except ValueError:
                    raise self._fail(number, "objectGUID has 16 octets (in base64)") from None
        return None

    def _password(self, record: Record) -> str | None:
        found = [
            (number, name.lower(), octets) for number, name, octets in record.lines
            if name.lower() in ("userpassword", "unicodepwd")
        ]  # fmt: skip
        if not found:
            return None
        if len(found) > 1:
            raise self._fail(found[1][0], "a password takes one value")
        number, key, octets = found[0]
        if key == "unicodepwd":
            return self._quoted(number, octets)
        text = utf8(octets, number, self._file)
        if text.startswith("{") and "}" in text:
            raise self._fail(number, "userPassword is hashed; only clear text gives a password")
        return text

    def _quoted(self, number: int, octets: bytes) -> str:
        """A password as ``ldifde -i`` takes it: in quotation marks, UTF-16LE."""
        text = octets.decode("utf-16-le", "surrogatepass") if len(octets) % 2 == 0 else ""
        if len(text) < 2 or text[0] != '"' or text[-1] != '"':
            raise self._fail(number, "unicodePwd is a text in quotation marks, in UTF-16LE (and base64)")
        return text[1:-1]

    # --- the entries of a file together -----------------------------------------------------------------------------

    def ordered(self, planned: list[Planned]) -> list[Planned]:
        """The entries in the file's order, but parents before what lies below them. Raises LdifError.

        Containers other than organizational units must be in the file or in the domain.
        """
        found: dict[tuple[str, ...], Planned] = {}
        homeless: set[int] = set()
        for each in planned:
            way = [each]
            while (keys := key_of(way[-1].path[1:])) not in found:
                above = self._paths.get(keys)
                if above is None or above is way[-1]:
                    break
                way.append(above)
            for step in reversed(way):
                if step.line not in homeless and self._has_place(step, found):
                    found.setdefault(key_of(step.path), step)
                else:
                    homeless.add(step.line)
        return list(found.values())

    def _has_place(self, each: Planned, found: dict[tuple[str, ...], Planned]) -> bool:
        for at in range(1, len(each.path)):
            above = each.path[at:]
            if above[0][0].upper() != "OU" and key_of(above) not in found and not self.existing(above):
                text = ",".join(f"{kind}={value}" for kind, value in above)
                if not self._lenient:
                    raise self._fail(each.line, f"this lies below {text!r}, which does not exist")
                self.note(each.line, "entries below what is passed over are passed over")
                return False
        return True

    def links(self, planned: list[Planned]) -> None:
        """Find what the links of all entries point to, in the file or in the domain; others are passed over."""
        for each in planned:
            for number, key, dn in each.links:
                keys = self._target(dn, number)
                if keys is None:
                    self.note(number, f"{schema.ATTRIBUTES[key].name} is passed over where its object is not there")
                else:
                    each.targets.setdefault(key, []).append(keys)

    def _target(self, dn: str, number: int) -> tuple[str, ...] | None:
        try:
            parts = parse_dn(dn)
        except InvalidName as problem:
            raise self._fail(number, str(problem)) from None
        depth = len(self._root)
        if [rdn_key(*part) for part in parts[-depth:]] != self._root:
            return None
        keys = key_of(parts[:-depth])
        return keys if keys in self._paths or self.at(keys) is not None else None


def key_of(path: Path) -> tuple[str, ...]:
    """What makes two paths the same; an account named by UID is named by CN in AD."""
    return tuple(rdn_key("CN" if kind.upper() == "UID" else kind, value) for kind, value in path)


def _name(planned: Planned) -> str:
    for key in ("samaccountname", "uid"):
        found = planned.values.get(key)
        if found:
            return str(found[0] if isinstance(found, tuple) else found)
    return planned.path[0][1]
