"""WS-Trust with name and password: a request for a security token (RST) in, its answer (RSTR) or a fault out.

Both versions that the product's ``usernamemixed`` endpoints speak, as clients of the cloud use them: TLS carries the
message, the security header has a timestamp and a UsernameToken, the token that comes back is a bearer's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from simulator.federation import assertions
from simulator.federation.assertions import stamp
from simulator.federation.errors import (
    FarmFault,
    NotSoap,
    failed_request,
    insecure,
    not_let_in,
    off_by,
    unknown_audience,
)
from simulator.federation.names import (
    ADDRESSING,
    POLICY,
    SAML1,
    SECURITY,
    SOAP,
    TENANT_AUDIENCE,
    TOKEN_TYPES,
    TRUST_13,
    TRUST_2005,
    UTILITY,
    Dialect,
)
from simulator.federation.state import Farm

FAULT_ACTION = f"{ADDRESSING}/soap/fault"
_PREFIXES = {"s": SOAP, "a": ADDRESSING, "o": SECURITY, "u": UTILITY, "p": POLICY, "t13": TRUST_13.namespace,
             "t2005": TRUST_2005.namespace}  # fmt: skip


class Request(NamedTuple):
    """A request for a token. token_type: :data:`SAML1` or :data:`SAML2`; message_id: empty if it has none."""

    dialect: Dialect
    name: str
    password: str
    audience: str
    token_type: str
    message_id: str


def parse(body: bytes) -> Element:
    """A SOAP 1.2 envelope; no document type, no entities. Raises NotSoap."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotSoap(str(error)) from error
    if root.tag != f"{{{SOAP}}}Envelope":
        raise NotSoap(f"the root is {root.tag[:100]}")
    return root


def message_id(envelope: Element) -> str:
    """What the sender calls the message; empty if nothing."""
    return _text(envelope, "s:Header/a:MessageID")


def read(envelope: Element, dialect: Dialect, host: str, *now: datetime) -> Request:
    """The request in an envelope that came to the dialect's endpoint on ``host``. Raises FarmFault.

    now: what time it is; of several times it is enough that the message is of one.
    """
    address = f"https://{host}{dialect.path}"
    action, to = _text(envelope, "s:Header/a:Action"), _text(envelope, "s:Header/a:To")
    if action != dialect.request_action:
        text = f"The message with Action '{action[:200]}' cannot be processed at the receiver."
        raise FarmFault(ADDRESSING, "ActionNotSupported", text)
    if to.lower() not in ("", address.lower()):
        text = f"The message with To '{to[:200]}' cannot be processed at the receiver."
        raise FarmFault(ADDRESSING, "DestinationUnreachable", text)
    security = envelope.find("s:Header/o:Security", _PREFIXES)
    if security is None or all(_is_stale(security, each) for each in now):
        raise insecure()
    name, password = (
        security.findtext(f"o:UsernameToken/o:{each}", None, _PREFIXES) for each in ("Username", "Password")
    )
    if not name or password is None:
        raise insecure()
    wanted = envelope.find(f"s:Body/{{{dialect.namespace}}}RequestSecurityToken", _PREFIXES)
    if wanted is None:
        raise failed_request(dialect)

    def said(part: str) -> str:
        return (wanted.findtext(f"{{{dialect.namespace}}}{part}") or "").strip()

    token_type = TOKEN_TYPES.get(said("TokenType") or SAML1)
    # A request that names no kind of key gets a bearer's token (unconfirmed).
    if said("RequestType") != dialect.request_type or said("KeyType") not in ("", dialect.key_type) or not token_type:
        raise failed_request(dialect)
    audience = _text(wanted, "p:AppliesTo/a:EndpointReference/a:Address")
    return Request(dialect, name, password, audience, token_type, message_id(envelope))


def grant(farm: Farm, request: Request) -> bytes:
    """The answer with a token, if the farm lets the person in. Raises FarmFault."""
    who = farm.sign_in(request.name, request.password)
    if who.result != "ok":
        raise not_let_in(request.dialect, who.result)
    if request.audience != TENANT_AUDIENCE:
        raise unknown_audience(request.dialect)
    try:
        token, begins, ends = assertions.issue(farm, who, request.token_type, request.audience)
    except ValueError:
        raise failed_request(request.dialect) from None
    return _envelope(request.dialect.response_action, request.message_id, _response(request, token, begins, ends))


def fault(error: FarmFault, message_id: str = "") -> bytes:
    """A fault as an envelope."""
    return _envelope(
        FAULT_ACTION,
        message_id,
        f"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode>"
        f'<s:Value xmlns:c="{error.namespace}">c:{error.code}</s:Value></s:Subcode></s:Code>'
        f'<s:Reason><s:Text xml:lang="en-US">{escape(error.text)}</s:Text></s:Reason></s:Fault>',
    )


def _is_stale(security: Element, now: datetime) -> bool:
    """Whether a security header's timestamp is missing, unreadable or of another time."""
    try:
        created, expires = (_moment(_text(security, f"u:Timestamp/u:{each}")) for each in ("Created", "Expires"))
    except ValueError:
        return True
    return off_by(now, created, expires)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not 1900 < found.year < 9000:
        raise ValueError(text)
    return found.astimezone(UTC)


def _text(element: Element, path: str) -> str:
    return (element.findtext(path, "", _PREFIXES) or "").strip()


def _response(request: Request, token: bytes, begins: datetime, ends: datetime) -> str:
    """The RSTR, in a collection where the dialect has one. The token stands in it octet for octet."""
    dialect = request.dialect
    answer = (
        f"<t:Lifetime><u:Created>{stamp(begins)}</u:Created><u:Expires>{stamp(ends)}</u:Expires></t:Lifetime>"
        f'<p:AppliesTo xmlns:p="{POLICY}"><a:EndpointReference><a:Address>{escape(request.audience)}</a:Address>'
        f"</a:EndpointReference></p:AppliesTo>"
        f"<t:RequestedSecurityToken>{token.decode()}</t:RequestedSecurityToken>"
        f"<t:TokenType>{request.token_type}</t:TokenType><t:RequestType>{dialect.request_type}</t:RequestType>"
        f"<t:KeyType>{dialect.key_type}</t:KeyType>"
    )
    response = "RequestSecurityTokenResponse"
    if dialect is TRUST_2005:
        return f'<t:{response} xmlns:t="{dialect.namespace}">{answer}</t:{response}>'
    collected = f"<t:{response}>{answer}</t:{response}>"
    return f'<t:{response}Collection xmlns:t="{dialect.namespace}">{collected}</t:{response}Collection>'


def _envelope(action: str, message_id: str, body: str) -> bytes:
    relates = f"<a:RelatesTo>{escape(message_id)}</a:RelatesTo>" if message_id else ""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:u="{UTILITY}"><s:Header>'
        f'<a:Action s:mustUnderstand="1">{action}</a:Action>{relates}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()
