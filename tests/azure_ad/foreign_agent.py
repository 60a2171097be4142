"""An agent that is not ours: it writes XML as public clients do, and another project's codec makes the bytes.

Nothing here comes from pwsync: messages are texts, bytes come from ``pynettcp``, and an answer is read into nested
dictionaries whose keys keep their prefixes literally, as those clients read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID
from xml.parsers import expat
from xml.sax.saxutils import escape

from pynettcp import BinaryXmlReader, BinaryXmlWriter, DictStr, StaticDictionary

URL = "https://adminwebservice.microsoftonline.com/provisioningservice.svc"
CONTENT_TYPE = "application/soap+msbin1"
SERVICE = "http://schemas.microsoft.com/online/aws/change/2010/01"
ROLE = "urn:microsoft.online.administrativeservice"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
MESSAGE = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")

Post = Callable[[bytes, dict[str, str]], tuple[int, bytes]]


class Fault(Exception):
    """The service refused: its reason, as a client shows it."""


class ForeignAgent:
    """Calls the service. post: sends bytes with headers. compact: names come from the dictionary where it has them."""

    def __init__(self, post: Post, token: str, build: str = "2.2.8.0", *, compact: bool = False) -> None:
        self.post, self.token, self.build, self.compact = post, token, build, compact
        self.status = 0

    def call(self, operation: str, body: str = "", *, attributes: str = "") -> Any:
        """The result of an operation. body: the XML inside of the operation's element. Raises Fault."""
        text = envelope(operation, f'<{operation} xmlns="{SERVICE}"{attributes}>{body}</{operation}>', self)
        headers = {"Content-Type": CONTENT_TYPE, "x-ms-aadmsods-apiaction": operation}
        self.status, answer = self.post(to_binary(text, compact=self.compact), headers)
        found = read(answer)["s:Envelope"]["s:Body"]
        if "s:Fault" in found:
            raise Fault(found["s:Fault"]["s:Reason"]["s:Text"]["#text"])
        return found[f"{operation}Response"].get(f"{operation}Result")

    def set_object(self, kind: str = "User", operation: str = "Set", version: str = "", **properties: Any) -> Any:
        """Provision one object; its result."""
        values = "".join(key_value(name, value) for name, value in properties.items())
        entry = (
            f'<b:AzureADSyncObject><b:PropertyValues xmlns:c="http://schemas.microsoft.com/2003/10/Serialization/Arrays">'
            f"{values}</b:PropertyValues><b:SyncObjectType>{kind}</b:SyncObjectType>"
            f"<b:SyncOperation>{operation}</b:SyncOperation></b:AzureADSyncObject>"
        )
        declared = f'xmlns:b="http://schemas.microsoft.com/online/aws/change/2014/06" xmlns:i="{INSTANCE}"'
        body = f"<syncRequest {declared}><b:SyncObjects>{entry}</b:SyncObjects></syncRequest>"
        result = self.call(f"ProvisionAzureADSyncObjects{version}", body)
        return result["b:SyncObjectResults"]["b:AzureADSyncObjectResult"]

    def set_password(self, credential: str, *, source: str | None = None, cloud: str | None = None) -> Any:
        """Send one credential; its result."""
        declared = (
            'xmlns:b="http://schemas.datacontract.org/2004/07/Microsoft.Online.Coexistence.Schema" '
            f'xmlns:i="{INSTANCE}"'
        )
        item = (
            "<b:SyncCredentialsChangeItem><b:ChangeDate>2017-01-13T08:59:58.123456Z</b:ChangeDate>"
            f"{nillable('b:CloudAnchor', cloud)}<b:CredentialData>{escape(credential)}</b:CredentialData>"
            f"<b:ForcePasswordChangeOnLogon>false</b:ForcePasswordChangeOnLogon>{nillable('b:SourceAnchor', source)}"
            '<b:WindowsLegacyCredentials i:nil="true"/><b:WindowsSupplementalCredentials i:nil="true"/>'
            "</b:SyncCredentialsChangeItem>"
        )
        result = self.call(
            "ProvisionCredentials", f"<request {declared}><b:RequestItems>{item}</b:RequestItems></request>"
        )
        return result["b:Results"]["b:SyncCredentialsChangeResult"]

    def objects(self, *, full: bool = True, cookie: str | None = None) -> Any:
        """What the tenant has, read back: the whole result. The flag is written as Python writes it."""
        nil = f'<inputCookie i:nil="true" xmlns:i="{INSTANCE}"></inputCookie>'
        body = (
            "<includeLicenseInformation>true</includeLicenseInformation>"
            f"{nil if cookie is None else f'<inputCookie>{cookie}</inputCookie>'}<isFullSync>{full}</isFullSync>"
        )
        return self.call("ReadBackAzureADSyncObjects2", body)


def properties(entry: Any) -> dict[str, str | None]:
    """The properties of an object that was read back, by their names."""
    pairs = entry["b:PropertyValues"]["c:KeyValueOfstringanyType"]
    return {each["c:Key"]: each["c:Value"].get("#text") for each in pairs}


