"""The bodies of the provisioning service's operations, written and read: pure functions between trees and values.

For each operation: ``write_x`` and ``read_x`` for the request, ``write_x_result`` and ``read_x_result`` for the answer.
Readers raise BinaryXmlError for a tree that is not the message expected.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from xml.etree.ElementTree import Element, SubElement

from pwsync.errors import BinaryXmlError
from pwsync.tenant.messages import (
    ARRAYS,
    COEXISTENCE,
    SERVICE,
    SYNC_OBJECTS,
    XSD,
    XSI,
    AttributeValue,
    CredentialItem,
    CredentialResult,
    ObjectResult,
    SyncObject,
    add,
    add_nillable,
    element,
    require,
    text_of,
)

_NIL = f"{{{XSI}}}nil"
_TYPE = f"{{{XSI}}}type"
_SOURCE_ANCHOR, _CLOUD_ANCHOR = "SourceAnchor", "CloudAnchor"
_INTEGER_DIGITS_MAX = 18
_from_iso_format = datetime.fromisoformat
"""Kept from before any test freezes time: a frozen datetime class parses ten times slower, to the same value."""


@lru_cache(maxsize=1024)
def format_time(when: datetime) -> str:
    """An aware time as the service writes it: UTC, ``2017-01-13T09:02:00Z``, fractions only where there are any."""
    if when.tzinfo is None:
        raise ValueError("a time on the wire needs a time zone")
    if when.tzinfo is not UTC:
        when = when.astimezone(UTC)
    return when.isoformat()[:-6] + "Z"


def parse_time(text: str) -> datetime:
    """Read an XML Schema dateTime; without a zone it is UTC. Raises BinaryXmlError."""
    try:
        when = _from_iso_format(text)
        if when.tzinfo is UTC:
            return when
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BinaryXmlError(f"not the message expected: {text!r} is not a date") from error


def read_boolean(text: str | None) -> bool:
    """An XML Schema boolean; None is false."""
    if text in {"true", "1"}:
        return True
    if text in {"false", "0", None}:
        return False
    raise BinaryXmlError(f"not the message expected: {text!r} is neither true nor false")


def read_integer(text: str | None) -> int:
    """An XML Schema integer of up to 18 digits."""
    digits = (text or "").removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _INTEGER_DIGITS_MAX):
        raise BinaryXmlError(f"not the message expected: {text!r} is not a number")
    return int(text or "")


def _operation(name: str, child: str) -> tuple[Element, Element]:
    """An operation's element and its one part, with the prefixes that clients look for declared there."""
    root = element(SERVICE, name)
    return root, SubElement(root, f"{{{SERVICE}}}{child}", {"xmlns:i": XSI})


# --- ProvisionCredentials -----------------------------------------------------------------------------------------


def write_credentials(items: Iterable[CredentialItem]) -> Element:
    """The request of ProvisionCredentials; without items it is a ping."""
    root, request = _operation("ProvisionCredentials", "request")
    request.set("xmlns:b", COEXISTENCE)
    holder = add(request, COEXISTENCE, "RequestItems")
    for item in items:
        change = add(holder, COEXISTENCE, "SyncCredentialsChangeItem")
        add(change, COEXISTENCE, "ChangeDate", format_time(item.change_date))
        add_nillable(change, COEXISTENCE, "CloudAnchor", item.cloud_anchor)
        add(change, COEXISTENCE, "CredentialData", item.credential)
        add(change, COEXISTENCE, "ForcePasswordChangeOnLogon", "true" if item.force_change else "false")
        add_nillable(change, COEXISTENCE, "SourceAnchor", item.source_anchor)
        add_nillable(change, COEXISTENCE, "WindowsLegacyCredentials", item.legacy)
        add_nillable(change, COEXISTENCE, "WindowsSupplementalCredentials", item.supplemental)
    return root


def _fields(item: Element) -> dict[str, str | None]:
    """Local names and texts of an item's children, None for nil: one pass, because a batch has hundreds."""
    return {
        child.tag.rpartition("}")[2]: None if child.get(_NIL) in {"true", "1"} else child.text or "" for child in item
    }


