"""Synchronized objects: what the agent's export does to the tenant's users.

Sign-in names and mail addresses (``mail`` and every entry of ``proxyAddresses``) belong to one object each. What
happens to an object that wishes a taken one depends on a feature of the tenant, duplicate attribute resiliency (product
documentation; on for all tenants since 2016): with it the object is written without the taken value, which is
quarantined; without it the object is refused. A quarantined value is given to its object once it is free (how soon is
unconfirmed: here at once).
"""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pwsync.tenant.messages import AttributeValue, ObjectResult, SyncObject
from simulator.azure_ad.addresses import Addresses, folded, wished
from simulator.azure_ad.matching import SOFT_MATCH_ON_NAME, Matcher, NoMatch
from simulator.azure_ad.other_objects import OTHER_TYPES, OtherObjects
from simulator.azure_ad.users import DETAILS, CloudUser, UserIndex, pack_details
from simulator.random import Randomness

DUPLICATE = "AttributeValueMustBeUnique"
INVALID_DATA = "IdentityDataValidationFailed"
RESILIENCY_BITS = 8 | 32
"""Duplicate attribute resiliency among the tenant's features, for sign-in names and for proxy addresses."""
DEFAULT_BITS = RESILIENCY_BITS | SOFT_MATCH_ON_NAME
"""The features of a tenant made today that are no password matter (product documentation)."""

OPERATIONS = ("Set", "Add", "Delete")
TYPES = ("User", *OTHER_TYPES)

_DUPLICATE_TEXT = (
    "Unable to update this object because the following attributes associated with this object have values that may "
    "already be associated with another object in your local directory services: [{values}]. "
    "Correct or remove the duplicate values in your local directory."
)

# The names under which an agent may send what Graph later shows.
_DETAIL_SOURCES: Mapping[str, tuple[str, ...]] = {
    "givenName": ("givenname",),
    "surname": ("surname", "sn"),
    "mail": ("mail",),
    "onPremisesSamAccountName": ("onpremisessamaccountname", "samaccountname"),
    "onPremisesDistinguishedName": ("onpremisesdistinguishedname", "distinguishedname"),
    "onPremisesDomainName": ("onpremisesdomainname", "domainfqdn", "dnsdomainname"),
    "onPremisesSecurityIdentifier": ("onpremisessecurityidentifier", "onpremisesecurityidentifier", "objectsid"),
}
_KEPT_ELSEWHERE = frozenset(("userprincipalname", "displayname", "accountenabled")).union(*_DETAIL_SOURCES.values())


class _Wish(NamedTuple):
    """What a user would have if others did not: a sign-in name or None, its mail address or None, all its addresses."""

    upn: str | None
    mail: str | None
    addresses: tuple[str, ...]


