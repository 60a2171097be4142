"""ReadBackAzureADSyncObjects2: what the tenant has of synchronized objects, all of it or what changed since a cookie.

Names of attributes are those that public clients of the service list. Names of the answer's parts other than
``ResultObjects``, the form of the cookie and the size of a page are not published (unconfirmed).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC
from heapq import nsmallest
from typing import NamedTuple
from xml.etree.ElementTree import Element

from pwsync.tenant.messages import SERVICE, SYNC_OBJECTS, XSI, AttributeValue, SyncObject, add, element
from pwsync.tenant.operations import add_object
from simulator.azure_ad.other_objects import OtherObject
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.users import CloudUser
from simulator.refusal import Refusal

PAGE_SIZE = 2_000
"""Objects in one answer: so many that a client which takes no second page sees most companies whole."""

_COOKIE_SIZE_MAX = 512


class Page(NamedTuple):
    """One answer. cookie: for the next call. more: there is another page now."""

    objects: list[SyncObject]
    cookie: str
    more: bool


def read_back(tenant: Tenant, cookie: str | None, *, full: bool) -> Page:
    """The next page of objects in the order of their last change.

    full, or without a cookie: deleted objects are not told of. Raises Refusal("not-supported") for a cookie that is
    not this tenant's.
    """
    since = 0 if cookie is None else _read_cookie(cookie, tenant.tenant_id)
    tell_deleted = cookie is not None and not full
    found = nsmallest(PAGE_SIZE + 1, _changed(tenant, since, tell_deleted), key=lambda each: each.change)
    page = found[:PAGE_SIZE]
    objects = [_user(tenant, each) if isinstance(each, CloudUser) else _other(each) for each in page]
    last = page[-1].change if page else since
    return Page(objects, _write_cookie(last, tenant.tenant_id), len(found) > len(page))


def write_page(operation: str, page: Page) -> Element:
    """The answer's body."""
    root = element(SERVICE, f"{operation}Response")
    result = add(root, SERVICE, f"{operation}Result")
    result.attrib.update({"xmlns:b": SYNC_OBJECTS, "xmlns:i": XSI})
    add(result, SYNC_OBJECTS, "Cookie", page.cookie)
    add(result, SYNC_OBJECTS, "More", "true" if page.more else "false")
    holder = add(result, SYNC_OBJECTS, "ResultObjects")
    for each in page.objects:
        add_object(holder, each)
    return root


def _changed(tenant: Tenant, since: int, tell_deleted: bool) -> Iterator[CloudUser | OtherObject]:
    for user in tenant.users.everybody():
        if user.change > since and user.source_anchor is not None and (tell_deleted or user.deleted_at is None):
            yield user
    for other in tenant.objects.others:
        if other.change > since and (tell_deleted or not other.deleted):
            yield other


def _user(tenant: Tenant, user: CloudUser) -> SyncObject:
    anchor, cloud = user.source_anchor or "", f"User_{user.id}"
    if user.deleted_at is not None:
        return SyncObject(anchor, "User", "Delete", {}, cloud)
    values: Iterable[tuple[str, AttributeValue | None]] = (
        ("AccountEnabled", user.enabled),
        ("CloudMastered", False),
        ("DisplayName", user.display_name),
        ("DnsDomainName", user.detail("onPremisesDomainName")),
        ("GivenName", user.detail("givenName")),
        ("LastPasswordChangeTimestamp", _timestamp(user)),
        ("Mail", user.detail("mail")),
        ("OnPremiseSecurityIdentifier", user.detail("onPremisesSecurityIdentifier")),
        ("OnPremisesDistinguishedName", user.detail("onPremisesDistinguishedName")),
        ("OnPremisesSamAccountName", user.detail("onPremisesSamAccountName")),
        ("Surname", user.detail("surname")),
        ("UserPrincipalName", user.upn),
        ("UserType", "Member"),
    )
    attributes = {name: value for name, value in values if value is not None}
    known = {name.lower() for name in attributes}
    more = {name: value for name, value in tenant.objects.more(user).items() if name.lower() not in known}
    return SyncObject(anchor, "User", "Set", attributes | more, cloud)


def _timestamp(user: CloudUser) -> str | None:
    """The time of the last password change as LDAP's generalized time."""
    return None if user.changed_at is None else f"{user.changed_at.astimezone(UTC):%Y%m%d%H%M%S}.0Z"


def _other(found: OtherObject) -> SyncObject:
    operation = "Delete" if found.deleted else "Set"
    return SyncObject(found.source_anchor, found.kind, operation, dict(found.attributes), f"{found.kind}_{found.id}")


def _write_cookie(change: int, tenant_id: str) -> str:
    return b64encode(json.dumps({"change": change, "tenant": tenant_id}).encode()).decode()


def _read_cookie(text: str, tenant_id: str) -> int:
    try:
        found = json.loads(b64decode(text[:_COOKIE_SIZE_MAX], validate=True))
    except (ValueError, RecursionError):
        found = None
    change = found.get("change") if isinstance(found, dict) and found.get("tenant") == tenant_id else None
    if not isinstance(change, int) or change < 0:
        raise Refusal("not-supported", "the cookie is not one that this tenant has given")
    return change
