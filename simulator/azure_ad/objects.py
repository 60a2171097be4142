"""Synchronized objects: what the agent's export does to the tenant's users.

Sign-in names and mail addresses (``mail`` and every entry of ``proxyAddresses``) belong to one user each. What happens
to an object that wishes a taken one depends on a feature of the tenant, duplicate attribute resiliency (product
documentation; on for all tenants since 2016): with it the object is written without the taken value, which is
quarantined; without it the object is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pwsync.tenant.messages import ObjectResult, SyncObject
from simulator.azure_ad.users import DETAILS, CloudUser, UserIndex, pack_details
from simulator.random import Randomness

DUPLICATE = "AttributeValueMustBeUnique"

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


class ObjectWriter:
    """Applies exported objects to the tenant's users.

    resilient: whether the tenant has duplicate attribute resiliency. With it a user whose sign-in name is taken keeps
    the name it has, or gets one in the tenant's own domain, and taken addresses are left out, until a later export
    finds the wished ones free. Soft match, which would take over a cloud user of that name, is left out.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        randomness: Randomness,
        users: UserIndex,
        tenant_domain: str,
        resilient: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._randomness = randomness
        self._users = users
        self._tenant_domain = tenant_domain
        self._resilient = resilient
        self._holders: dict[str, str] = {}
        self._held: dict[str, tuple[str, ...]] = {}

    def apply(self, obj: SyncObject) -> ObjectResult:
        """Add or set a user by its anchor, or put it into the recycle bin. The result says what went wrong."""
        if obj.object_type != "User":
            return _failure(obj, "ObjectTypeNotSupported", f"only User objects are known here, got {obj.object_type}")
        if not obj.source_anchor:
            return _failure(obj, "SourceAnchorMissing", "an object needs a source anchor")
        if obj.operation == "Delete":
            user = self._users.by_anchor(obj.source_anchor)
            if user is not None:
                self._users.delete(user, self._clock())
            return _success(obj)
        if obj.operation in ("Set", "Add"):
            return self._write(obj, {name.lower(): value for name, value in obj.attributes.items()})
        return _failure(obj, "OperationNotSupported", f"Set, Add and Delete are known, got {obj.operation}")

    def _write(self, obj: SyncObject, attributes: Mapping[str, Any]) -> ObjectResult:
        user = self._users.by_anchor(obj.source_anchor)
        known = user or self._users.deleted(obj.source_anchor, self._clock())
        wished = attributes.get("userprincipalname") or (known.upn if known is not None else None)
        if not isinstance(wished, str) or "@" not in wished:
            return _failure(obj, "InvalidUserPrincipalName", "a user needs a userPrincipalName with an @")
        holder = self._users.by_upn(wished)
        name_taken = holder is not None and holder is not user
        addresses = tuple(_addresses(attributes, user))
        taken = [address for address in addresses if self._is_taken(address, user)]
        if not name_taken and not taken:
            self._put(obj.source_anchor, user, known, wished, attributes, addresses)
            return _success(obj)
        values = f"UserPrincipalName {wished};" * name_taken + "".join(f"ProxyAddresses {each};" for each in taken)
        text = _DUPLICATE_TEXT.format(values=values)
        if not self._resilient():
            return _failure(obj, DUPLICATE, text)
        upn = self._substitute(wished, user, known) if name_taken else wished
        kept = tuple(address for address in addresses if address not in taken)
        mail = attributes.get("mail")
        if isinstance(mail, str) and _address(mail) in taken:
            attributes = {**attributes, "mail": None}
        self._put(obj.source_anchor, user, known, upn, attributes, kept)
        return _success(obj, DUPLICATE, text)

    def _is_taken(self, address: str, user: CloudUser | None) -> bool:
        """Does another live user hold the address?"""
        holder = self._holders.get(address)
        if holder is None or (user is not None and holder == user.id):
            return False
        return self._users.by_id(holder) is not None and address in self._held.get(holder, ())

    def _hold(self, user: CloudUser, addresses: tuple[str, ...]) -> None:
        if addresses:
            self._held[user.id] = addresses
            self._holders.update(dict.fromkeys(addresses, user.id))
        else:
            self._held.pop(user.id, None)

    def _put(
        self,
        anchor: str,
        user: CloudUser | None,
        known: CloudUser | None,
        upn: str,
        attributes: Mapping[str, Any],
        addresses: tuple[str, ...],
    ) -> None:
        now = self._clock()
        if user is not None:
            if user.upn != upn:
                self._users.rename(user, upn)
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
        self._hold(user, addresses)
        user.details = pack_details(_detail(attributes, name, user) for name in DETAILS)

    def _substitute(self, wished: str, user: CloudUser | None, known: CloudUser | None) -> str:
        """A sign-in name in place of one that is taken: the one the user has or had, else a new one."""
        if user is not None:
            return user.upn
        if known is not None and self._users.by_upn(known.upn) is None:
            return known.upn
        local = wished.split("@")[0][:60]
        while True:
            upn = f"{local}{self._randomness.child('azure_ad/quarantine').randrange(1000, 10000)}@{self._tenant_domain}"
            if self._users.by_upn(upn) is None:
                return upn
            local += "x"  # never an endless search, whatever is taken


def _addresses(attributes: Mapping[str, Any], user: CloudUser | None) -> Iterator[str]:
    """The addresses that an object wishes, each once; a mail address that is not told is the one the user has."""
    mail = attributes.get("mail", None if user is None else user.detail("mail"))
    found = [mail] if isinstance(mail, str) and mail else []
    proxies = attributes.get("proxyaddresses")
    found += [each for each in ([proxies] if isinstance(proxies, str) else proxies or ()) if isinstance(each, str)]
    return iter(dict.fromkeys(_address(each) for each in found))


def _address(text: str) -> str:
    """An address as it is compared: without case, and without the prefix of mail addresses."""
    return text.strip().lower().removeprefix("smtp:")


def _detail(attributes: Mapping[str, Any], name: str, user: CloudUser) -> str | None:
    for source in _DETAIL_SOURCES[name]:
        if source in attributes:
            value = attributes[source]
            return value if isinstance(value, str) else None
    return user.detail(name)


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
