"""Every message of the provisioning service, whole: names, order, namespaces, values, and what stands beside them.

The golden files hold each message as XML with the prefixes that clients expect, and one request byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from xml.etree.ElementTree import Element

import pytest

from pwsync.errors import BinaryXmlError, ServiceFault
from pwsync.tenant import batch, company, messages, operations
from pwsync.tenant.binary_xml import decode, encode
from pwsync.tenant.messages import (
    ARRAYS,
    COEXISTENCE,
    PREFIXES,
    SERVICE,
    SYNC_OBJECTS,
    XSI,
    CallHeader,
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    ObjectResult,
    Redirected,
    SecretsConfiguration,
    SyncObject,
    fault_envelope,
    parse_request,
    parse_response,
    request_envelope,
    response_envelope,
)

GOLDEN = Path(__file__).parent / "vectors"
ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
WHEN = datetime(2017, 1, 13, 9, 2, tzinfo=UTC)
HEADER = CallHeader("ProvisionCredentials", "token", "1.1.380.0", ID, to="https://service.example/x.svc")
USUAL = CredentialItem("A" * 24, None, "v1;PPH1_MD4," + "C" * 91, WHEN)
ODD = CredentialItem(None, "User_1", "v1;", WHEN.replace(microsecond=5), True, "bGVnYWN5", "c3VwcGxlbWVudGFs")
NAMED = {
    uri: prefix or {SERVICE: "service", messages.ROLE: "role"}[uri]
    for uri, prefix in {**PREFIXES, SYNC_OBJECTS: "sync"}.items()
} | {messages.XML: "xml"}


def short(name: str) -> str:
    """A Clark name with a prefix instead of its namespace."""
    return re.sub(r"^\{(.*)\}", lambda found: NAMED[found[1]] + ":", name)


def outline(root: Element, depth: int = 0) -> str:
    """A tree as text, a line for each element: name, attributes, text."""
    attributes = "".join(
        f" {short(key)}={short(value) if value.startswith('{') else value}" for key, value in root.attrib.items()
    )
    text = "" if root.text is None else f" {root.text!r}"
    return f"{'  ' * depth}{short(root.tag)}{attributes}{text}\n" + "".join(outline(each, depth + 1) for each in root)


REQUESTS: dict[str, Callable[[], Element]] = {
    "ProvisionCredentials": lambda: operations.write_credentials([USUAL, ODD]),
    "ProvisionAzureADSyncObjects": lambda: operations.write_objects(
        [
            SyncObject(
                "anchor",
                attributes={
                    "displayName": "AT&T",
                    "accountEnabled": True,
                    "hidden": False,
                    "countryCode": -7,
                    "thumbnailPhoto": b"\0\xff",
                    "proxyAddresses": ["SMTP:a@x", "smtp:b@x"],
                    "title": None,
                    "SourceAnchor": "anchor",
                },
            ),
            SyncObject("", "Group", "Delete", {"CloudAnchor": "x"}, cloud_anchor="Group_1"),
        ]
    ),
    "GetCompanyConfiguration": lambda: company.write_call("GetCompanyConfiguration", includeLicenseInformation=False),
    "FinalizeExport": lambda: company.write_call("FinalizeExport", totalExported=3, name="x", yes=True, nothing=None),
}
OTHER_COMPANY = CompanyConfiguration(
    tenant_id="tenant-2",
    display_name="Contoso",
    allowed_features="PasswordWriteback",
    anchor_attribute=None,
    application_version="1.1",
    client_version="8.0",
    machine="SYNC01",
    total_connector_space_objects=7,
    is_tracking_changes=False,
    deletion_prevention="Disabled",
    deletion_threshold_count=1,
    deletion_threshold_percentage=2,
    dirsync_features=16385,
    is_dir_syncing=False,
    is_password_syncing=False,
    links_max=3,
    synchronization_interval="PT1H",
)
ANSWERS: dict[str, Callable[[], Element]] = {
    "ProvisionCredentials": lambda: operations.write_credentials_result(
        [CredentialResult("A" * 24, None, 0), CredentialResult(None, "User_1", -2, "Why.")]
    ),
    "ProvisionAzureADSyncObjects": lambda: operations.write_objects_result(
        [
            ObjectResult("anchor", "User", "Set", "Success"),
            ObjectResult("b", "Group", "Delete", "Failure", "E1", "Why."),
        ]
    ),
    "GetCompanyConfiguration": lambda: company.write_company_configuration(CompanyConfiguration("tenant-1")),
    "GetCompanyConfiguration of another": lambda: company.write_company_configuration(OTHER_COMPANY),
    "GetWindowsCredentialsSyncConfig": lambda: company.write_secrets_configuration(SecretsConfiguration()),
    "GetWindowsCredentialsSyncConfig with all": lambda: company.write_secrets_configuration(
        SecretsConfiguration(True, True, b"\0cert")
    ),
    "FinalizeExport": lambda: company.write_empty_result("FinalizeExport"),
    "Yes": lambda: company.write_value_result("Yes", True),
    "No": lambda: company.write_value_result("No", False),
    "Number": lambda: company.write_value_result("Number", 7),
    "Nothing": lambda: company.write_value_result("Nothing", None),
}
FAULTS: dict[str, Callable[[], Element]] = {
    "plain": lambda: fault_envelope("Busy."),
    "detailed": lambda: fault_envelope("Busy.", code=81, tracking_id="t-1", server="s-1", sender=True, relates_to=ID),
    "redirect": lambda: fault_envelope("Elsewhere.", redirect="https://r.example/x.svc"),
}


def written() -> str:
    """All messages, with a title above each."""
    requests = {
        f"request {name}": request_envelope(replace(HEADER, operation=name), write())
        for name, write in REQUESTS.items()
    }
    answers = {f"answer {name}": response_envelope(name.partition(" ")[0], write()) for name, write in ANSWERS.items()}
    related = {"answer with an id": response_envelope("FinalizeExport", company.write_empty_result("X"), ID)}
    faults = {f"fault {name}": write() for name, write in FAULTS.items()}
    return "\n".join(
        f"--- {name}\n{outline(root)}" for name, root in {**requests, **answers, **related, **faults}.items()
    )


def in_lines(data: bytes) -> str:
    """Bytes in hexadecimal, 40 a line."""
    return "".join(data[at : at + 40].hex() + "\n" for at in range(0, len(data), 40))


def golden(name: str, found: str, update: bool) -> None:
    path = GOLDEN / name
    if update:
        path.write_text(found, "utf-8")
    assert path.read_text("utf-8") == found


def test_trees(update: bool) -> None:
    """Each message has exactly these elements, in this order."""
    golden("messages.txt", written(), update)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("request", lambda: batch.encode_credentials(HEADER, [USUAL, USUAL._replace(force_change=True)])),
        ("request-odd", lambda: batch.encode_credentials(HEADER, [USUAL, ODD])),
        ("answer", lambda: batch.encode_results([CredentialResult("A" * 24, None, 2)], ID)),
        (
            "objects",
            lambda: encode(request_envelope(HEADER, REQUESTS["ProvisionAzureADSyncObjects"]()), PREFIXES, compact=True),
        ),
        ("company", lambda: encode(response_envelope("X", ANSWERS["GetCompanyConfiguration"]()), PREFIXES)),
    ],
)
def test_bytes(name: str, data: Callable[[], bytes], update: bool) -> None:
    """On the wire a message has exactly these bytes: dictionary, prefixes and short texts are in the place expected."""
    golden(f"{name}.hex", in_lines(data()), update)


@pytest.mark.parametrize("root", [*REQUESTS.values(), *ANSWERS.values()])
def test_either_nil(root: Callable[[], Element]) -> None:
    """A nil element has no text."""
    for found in root().iter():
        if found.get(f"{{{XSI}}}nil") == "true":
            assert found.text is None


class TestRead:
    def test_header(self) -> None:
        """Each field of a request's header comes from its own element."""
        header = CallHeader("Ping", "t", "1.0", ID, "app", "9.0", "3.0", "de-DE", "https://to.example/")
        assert parse_request(request_envelope(header, Element("x"))).header == header

    def test_bare_header(self) -> None:
        """A header that names nothing is empty in every field."""
        root = request_envelope(CallHeader("Ping", "", "", ID), Element("x"))
        for each in list(root[0])[1:]:
            root[0].remove(each)
        expected = CallHeader("Ping", "", "", UUID(int=0), "", "", "", "", "")
        assert parse_request(root).header == expected

    def test_empty_fields(self) -> None:
        """Elements without text are empty texts, and a tracking id that is none is the message's own id."""
        root = request_envelope(HEADER, Element("x"))
        for each in root[0][1]:
            each.text = None
        header = parse_request(root).header
        assert header == CallHeader("ProvisionCredentials", "", "", ID, "", "", "", "", HEADER.to)

    @pytest.mark.parametrize(
        ("read", "make", "text"),
        [
            (parse_request, lambda: Element("x"), "x is not a SOAP 1.2 envelope"),
            (parse_response, lambda: Element("x"), "x is not a SOAP 1.2 envelope"),
            (parse_request, lambda: reaction(None), "the action is ''"),
            (parse_request, lambda: reaction("urn:x"), "the action is 'urn:x'"),
            (parse_request, lambda: filled(0), "the body has 0 elements"),
            (parse_response, lambda: filled(2), "the body has 2 elements"),
            (
                company.read_company_configuration,
                lambda: company.write_company_configuration(CompanyConfiguration("")),
                "the company has no TenantId",
            ),
            (
                operations.read_credentials,
                lambda: operations.write_credentials([USUAL._replace(source_anchor=None)]),
                "a credential names neither anchor",
            ),
            (
                operations.read_objects,
                lambda: operations.write_objects([SyncObject("")]),
                "an object has neither SourceAnchor nor CloudAnchor",
            ),
            (
                operations.read_objects,
                lambda: operations.write_objects([SyncObject("", attributes={})]),
                "an object has neither SourceAnchor nor CloudAnchor",
            ),
            (
                operations.read_objects,
                lambda: with_text(
                    operations.write_objects([SyncObject("a", attributes={"x": b"12"})]), f"{{{ARRAYS}}}Value", "?"
                ),
                "a property is not base64",
            ),
            (
                company.read_secrets_configuration,
                lambda: with_text(
                    company.write_secrets_configuration(SecretsConfiguration(certificate=b"1")),
                    f"{{{COEXISTENCE}}}SecretEncryptionCertificate",
                    "MQ==?",
                ),
                "the certificate is not base64",
            ),
        ],
    )
    def test_refusals(self, read: Callable[[Element], object], make: Callable[[], Element], text: str) -> None:
        """What is not the message expected is refused in these words."""
        with pytest.raises(BinaryXmlError) as caught:
            read(make())
        assert str(caught.value) == f"not the message expected: {text} (at byte 0)"

    @pytest.mark.parametrize("names", [("Header",), ("Body",)])
    def test_part_missing(self, names: tuple[str]) -> None:
        """A part that is missing is named, and where."""
        root = request_envelope(HEADER, Element("x"))
        root.remove(root[0] if names == ("Header",) else root[1])
        with pytest.raises(BinaryXmlError) as caught:
            parse_request(root)
        assert str(caught.value) == f"not the message expected: {root.tag} has no {names[0]} (at byte 0)"

    @pytest.mark.parametrize(
        ("read", "whole", "path"),
        [
            (operations.read_credentials, REQUESTS["ProvisionCredentials"], "request/RequestItems"),
            (operations.read_credentials_result, ANSWERS["ProvisionCredentials"], "ProvisionCredentialsResult/Results"),
            (operations.read_objects, REQUESTS["ProvisionAzureADSyncObjects"], "syncRequest/SyncObjects"),
            (
                operations.read_objects,
                REQUESTS["ProvisionAzureADSyncObjects"],
                "syncRequest/SyncObjects/AzureADSyncObject/PropertyValues",
            ),
            (
                operations.read_objects,
                REQUESTS["ProvisionAzureADSyncObjects"],
                "syncRequest/SyncObjects/AzureADSyncObject/PropertyValues/KeyValueOfstringanyType/Value",
            ),
            (
                operations.read_objects_result,
                ANSWERS["ProvisionAzureADSyncObjects"],
                "ProvisionAzureADSyncObjectsResult/SyncObjectResults",
            ),
            (
                company.read_company_configuration,
                ANSWERS["GetCompanyConfiguration"],
                "GetCompanyConfigurationResult/DirSyncConfiguration/CurrentExport",
            ),
            (
                company.read_company_configuration,
                ANSWERS["GetCompanyConfiguration"],
                "GetCompanyConfigurationResult/DirSyncConfiguration/PreventAccidentalDeletion",
            ),
            (
                company.read_secrets_configuration,
                ANSWERS["GetWindowsCredentialsSyncConfig"],
                "GetWindowsCredentialsSyncConfigResult",
            ),
        ],
    )
    def test_element_missing(self, read: Callable[[Element], object], whole: Callable[[], Element], path: str) -> None:
        """Each holder on the way to the values must be there."""
        names = path.split("/")
        entries = {"AzureADSyncObject", "KeyValueOfstringanyType"}  # a list may be empty
        for count in (number for number, name in enumerate(names, 1) if name not in entries):
            root = parent = whole()
            for name in names[: count - 1]:
                parent = next(each for each in parent if each.tag.endswith("}" + name))
            parent.remove(next(each for each in parent if each.tag.endswith("}" + names[count - 1])))
            with pytest.raises(BinaryXmlError) as caught:
                read(root)
            expected = f"not the message expected: {parent.tag} has no {names[count - 1]} (at byte 0)"
            assert str(caught.value) == expected

    def test_fields_missing(self) -> None:
        """What an answer or a request leaves out is None, empty, or false."""
        answer = ANSWERS["ProvisionAzureADSyncObjects"]()
        for entry in answer[0][0]:
            entry.clear()
        assert operations.read_objects_result(answer) == [ObjectResult("", "", "", "")] * 2
        request = REQUESTS["ProvisionCredentials"]()
        change = request[0][0][0]
        for name in ("CredentialData", "ForcePasswordChangeOnLogon", "CloudAnchor", "WindowsLegacyCredentials"):
            change.remove(next(each for each in change if each.tag.endswith("}" + name)))
        assert operations.read_credentials(request)[0] == USUAL._replace(credential="")
        objects = REQUESTS["ProvisionAzureADSyncObjects"]()
        for entry in objects[0][0]:
            for each in list(entry)[1:]:
                entry.remove(each)
        assert [(each.object_type, each.operation) for each in operations.read_objects(objects)] == [("", "")] * 2

    def test_properties(self) -> None:
        """Properties are read by their type, whatever its prefix; nil, and an unknown type, too."""
        root = REQUESTS["ProvisionAzureADSyncObjects"]()
        first, second = operations.read_objects(root)
        assert first == SyncObject(
            "anchor",
            attributes={
                "displayName": "AT&T",
                "accountEnabled": True,
                "hidden": False,
                "countryCode": -7,
                "thumbnailPhoto": b"\0\xff",
                "proxyAddresses": ["SMTP:a@x", "smtp:b@x"],
                "title": None,
            },
        )
        assert second == SyncObject("", "Group", "Delete", {}, "Group_1")

    @pytest.mark.parametrize(
        ("kind", "text", "value"),
        [
            ("int", "5", 5),
            ("long", "-5", -5),
            ("short", "5", 5),
            ("unsignedInt", "5", 5),
            ("boolean", "1", True),
            ("boolean", "0", False),
            ("base64Binary", "", b""),
            ("base64Binary", None, b""),
            ("string", None, ""),
            ("other", "x", "x"),
            ("", "x", "x"),
        ],
    )
    def test_types(self, kind: str, text: str | None, value: object) -> None:
        """Each type of XML Schema that clients send has its value."""
        root = operations.write_objects([SyncObject("a", attributes={"x": "?"})])
        holder = list(root.iter(f"{{{ARRAYS}}}Value"))[-1]
        holder.attrib = {f"{{{XSI}}}type": f"{{urn:x}}{kind}"} if kind else {}
        holder.text = text
        found = operations.read_objects(root)[0].attributes["x"]
        assert (type(found), found) == (type(value), value)

    def test_lists_and_nil(self) -> None:
        """Both kinds of lists are texts; a nil in either spelling is None, and other words are not nil."""
        for kind in ("ArrayOfstring", "ArrayOfbase64Binary"):
            root = operations.write_objects([SyncObject("a", attributes={"x": ["b", ""]})])
            holder = list(root.iter(f"{{{ARRAYS}}}Value"))[-1]
            holder.attrib = {f"{{{XSI}}}type": f"{{urn:x}}{kind}"}
            assert operations.read_objects(root)[0].attributes["x"] == ["b", ""]
        for nil, value in (("true", None), ("1", None), ("false", "y"), ("", "y")):
            root = operations.write_objects([SyncObject("a", attributes={"x": "y"})])
            holder = list(root.iter(f"{{{ARRAYS}}}Value"))[-1]
            holder.set(f"{{{XSI}}}nil", nil)
            assert operations.read_objects(root)[0].attributes["x"] == value
            root = operations.write_credentials([USUAL._replace(legacy="y")])
            next(each for each in root.iter() if each.tag.endswith("WindowsLegacyCredentials")).set(
                f"{{{XSI}}}nil", nil
            )
            assert operations.read_credentials(root)[0].legacy == value
            body = company.write_call("X", a="y")
            body[0].set(f"{{{XSI}}}nil", nil)
            assert company.read_call(body) == {"a": value}

    @pytest.mark.parametrize(
        ("text", "number"),
        [("0", 0), ("-7", -7), ("9" * 18, 10**18 - 1), ("-" + "9" * 18, 1 - 10**18), ("9" * 19, None),
         ("--1", None), ("", None), (None, None), ("²", None), ("+1", None), ("X1", None)],
    )  # fmt: skip
    def test_integers(self, text: str | None, number: int | None) -> None:
        """Integers have up to 18 digits, and a sign at most."""
        if number is not None:
            assert operations.read_integer(text) == number
            return
        with pytest.raises(BinaryXmlError) as caught:
            operations.read_integer(text)
        assert str(caught.value) == f"not the message expected: {text!r} is not a number (at byte 0)"

    @pytest.mark.parametrize(
        ("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False), (None, False), ("TRUE", None)]
    )
    def test_booleans(self, text: str | None, value: bool | None) -> None:
        """Booleans have two spellings each, and what is missing is false."""
        if value is not None:
            assert operations.read_boolean(text) is value
            return
        with pytest.raises(BinaryXmlError) as caught:
            operations.read_boolean(text)
        assert str(caught.value) == f"not the message expected: {text!r} is neither true nor false (at byte 0)"

    @pytest.mark.parametrize(
        ("text", "when"),
        [
            ("2017-01-13T09:02:00Z", WHEN),
            ("2017-01-13T09:02:00", WHEN),
            ("2017-01-13T11:02:00+02:00", WHEN),
            ("0001-01-01T00:00:00+14:00", None),
            ("x", None),
        ],
    )
    def test_times(self, text: str, when: datetime | None) -> None:
        """A time is in UTC when it is read, and UTC if it names no zone."""
        if when is not None:
            found = operations.parse_time(text)
            assert (found, found.tzinfo) == (when, UTC)
            return
        with pytest.raises(BinaryXmlError) as caught:
            operations.parse_time(text)
        assert str(caught.value) == f"not the message expected: {text!r} is not a date (at byte 0)"

    def test_time_without_zone(self) -> None:
        """A time without a zone is not written."""
        with pytest.raises(ValueError, match=r"^a time on the wire needs a time zone$"):
            operations.format_time(datetime(2017, 1, 13))  # noqa: DTZ001 - on purpose


class TestCompanyDefaults:
    def test_read(self) -> None:
        """A configuration with empty fields is read as one that says nothing."""
        body = company.write_company_configuration(OTHER_COMPANY)
        for name in ("DisplayName", "AllowedFeatures", "DeletionPrevention", "SynchronizationInterval"):
            next(each for each in body.iter() if each.tag.endswith("}" + name)).text = None
        expected = replace(
            OTHER_COMPANY, display_name="", allowed_features="None", deletion_prevention="", synchronization_interval=""
        )
        assert company.read_company_configuration(body) == expected

    @pytest.mark.parametrize(
        "secrets",
        [
            SecretsConfiguration(),
            SecretsConfiguration(True, False),
            SecretsConfiguration(False, True),
            SecretsConfiguration(True, True, b"cert"),
        ],
    )
    def test_secrets(self, secrets: SecretsConfiguration) -> None:
        """Each wish for Domain Services has a field of its own."""
        root = response_envelope("X", company.write_secrets_configuration(secrets))
        found = company.read_secrets_configuration(parse_response(decode(encode(root, PREFIXES))))
        assert (found, found.wanted) == (secrets, secrets.legacy or secrets.supplemental)


class TestFaults:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({}, ("Busy.", 81, "t-1", "s-1")),
            ({"ErrorCode": "999999999"}, ("Busy.", 999_999_999, "t-1", "s-1")),
            ({"ErrorCode": "9999999990"}, ("Busy.", None, "t-1", "s-1")),
            ({"ErrorCode": "²"}, ("Busy.", None, "t-1", "s-1")),
            ({"ErrorCode": None, "TrackingId": None, "ServerName": None}, ("Busy.", None, "", "")),
            ({"Text": None}, ("The service answered with a fault that gives no reason.", 81, "t-1", "s-1")),
        ],
    )
    def test_details(self, change: dict[str, str | None], expected: tuple[object, ...]) -> None:
        """Number, tracking id and server are read from the detail; the number has at most nine digits."""
        root = FAULTS["detailed"]()
        for name, text in change.items():
            next(each for each in root.iter() if each.tag.endswith("}" + name)).text = text
        with pytest.raises(ServiceFault) as caught:
            parse_response(root)
        found = caught.value
        assert (str(found), found.code, found.tracking_id, found.server) == expected

    def test_without_parts(self) -> None:
        """A fault without reason and detail has nothing but the product's words for it."""
        root = FAULTS["detailed"]()
        fault = root[1][0]
        for each in list(fault):
            fault.remove(each)
        with pytest.raises(ServiceFault) as caught:
            parse_response(root)
        found = caught.value
        text = "The service answered with a fault that gives no reason."
        assert (str(found), found.code, found.tracking_id, found.server) == (text, None, "", "")

    def test_redirect(self) -> None:
        """A redirect has text and address; without an address, or under another name, it is a plain fault."""
        with pytest.raises(Redirected) as caught:
            parse_response(FAULTS["redirect"]())
        assert (str(caught.value), caught.value.url) == ("Elsewhere.", "https://r.example/x.svc")
        for name, change in (("Url", {"text": None}), ("BindingRedirectionFault", {"tag": "{urn:x}Other"})):
            root = FAULTS["redirect"]()
            found = next(each for each in root.iter() if each.tag.endswith("}" + name))
            for key, value in change.items():
                setattr(found, key, value)
            with pytest.raises(ServiceFault) as plain:
                parse_response(root)
            assert type(plain.value) is ServiceFault


def reaction(text: str | None) -> Element:
    root = request_envelope(HEADER, Element("x"))
    root[0][0].text = text
    return root


def filled(count: int) -> Element:
    root = request_envelope(HEADER, Element("x"))
    root[1][:] = [Element("x")] * count
    return root


def with_text(root: Element, tag: str, text: str) -> Element:
    list(root.iter(tag))[-1].text = text
    return root