def read_credentials(body: Element) -> list[CredentialItem]:
    """The items of a ProvisionCredentials request."""
    holder = require(require(body, SERVICE, "request"), COEXISTENCE, "RequestItems")
    items = []
    for change in holder:
        fields = _fields(change)
        source, cloud = fields.get("SourceAnchor"), fields.get("CloudAnchor")
        if source is None and cloud is None:
            raise BinaryXmlError("not the message expected: a credential names neither anchor")
        items.append(
            CredentialItem(
                source,
                cloud,
                fields.get("CredentialData") or "",
                parse_time(fields.get("ChangeDate") or ""),
                read_boolean(fields.get("ForcePasswordChangeOnLogon")),
                fields.get("WindowsLegacyCredentials"),
                fields.get("WindowsSupplementalCredentials"),
            )
        )
    return items


def write_credentials_result(results: Iterable[CredentialResult]) -> Element:
    """The answer to ProvisionCredentials; results carry a number, never None."""
    root, answer = _operation("ProvisionCredentialsResponse", "ProvisionCredentialsResult")
    answer.set("xmlns:b", COEXISTENCE)
    holder = add(answer, COEXISTENCE, "Results")
    for result in results:
        change = add(holder, COEXISTENCE, "SyncCredentialsChangeResult")
        add_nillable(change, COEXISTENCE, "CloudAnchor", result.cloud_anchor)
        if result.error is not None:
            add(change, COEXISTENCE, "ExtendedErrorInformation", result.error)
        add(change, COEXISTENCE, "Result", str(result.result))
        add_nillable(change, COEXISTENCE, "SourceAnchor", result.source_anchor)
    return root


def read_credentials_result(body: Element) -> list[CredentialResult]:
    """The results that a ProvisionCredentials answer names, in its order."""
    answer = require(body, SERVICE, "ProvisionCredentialsResult")
    results = []
    for change in require(answer, COEXISTENCE, "Results"):
        fields = _fields(change)
        results.append(
            CredentialResult(
                fields.get("SourceAnchor"),
                fields.get("CloudAnchor"),
                read_integer(fields.get("Result")),
                fields.get("ExtendedErrorInformation"),
            )
        )
    return results


# --- ProvisionAzureADSyncObjects ----------------------------------------------------------------------------------


def write_objects(objects: Iterable[SyncObject]) -> Element:
    """The request of ProvisionAzureADSyncObjects."""
    root, request = _operation("ProvisionAzureADSyncObjects", "syncRequest")
    request.set("xmlns:b", SYNC_OBJECTS)
    holder = add(request, SYNC_OBJECTS, "SyncObjects")
    for item in objects:
        add_object(holder, item)
    return root


def add_object(holder: Element, item: SyncObject) -> None:
    """A new last object of a list."""
    entry = add(holder, SYNC_OBJECTS, "AzureADSyncObject")
    values = SubElement(entry, f"{{{SYNC_OBJECTS}}}PropertyValues", {"xmlns:c": ARRAYS, "xmlns:d": XSD})
    for name, anchor in ((_SOURCE_ANCHOR, item.source_anchor), (_CLOUD_ANCHOR, item.cloud_anchor)):
        if anchor:
            _add_property(values, name, anchor)
    for name, value in item.attributes.items():
        if name not in (_SOURCE_ANCHOR, _CLOUD_ANCHOR):
            _add_property(values, name, value)
    add(entry, SYNC_OBJECTS, "SyncObjectType", item.object_type)
    add(entry, SYNC_OBJECTS, "SyncOperation", item.operation)


def _add_property(values: Element, name: str, value: AttributeValue | None) -> None:
    pair = add(values, ARRAYS, "KeyValueOfstringanyType")
    add(pair, ARRAYS, "Key", name)
    if value is None:
        add_nillable(pair, ARRAYS, "Value", None)
        return
    holder = add(pair, ARRAYS, "Value")
    if isinstance(value, list):
        holder.set(_TYPE, f"{{{ARRAYS}}}ArrayOfstring")
        for entry in value:
            add(holder, ARRAYS, "string", entry)
        return
    if isinstance(value, bool):
        kind, text = "boolean", "true" if value else "false"
    elif isinstance(value, int):
        kind, text = "long", str(value)
    elif isinstance(value, bytes):
        kind, text = "base64Binary", b64encode(value).decode()
    else:
        kind, text = "string", value
    holder.set(_TYPE, f"{{{XSD}}}{kind}")
    holder.text = text