class ObjectWriter:
    """Applies exported objects to the tenant.

    features: the tenant's bits. With duplicate attribute resiliency a user whose sign-in name is taken keeps the name
    it has, or gets one in the tenant's own domain. ``others``: the objects that are no users; ``matcher``: how objects
    find their users.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        randomness: Randomness,
        users: UserIndex,
        tenant_domain: str,
        features: Callable[[], int] = lambda: DEFAULT_BITS,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._users = users
        self._tenant_domain = tenant_domain
        self._features = features
        self.others = OtherObjects(clock, randomness, users.next_change)
        self._addresses = Addresses(lambda each: bool(users.by_id(each) or self.others.by_id(each)))
        self.matcher = Matcher(clock, users, self._addresses, features)
        self._quarantine: dict[str, _Wish] = {}
        self._more: dict[str, dict[str, AttributeValue]] = {}

    def apply(self, obj: SyncObject) -> ObjectResult:
        """Add or set an object by its anchor, or delete it. The result says what went wrong."""
        if obj.object_type not in TYPES:
            return _failure(obj, "ObjectTypeNotSupported", f"{', '.join(TYPES)} are known, got {obj.object_type}")
        if not obj.source_anchor and not obj.cloud_anchor:
            return _failure(obj, "SourceAnchorMissing", "an object needs a source anchor")
        if obj.operation not in OPERATIONS:
            return _failure(obj, "OperationNotSupported", f"{', '.join(OPERATIONS)} are known, got {obj.operation}")
        if obj.object_type != "User":
            result = self._apply_other(obj)
        elif obj.operation == "Delete":
            result = self._delete(obj)
        else:
            result = self._write(obj, {name.lower(): value for name, value in obj.attributes.items()})
        if self._quarantine and self._addresses.released:
            self.heal()
        return result

    def more(self, user: CloudUser) -> Mapping[str, AttributeValue]:
        """What an agent has told of a user beyond what users have; addresses that are another's are left out."""
        kept = dict(self._more.get(user.id, {}))
        held = self._addresses.of(user.id)
        for name in [name for name in kept if name.lower() == "proxyaddresses"]:
            value = kept[name]
            kept[name] = [each for each in ([value] if isinstance(value, str) else value) if folded(each) in held] \
                if isinstance(value, (str, list)) else value  # fmt: skip
        return kept

    def set_mail(self, user: CloudUser, mail: str | None) -> None:
        """Give a user of the cloud a mail address, by which an object may find it. A taken one is not given."""
        if mail and self._addresses.taken(folded(mail), user.id):
            return
        user.set_detail("mail", mail)
        self._users.touch(user)
        self._addresses.hold(user.id, (folded(mail),) if mail else ())

    def heal(self) -> None:
        """Give quarantined values that nobody has any more to those who wish them."""
        again = True
        self._addresses.released = False
        while again:
            again = False
            for user_id, wish in list(self._quarantine.items()):
                user = self._users.by_id(user_id)
                if user is None:
                    del self._quarantine[user_id]
                elif self._heal(user, wish):
                    again = True

    def _heal(self, user: CloudUser, wish: _Wish) -> bool:
        """Whether something of the wish came true."""
        upn, held = wish.upn, self._addresses.of(user.id)
        free = tuple(each for each in wish.addresses if not self._addresses.taken(each, user.id))
        if upn is not None and self._users.by_upn(upn) is None:
            self._users.rename(user, upn)
            upn = None
        if free != held:
            self._addresses.hold(user.id, free)
            if wish.mail is not None and folded(wish.mail) in free:
                user.set_detail("mail", wish.mail)
            self._users.touch(user)
        if upn is None and free == wish.addresses:
            del self._quarantine[user.id]
        else:
            self._quarantine[user.id] = wish._replace(upn=upn)
        return upn != wish.upn or free != held

    def _apply_other(self, obj: SyncObject) -> ObjectResult:
        found = self.others.find(obj)
        if obj.operation == "Delete":
            if found is not None:
                self.others.delete(found)
                self._addresses.hold(found.id, ())
            return _success(obj)
        if found is None and not obj.source_anchor:
            return _failure(obj, "ObjectNotFound", f"the tenant has no {obj.cloud_anchor}")
        before = {} if found is None else {name.lower(): value for name, value in found.attributes.items()}
        attributes = {**before, **{name.lower(): value for name, value in obj.attributes.items()}}
        own = None if found is None else found.id
        taken = [each for each in wished(attributes) if self._addresses.taken(each, own)]
        text = _DUPLICATE_TEXT.format(values="".join(f"ProxyAddresses {each};" for each in taken))
        if taken and not self._features() & RESILIENCY_BITS:
            return _failure(obj, DUPLICATE, text)
        found = self.others.put(obj)
        self._addresses.hold(found.id, tuple(each for each in wished(attributes) if each not in taken))
        return _success(obj, DUPLICATE, text) if taken else _success(obj)

    def _delete(self, obj: SyncObject) -> ObjectResult:
        user = self.matcher.find(obj)
        if user is not None and user.source_anchor is None:
            return _failure(obj, "ObjectNotSynchronized", f"{obj.cloud_anchor} is no synchronized object")
        if user is not None:
            self._users.delete(user, self._clock())
            self._addresses.released = True
        return _success(obj)

    def _write(self, obj: SyncObject, attributes: Mapping[str, Any]) -> ObjectResult:
        user = self._users.by_anchor(obj.source_anchor)
        known = user or self._users.deleted(obj.source_anchor, self._clock())
        name = attributes.get("userprincipalname") or (self._wished_name(known) if known is not None else None)
        if name is None and obj.cloud_anchor:
            named = self.matcher.find(obj)
            name = None if named is None else self._wished_name(named)
        if not isinstance(name, str) or "@" not in name:
            return _failure(obj, INVALID_DATA, "a user needs a userPrincipalName with an @")
        if user is None or obj.cloud_anchor:
            try:
                user = self.matcher.match(obj, attributes)
            except NoMatch as problem:
                return _failure(obj, problem.code, str(problem))
            known = user or known
        return self._write_as(obj, attributes, user, known, name)

    def _write_as(
        self, obj: SyncObject, attributes: Mapping[str, Any], user: CloudUser | None, known: CloudUser | None, name: str
    ) -> ObjectResult:
        """Write what nobody else has of an object, and quarantine the rest; without resiliency all or nothing."""
        holder = self._users.by_upn(name)
        name_taken = holder is not None and holder is not user
        own = None if user is None else user.id
        attributes = self._with_addresses(attributes, user)
        addresses = tuple(wished(attributes))
        taken = [address for address in addresses if self._addresses.taken(address, own)]
        if not name_taken and not taken:
            written = self._put(obj.source_anchor, user, known, name, attributes, addresses)
            self._keep_more(written, obj)
            self._quarantine.pop(written.id, None)
            return _success(obj)
        values = f"UserPrincipalName {name};" * name_taken + "".join(f"ProxyAddresses {each};" for each in taken)
        text = _DUPLICATE_TEXT.format(values=values)
        if not self._features() & RESILIENCY_BITS:
            return _failure(obj, DUPLICATE, text)
        upn = self._substitute(name, user, known) if name_taken else name
        kept = tuple(address for address in addresses if address not in taken)
        mail = attributes.get("mail")
        lost = mail if isinstance(mail, str) and folded(mail) in taken else None
        if lost:
            attributes = {**attributes, "mail": None}
        written = self._put(obj.source_anchor, user, known, upn, attributes, kept)
        self._keep_more(written, obj)
        self._quarantine[written.id] = _Wish(name if name_taken else None, lost, addresses)
        return _success(obj, DUPLICATE, text)

    def _wished_name(self, user: CloudUser) -> str:
        """The sign-in name that a user is to have: what it has, unless another is in the way of its own."""
        wish = self._quarantine.get(user.id)
        return user.upn if wish is None or wish.upn is None else wish.upn

    def _with_addresses(self, attributes: Mapping[str, Any], user: CloudUser | None) -> Mapping[str, Any]:
        """The attributes with the addresses that an export does not tell of, as they were wished before."""
        if user is None or ("mail" in attributes and "proxyaddresses" in attributes):
            return attributes
        wish = self._quarantine.get(user.id)
        before: dict[str, Any] = {"mail": user.detail("mail") if wish is None or wish.mail is None else wish.mail}
        for name, value in self._more.get(user.id, {}).items():
            if name.lower() == "proxyaddresses":
                before["proxyaddresses"] = value
        return before | dict(attributes)

    def _put(
        self,
        anchor: str,
        user: CloudUser | None,
        known: CloudUser | None,
        upn: str,
        attributes: Mapping[str, Any],
        addresses: tuple[str, ...],
    ) -> CloudUser:
        now = self._clock()
        if user is not None:
            if user.upn != upn:
                self._users.rename(user, upn)
                self._addresses.released = True
        elif known is not None:
            self._users.restore(known, upn)
            user = known
        else:
            user_id = str(self._randomness.uuid("azure_ad/users"))
            user = CloudUser(user_id, upn, "", now, source_anchor=anchor)
            self._users.add(user)
        user.display_name = str(attributes.get("displayname") or user.display_name or upn.split("@")[0])
        user.enabled = _flag(attributes.get("accountenabled"), user.enabled)
        user.synced_at = now
        self._addresses.hold(user.id, addresses)
        user.details = pack_details(_detail(attributes, name, user) for name in DETAILS)
        self._users.touch(user)
        return user

    def _keep_more(self, user: CloudUser, obj: SyncObject) -> None:
        for name, value in obj.attributes.items():
            if name.lower() in _KEPT_ELSEWHERE:
                continue
            kept = self._more.get(user.id, {})
            for known in [known for known in kept if known.lower() == name.lower()]:
                del kept[known]
            if value is not None:
                self._more.setdefault(user.id, kept)[name] = value

    def _substitute(self, wanted: str, user: CloudUser | None, known: CloudUser | None) -> str:
        """A sign-in name in place of one that is taken: the one the user has or had, else a new one."""
        if user is not None:
            return user.upn
        if known is not None and self._users.by_upn(known.upn) is None:
            return known.upn
        local = wanted.split("@")[0][:60]
        while True:
            upn = f"{local}{self._randomness.child('azure_ad/quarantine').randrange(1000, 10000)}@{self._tenant_domain}"
            if self._users.by_upn(upn) is None:
                return upn
            local += "x"  # never an endless search, whatever is taken


