"""The client's end of WS-Trust: a request as clients of the cloud send it, and the token out of its answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from xml.sax.saxutils import escape

from lxml import etree

from simulator.federation.assertions import stamp
from simulator.federation.names import ADDRESSING, POLICY, SECURITY, SOAP, TENANT_AUDIENCE, UTILITY, Dialect

_MESSAGE_LIFE = timedelta(minutes=10)


def request(dialect: Dialect, address: str, name: str, password: str, now: datetime, message_id: str = "") -> bytes:
    """A request for a token for the cloud. With texts that XML has no characters for it is one that nobody can read."""
    envelope = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:u="{UTILITY}"><s:Header>'
        f'<a:Action s:mustUnderstand="1">{dialect.request_action}</a:Action>'
        f"<a:MessageID>{escape(message_id)}</a:MessageID>"
        f'<a:To s:mustUnderstand="1">{escape(address)}</a:To>'
        f'<o:Security s:mustUnderstand="1" xmlns:o="{SECURITY}">'
        f"<u:Timestamp><u:Created>{stamp(now)}</u:Created><u:Expires>{stamp(now + _MESSAGE_LIFE)}</u:Expires>"
        f"</u:Timestamp><o:UsernameToken><o:Username>{escape(name)}</o:Username>"
        f"<o:Password>{escape(password)}</o:Password></o:UsernameToken></o:Security></s:Header>"
        f'<s:Body><t:RequestSecurityToken xmlns:t="{dialect.namespace}"><p:AppliesTo xmlns:p="{POLICY}">'
        f"<a:EndpointReference><a:Address>{TENANT_AUDIENCE}</a:Address></a:EndpointReference></p:AppliesTo>"
        f"<t:KeyType>{dialect.key_type}</t:KeyType><t:RequestType>{dialect.request_type}</t:RequestType>"
        f"</t:RequestSecurityToken></s:Body></s:Envelope>"
    )
    return envelope.encode("utf-8", "surrogatepass")


def token(answer: bytes, dialect: Dialect) -> tuple[bytes, str]:
    """The token in an answer, as XML, and its kind. Raises ValueError if there is none."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = etree.fromstring(answer, parser)
    kind = root.find(f".//{{{dialect.namespace}}}TokenType")
    holder = root.find(f".//{{{dialect.namespace}}}RequestedSecurityToken")
    if kind is None or holder is None or len(holder) != 1:
        raise ValueError("there is no token in the answer")
    # Exclusive canonical XML is what the signature is over, wherever the token stands.
    return etree.tostring(holder[0], method="c14n", exclusive=True), str(kind.text)
