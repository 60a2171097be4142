"""SOAP messages of the provisioning service: envelopes, headers, faults, and the values inside. Pure, both directions.

Trees are :class:`xml.etree.ElementTree.Element` with names in Clark notation (``{namespace}name``); an attribute
``xmlns:x`` says that the prefix ``x`` is declared there. The bodies of the operations are in
:mod:`pwsync.tenant.operations`, the bytes in :mod:`pwsync.tenant.binary_xml`.

The service speaks SOAP 1.2 with WS-Addressing. It has no public specification: the names here are those that public
clients of it send and expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement

from pwsync.errors import BinaryXmlError, ServiceFault

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
ANONYMOUS: Final = "http://www.w3.org/2005/08/addressing/anonymous"
XML: Final = "http://www.w3.org/XML/1998/namespace"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XSD: Final = "http://www.w3.org/2001/XMLSchema"
SERVICE: Final = "http://schemas.microsoft.com/online/aws/change/2010/01"
SYNC_OBJECTS: Final = "http://schemas.microsoft.com/online/aws/change/2014/06"
COEXISTENCE: Final = "http://schemas.datacontract.org/2004/07/Microsoft.Online.Coexistence.Schema"
ARRAYS: Final = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
ROLE: Final = "urn:microsoft.online.administrativeservice"

ACTION: Final = SERVICE + "/IProvisioningWebService/"
APPLICATION_ID: Final = "1651564e-7ce4-4d99-88be-0a65050d8dc3"
CONTENT_TYPE: Final = "application/soap+msbin1"

PREFIXES: Final[Mapping[str, str]] = {
    SOAP: "s",
    ADDRESSING: "a",
    XSI: "i",
    XSD: "d",
    COEXISTENCE: "b",
    SYNC_OBJECTS: "b",
    ARRAYS: "c",
    SERVICE: "",
    ROLE: "",
}
"""The prefixes that clients in the field expect literally."""


@dataclass(frozen=True, slots=True)
class CallHeader:
    """Who calls what: the addressing headers and the ``SyncToken`` of a request.

    token: the access token. build: number of the agent's build. tracking_id: one per call, also the message's id.
    """

    operation: str
    token: str
    build: str
    tracking_id: UUID
    application_id: str = APPLICATION_ID
    client_version: str = "8.0"
    protocol_version: str = "2.0"
    language: str = "en-US"
    to: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the service reads it; ``body`` is the operation's element."""

    header: CallHeader
    body: Element

    @property
    def operation(self) -> str:
        return self.header.operation


class CredentialItem(NamedTuple):
    """One password change on its way to the tenant.

    source_anchor: base64 of the objectGUID; or cloud_anchor ``User_<objectId>``. credential: text of
    :mod:`pwsync.credential`. change_date: aware. legacy, supplemental: secrets for Domain Services, base64, or None.
    """

    source_anchor: str | None
    cloud_anchor: str | None
    credential: str
    change_date: datetime
    force_change: bool = False
    legacy: str | None = None
    supplemental: str | None = None


class CredentialResult(NamedTuple):
    """What became of one password change: 0 success, 2 anchor not known (yet); None: the answer does not name it."""

    source_anchor: str | None
    cloud_anchor: str | None
    result: int | None
    error: str | None = None


AttributeValue = str | bool | int | bytes | list[str]


@dataclass(frozen=True, slots=True)
class SyncObject:
    """A directory object for the tenant. operation: Set, Add or Delete. Anchors also travel as attributes.

    source_anchor: empty for an object that is named by its cloud_anchor alone, ``User_<objectId>``. A value of None
    takes the attribute away.
    """

    source_anchor: str
    object_type: str = "User"
    operation: str = "Set"
    attributes: Mapping[str, AttributeValue | None] = field(default_factory=dict)
    cloud_anchor: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """What became of one object. code: Success or Failure; a description may also come with Success.

    An answer that does not name the object gives the code ``NoAnswer``.
    """

    source_anchor: str
    object_type: str
    operation: str
    code: str
    error_code: str | None = None
    error_description: str | None = None


class SecretsConfiguration(NamedTuple):
    """Which secrets the tenant wants for Domain Services, and the certificate (DER) to seal them for; None: no such."""

    legacy: bool = False
    supplemental: bool = False
    certificate: bytes | None = None

    @property
    def wanted(self) -> bool:
        return self.legacy or self.supplemental