def _detail(attributes: Mapping[str, Any], name: str, user: CloudUser) -> str | None:
    for source in _DETAIL_SOURCES[name]:
        if source in attributes:
            value = attributes[source]
            if name == "onPremisesSecurityIdentifier":
                return _sid(value)
            return value if isinstance(value, str) else None
    return user.detail(name)


def _sid(value: object) -> str | None:
    """The text of a security identifier, which agents send as octets or as their base64 (MS-DTYP 2.4.2); None: none."""
    if isinstance(value, str):
        if value.startswith("S-1-"):
            return value
        try:
            value = b64decode(value, validate=True)
        except ValueError:
            return None
    if not isinstance(value, bytes) or len(value) < 8 or value[0] != 1 or len(value) != 8 + 4 * value[1]:
        return None
    parts = struct.unpack(f"<{value[1]}I", value[8:])
    return "-".join(map(str, ("S", 1, int.from_bytes(value[2:8]), *parts)))


def _flag(value: object, default: bool) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1")
    return bool(value) if isinstance(value, int) else default


def _success(obj: SyncObject, code: str | None = None, description: str | None = None) -> ObjectResult:
    return _result(obj, "Success", code, description)


def _failure(obj: SyncObject, code: str, description: str) -> ObjectResult:
    return _result(obj, "Failure", code, description)


def _result(obj: SyncObject, word: str, code: str | None, description: str | None) -> ObjectResult:
    return ObjectResult(obj.source_anchor, obj.object_type, obj.operation, word, code, description)