def read_objects(body: Element) -> list[SyncObject]:
    """The objects of a ProvisionAzureADSyncObjects request; each names an anchor among its properties."""
    holder = require(require(body, SERVICE, "syncRequest"), SYNC_OBJECTS, "SyncObjects")
    return [read_object(entry) for entry in holder]


def read_object(entry: Element) -> SyncObject:
    """One object of a list."""
    attributes: dict[str, AttributeValue | None] = {}
    for pair in require(entry, SYNC_OBJECTS, "PropertyValues"):
        attributes[text_of(pair, ARRAYS, "Key") or ""] = _read_value(require(pair, ARRAYS, "Value"))
    source, cloud = (attributes.pop(name, None) or "" for name in (_SOURCE_ANCHOR, _CLOUD_ANCHOR))
    if not isinstance(source, str) or not isinstance(cloud, str) or not (source or cloud):
        raise BinaryXmlError("not the message expected: an object has neither SourceAnchor nor CloudAnchor")
    kind, operation = (text_of(entry, SYNC_OBJECTS, name) or "" for name in ("SyncObjectType", "SyncOperation"))
    return SyncObject(source, kind, operation, attributes, cloud or None)


def _read_value(holder: Element) -> AttributeValue | None:
    if holder.get(_NIL) in {"true", "1"}:
        return None
    kind = holder.get(_TYPE, "").rpartition("}")[2]
    text = holder.text or ""
    if kind in {"ArrayOfstring", "ArrayOfbase64Binary"}:
        return [entry.text or "" for entry in holder]
    if kind == "boolean":
        return read_boolean(text)
    if kind in {"int", "long", "short", "unsignedInt"}:
        return read_integer(text)
    if kind == "base64Binary":
        try:
            return b64decode(text, validate=True)
        except ValueError as error:
            raise BinaryXmlError("not the message expected: a property is not base64") from error
    return text


def write_objects_result(results: Iterable[ObjectResult]) -> Element:
    """The answer to ProvisionAzureADSyncObjects."""
    root, answer = _operation("ProvisionAzureADSyncObjectsResponse", "ProvisionAzureADSyncObjectsResult")
    answer.set("xmlns:b", SYNC_OBJECTS)
    holder = add(answer, SYNC_OBJECTS, "SyncObjectResults")
    for result in results:
        entry = add(holder, SYNC_OBJECTS, "AzureADSyncObjectResult")
        add(entry, SYNC_OBJECTS, "ResultCode", result.code)
        add_nillable(entry, SYNC_OBJECTS, "ResultErrorCode", result.error_code)
        add_nillable(entry, SYNC_OBJECTS, "ResultErrorDescription", result.error_description)
        add(entry, SYNC_OBJECTS, "SourceAnchor", result.source_anchor)
        add(entry, SYNC_OBJECTS, "SyncObjectType", result.object_type)
        add(entry, SYNC_OBJECTS, "SyncOperation", result.operation)
    return root


def read_objects_result(body: Element) -> list[ObjectResult]:
    """The results that a ProvisionAzureADSyncObjects answer names, in its order."""
    answer = require(body, SERVICE, "ProvisionAzureADSyncObjectsResult")
    results = []
    for entry in require(answer, SYNC_OBJECTS, "SyncObjectResults"):
        fields = _fields(entry)
        results.append(
            ObjectResult(
                fields.get("SourceAnchor") or "",
                fields.get("SyncObjectType") or "",
                fields.get("SyncOperation") or "",
                fields.get("ResultCode") or "",
                fields.get("ResultErrorCode"),
                fields.get("ResultErrorDescription"),
            )
        )
    return results