@dataclass(frozen=True, slots=True)
class CompanyConfiguration:
    """What the tenant says about itself; ``dirsync_features`` holds the bits of ``SetCompanyDirsyncFeatures``.

    synchronization_interval: an XML Schema duration.
    """

    tenant_id: str
    display_name: str = ""
    allowed_features: str = "None"
    anchor_attribute: str | None = "objectGUID"
    application_version: str | None = None
    client_version: str | None = None
    machine: str | None = None
    total_connector_space_objects: int = 0
    is_tracking_changes: bool = True
    deletion_prevention: str = "EnabledForCount"
    deletion_threshold_count: int = 500
    deletion_threshold_percentage: int = 0
    dirsync_features: int = 0
    is_dir_syncing: bool = True
    is_password_syncing: bool = True
    links_max: int = 15000
    synchronization_interval: str = "PT30M"


def element(namespace: str, name: str, text: str | None = None) -> Element:
    """A new element; ``text`` None leaves it empty."""
    made = Element(f"{{{namespace}}}{name}")
    made.text = text
    return made


def add(parent: Element, namespace: str, name: str, text: str | None = None) -> Element:
    """A new last child."""
    made = SubElement(parent, f"{{{namespace}}}{name}")
    made.text = text
    return made


def add_nillable(parent: Element, namespace: str, name: str, text: str | None) -> Element:
    """A new last child that says ``i:nil="true"`` for None."""
    made = SubElement(parent, f"{{{namespace}}}{name}")
    if text is None:
        made.set(f"{{{XSI}}}nil", "true")
    else:
        made.text = text
    return made


def require(parent: Element, namespace: str, name: str) -> Element:
    """The child of that name. Raises BinaryXmlError if there is none."""
    found = parent.find(f"{{{namespace}}}{name}")
    if found is None:
        raise BinaryXmlError(f"not the message expected: {parent.tag} has no {name}")
    return found


def text_of(parent: Element, namespace: str, name: str) -> str | None:
    """The child's text; None if there is no child, or it is nil."""
    found = parent.find(f"{{{namespace}}}{name}")
    if found is None or found.get(f"{{{XSI}}}nil") in {"true", "1"}:
        return None
    return found.text or ""


def _envelope(action: str) -> tuple[Element, Element, Element]:
    root = Element(f"{{{SOAP}}}Envelope", {"xmlns:a": ADDRESSING})
    header = add(root, SOAP, "Header")
    add(header, ADDRESSING, "Action", action).set(f"{{{SOAP}}}mustUnderstand", "1")
    return root, header, add(root, SOAP, "Body")


def request_envelope(header: CallHeader, body: Element) -> Element:
    """The whole request around an operation's ``body``."""
    root, head, holder = _envelope(ACTION + header.operation)
    token = add(head, ROLE, "SyncToken")
    token.set(f"{{{SOAP}}}role", ROLE)
    for name, value in (
        ("ApplicationId", header.application_id),
        ("BearerToken", header.token),
        ("ClientVersion", header.client_version),
        ("DirSyncBuildNumber", header.build),
        ("FIMBuildNumber", header.build),
        ("IsInstalledOnDC", "false"),
        ("IssueDateTime", "0001-01-01T00:00:00"),
        ("LanguageId", header.language),
        ("LiveToken", ""),
        ("ProtocolVersion", header.protocol_version),
        ("RichCoexistenceEnabled", "false"),
        ("TrackingId", str(header.tracking_id)),
    ):
        add(token, SERVICE, name, value)
    add(head, ADDRESSING, "MessageID", header.tracking_id.urn)
    add(add(head, ADDRESSING, "ReplyTo"), ADDRESSING, "Address", ANONYMOUS)
    add(head, ADDRESSING, "To", header.to).set(f"{{{SOAP}}}mustUnderstand", "1")
    holder.append(body)
    return root


def parse_request(root: Element) -> Request:
    """Read a request. Raises BinaryXmlError if it is no envelope, or names no operation of this service.

    A header without a token, or with a tracking id that is no GUID, is read as one with an empty token or a zero id.
    """
    if root.tag != f"{{{SOAP}}}Envelope":
        raise BinaryXmlError(f"not the message expected: {root.tag} is not a SOAP 1.2 envelope")
    head = require(root, SOAP, "Header")
    action = text_of(head, ADDRESSING, "Action") or ""
    if not action.startswith(ACTION):
        raise BinaryXmlError(f"not the message expected: the action is {action!r}")
    body = _only_child(require(root, SOAP, "Body"))
    token = head.find(f"{{{ROLE}}}SyncToken")
    token = Element("none") if token is None else token
    header = CallHeader(
        operation=action[len(ACTION) :],
        token=text_of(token, SERVICE, "BearerToken") or "",
        build=text_of(token, SERVICE, "DirSyncBuildNumber") or "",
        tracking_id=_uuid(text_of(token, SERVICE, "TrackingId") or text_of(head, ADDRESSING, "MessageID") or ""),
        application_id=text_of(token, SERVICE, "ApplicationId") or "",
        client_version=text_of(token, SERVICE, "ClientVersion") or "",
        protocol_version=text_of(token, SERVICE, "ProtocolVersion") or "",
        language=text_of(token, SERVICE, "LanguageId") or "",
        to=text_of(head, ADDRESSING, "To") or "",
    )
    return Request(header, body)