def several(value: Any) -> list[Any]:
    """The entries of an element that may stand there once, many times, or not at all."""
    return [] if value is None else value if isinstance(value, list) else [value]


def key_value(name: str, value: Any) -> str:
    """A property as public clients write it, with its type declared on the spot."""
    schema = 'xmlns:d="http://www.w3.org/2001/XMLSchema"'
    if value is None:
        held = f'<c:Value i:nil="true" {schema}></c:Value>'
    elif isinstance(value, list):
        entries = "".join(f"<c:string>{escape(each)}</c:string>" for each in value)
        held = f'<c:Value i:type="c:ArrayOfstring">{entries}</c:Value>'
    elif isinstance(value, bool):
        held = f'<c:Value i:type="d:boolean" {schema}>{str(value).lower()}</c:Value>'
    elif isinstance(value, int):
        held = f'<c:Value i:type="d:long" {schema}>{value}</c:Value>'
    else:
        kind, text = value if isinstance(value, tuple) else ("string", value)
        held = f'<c:Value i:type="d:{kind}" {schema}>{escape(text)}</c:Value>'
    return f"<c:KeyValueOfstringanyType><c:Key>{name}</c:Key>{held}</c:KeyValueOfstringanyType>"


def nillable(name: str, value: str | None) -> str:
    return f'<{name} i:nil="true"/>' if value is None else f"<{name}>{escape(value)}</{name}>"


def envelope(operation: str, body: str, agent: ForeignAgent) -> str:
    """A whole request; blanks between elements are left as such clients leave them."""
    token = "\n      ".join(
        f'<{name} xmlns="{SERVICE}">{value}</{name}>'
        for name, value in (
            ("ApplicationId", "1651564e-7ce4-4d99-88be-0a65050d8dc3"),
            ("BearerToken", agent.token),
            ("ClientVersion", "8.0"),
            ("DirSyncBuildNumber", agent.build),
            ("FIMBuildNumber", agent.build),
            ("IsInstalledOnDC", "False"),
            ("IssueDateTime", "0001-01-01T00:00:00"),
            ("LanguageId", "en-US"),
            ("LiveToken", ""),
            ("ProtocolVersion", "2.0"),
            ("RichCoexistenceEnabled", "False"),
            ("TrackingId", str(MESSAGE)),
        )
    )
    return f"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">
  <s:Header>
    <a:Action s:mustUnderstand="1">{SERVICE}/IProvisioningWebService/{operation}</a:Action>
    <SyncToken s:role="{ROLE}" xmlns="{ROLE}" xmlns:i="{INSTANCE}">
      {token}
    </SyncToken>
    <a:MessageID>urn:uuid:{MESSAGE}</a:MessageID>
    <a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>
    <a:To s:mustUnderstand="1">{URL}</a:To>
  </s:Header>
  <s:Body>
    {body}
  </s:Body>
</s:Envelope>"""


def to_binary(text: str, *, compact: bool) -> bytes:
    """XML text as binary XML; the bytes are the other project's."""
    writer, table = BinaryXmlWriter(), StaticDictionary()

    def name(plain: str) -> str:
        return DictStr(plain) if compact and table.static_id(plain) is not None else plain

    def start(qualified: str, attributes: dict[str, str]) -> None:
        prefix, _, local = qualified.rpartition(":")
        writer.start_element(prefix, name(local))
        for key, value in attributes.items():
            before, _, after = key.rpartition(":")
            if key == "xmlns" or before == "xmlns":
                writer.xmlns(after if before else "", name(value))
            else:
                writer.attribute(before, name(after), value)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda qualified: writer.end_element()
    parser.CharacterDataHandler = lambda data: writer.write_string(name(data))
    parser.Parse(text, True)
    octets: bytes = writer.getvalue()
    return octets


def read(octets: bytes) -> dict[str, Any]:
    """Binary XML as nested dictionaries: ``prefix:name``, ``@attribute``, ``#text``, a list where a name repeats."""
    root: dict[str, Any] = {}
    stack: list[tuple[str, dict[str, Any]]] = [("", root)]
    attribute: str | None = None
    for kind, *rest in BinaryXmlReader(octets).read():
        here = stack[-1][1]
        if kind == "start":
            stack.append((_joined(*rest), {}))
        elif kind == "xmlns":
            here["@xmlns" + (f":{rest[0]}" if rest[0] else "")] = rest[1]
        elif kind == "attr":
            attribute = "@" + _joined(*rest)
        elif kind == "text":
            key, attribute = attribute or "#text", None
            here[key] = str(here.get(key, "")) + str(rest[0])
        elif kind == "end":
            name, made = stack.pop()
            value: Any = made.get("#text") if set(made) <= {"#text"} else made
            there = stack[-1][1]
            if name in there:
                there[name] = [*several(there[name]), value]
            else:
                there[name] = value
    return root


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}:{name}" if prefix else name