def response_envelope(operation: str, body: Element, relates_to: UUID | None = None) -> Element:
    """The whole answer around an operation's result ``body``."""
    root, head, holder = _envelope(f"{ACTION}{operation}Response")
    if relates_to is not None:
        add(head, ADDRESSING, "RelatesTo", relates_to.urn)
    holder.append(body)
    return root


def fault_envelope(
    text: str,
    *,
    code: int | None = None,
    tracking_id: str = "",
    server: str = "",
    redirect: str | None = None,
    sender: bool = False,
    relates_to: UUID | None = None,
) -> Element:
    """A SOAP fault. redirect: the regional endpoint to go to instead. sender: the request was to blame.

    Where the number of an error stands in the detail is unconfirmed: ``ErrorCode``.
    """
    root, head, holder = _envelope(ADDRESSING + "/soap/fault")
    if relates_to is not None:
        add(head, ADDRESSING, "RelatesTo", relates_to.urn)
    fault = add(holder, SOAP, "Fault")
    add(add(fault, SOAP, "Code"), SOAP, "Value", "s:Sender" if sender else "s:Receiver")
    add(add(fault, SOAP, "Reason"), SOAP, "Text", text).set(f"{{{XML}}}lang", "en-US")
    detail = add(fault, SOAP, "Detail")
    if redirect is not None:
        add(add(detail, SERVICE, "BindingRedirectionFault"), SERVICE, "Url", redirect)
        return root
    details = add(detail, SERVICE, "AdminWebServiceFault")
    if code is not None:
        add(details, SERVICE, "ErrorCode", str(code))
    add(details, SERVICE, "Message", text)
    add(details, SERVICE, "ServerName", server)
    add(details, SERVICE, "TrackingId", tracking_id)
    return root


class Redirected(ServiceFault):
    """The service wants the call at another endpoint: ``url``."""

    def __init__(self, text: str, url: str) -> None:
        super().__init__(text)
        self.url = url


def parse_response(root: Element) -> Element:
    """The operation's result element of an answer.

    Raises ServiceFault for a fault, Redirected for a redirect, BinaryXmlError if the tree is no answer.
    """
    if root.tag != f"{{{SOAP}}}Envelope":
        raise BinaryXmlError(f"not the message expected: {root.tag} is not a SOAP 1.2 envelope")
    body = _only_child(require(root, SOAP, "Body"))
    if body.tag == f"{{{SOAP}}}Fault":
        raise _fault(body)
    return body


def _fault(fault: Element) -> ServiceFault:
    reason = fault.find(f"{{{SOAP}}}Reason/{{{SOAP}}}Text")
    text = (reason.text if reason is not None else None) or "The service answered with a fault that gives no reason."
    url = next((found.text for found in _named(fault, "Url") if found.text), None)
    if url is not None and any(True for _ in _named(fault, "BindingRedirectionFault")):
        return Redirected(text, url)
    first = {name: next((found.text or "" for found in _named(fault, name)), "") for name in _FAULT_DETAILS}
    number = first["ErrorCode"]
    code = int(number) if number.isascii() and number.isdigit() and len(number) <= _CODE_DIGITS_MAX else None
    return ServiceFault(text, code=code, tracking_id=first["TrackingId"], server=first["ServerName"])


_FAULT_DETAILS = ("ErrorCode", "TrackingId", "ServerName")
_CODE_DIGITS_MAX = 9


def _named(root: Element, name: str) -> list[Element]:
    """Descendants with that local name in any namespace: clients look for fault details by name alone."""
    return [found for found in root.iter() if found.tag.rpartition("}")[2] == name]


def _only_child(body: Element) -> Element:
    if len(body) != 1:
        raise BinaryXmlError(f"not the message expected: the body has {len(body)} elements")
    return body[0]


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
