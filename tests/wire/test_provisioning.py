"""The provisioning service's client: answers, faults, redirects, broken connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from pwsync.errors import BinaryXmlError, ServiceFault, TenantError, Throttled, TransportError
from pwsync.ports import TenantPort
from pwsync.tenant import batch, company
from pwsync.tenant.binary_xml import decode, encode
from pwsync.tenant.messages import (
    CONTENT_TYPE,
    PREFIXES,
    CallHeader,
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    ObjectResult,
    Request,
    SecretsConfiguration,
    SyncObject,
    fault_envelope,
    parse_request,
    request_envelope,
    response_envelope,
)
from pwsync.tenant.operations import read_objects, write_objects_result
from pwsync.tenant.provisioning import ProvisioningService, is_regional, read_retry_after

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
HOME = "https://adminwebservice.microsoftonline.com/provisioningservice.svc"
REGION = "https://adminwebservice-s1-co2.microsoftonline.com/provisioningservice.svc"
ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")

Reply = tuple[int, dict[str, str], bytes] | Exception


class Service:
    """Answers calls at any address with the next of ``replies``, and keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply | Callable[[bytes], bytes]] = []
        self.calls: list[tuple[str, Request, list[CredentialItem]]] = []
        self.headers: list[Any] = []
        self.octets: list[bytes] = []

    def __call__(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        data = request.body
        assert isinstance(data, bytes)
        self.calls.append((str(request.url), *batch.decode_request(data)))
        self.headers.append(request.headers)
        self.octets.append(data)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, tuple) else ok(reply(data))


def ok(data: bytes) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": CONTENT_TYPE}, data


def fault(status: int = 500, **details: Any) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": CONTENT_TYPE + "; x=y"}, encode(fault_envelope("No.", **details), PREFIXES)


def item(anchor: str = "A" * 24) -> CredentialItem:
    return CredentialItem(anchor, None, "v1;", NOW)


@pytest.fixture
def service() -> Iterator[Service]:
    double = Service()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for url in (HOME, REGION):
            mock.add_callback(responses.POST, url, double, content_type=None)
        yield double


@pytest.fixture
def client() -> ProvisioningService:
    port = TenantPort(requests.Session(), "tenant-1", provisioning_url=HOME)
    return ProvisioningService(port, lambda: "token", "1.1.380.0", lambda: ID, lambda: NOW)


class TestCredentials:
    def test_results(self, service: Service, client: ProvisioningService) -> None:
        """There is one result per item, in the order of the items, whatever the order of the answer."""
        results = [CredentialResult("B" * 24, None, 2, "unknown"), CredentialResult("A" * 24, None, 0)]
        service.replies = [ok(batch.encode_results(results))]
        assert client.send_credentials([item(), item("B" * 24)]) == results[::-1]
        assert service.calls[0][2] == [item(), item("B" * 24)]

    def test_headers(self, service: Service, client: ProvisioningService) -> None:
        """HTTP and SOAP headers say who calls, with what build and token, under one id."""
        service.replies = [ok(batch.encode_results([]))]
        client.ping()
        url, request, items = service.calls[0]
        headers = service.headers[0]
        assert (url, items, request.header.token, request.header.to) == (HOME, [], "token", HOME)
        assert headers["Content-Type"] == CONTENT_TYPE
        assert headers["client-request-id"] == str(request.header.tracking_id) == str(ID)
        assert headers["x-ms-aadmsods-apiaction"] == "ProvisionCredentials"
        assert headers["x-ms-aadmsods-appid"] == "1651564e-7ce4-4d99-88be-0a65050d8dc3"
        assert headers["x-ms-aadmsods-clientversion"] == "8.0"
        assert headers["x-ms-aadmsods-dirsyncbuildnumber"] == request.header.build == "1.1.380.0"
        assert headers["x-ms-aadmsods-fimbuildnumber"] == "1.1.380.0"
        assert headers["x-ms-aadmsods-tenantid"] == "tenant-1"

    def test_item_not_named(self, service: Service, client: ProvisioningService) -> None:
        """An item that the answer leaves out has no result; one that was not sent is passed over."""
        service.replies = [ok(batch.encode_results([CredentialResult("C" * 24, None, 0)]))]
        (result,) = client.send_credentials([item()])
        assert (result.source_anchor, result.result) == ("A" * 24, None)

    def test_cloud_anchor(self, service: Service, client: ProvisioningService) -> None:
        """Items may be named by the tenant's own anchor."""
        service.replies = [ok(batch.encode_results([CredentialResult(None, "User_1", 0)]))]
        (result,) = client.send_credentials([CredentialItem(None, "User_1", "v1;", NOW)])
        assert result.result == 0

    def test_token_fails(self, client: ProvisioningService) -> None:
        """What the token source raises passes out, and nothing is called."""

        def broken() -> str:
            raise TransportError("no token")

        client = ProvisioningService(client._port, broken, "1", lambda: ID, lambda: NOW)
        with pytest.raises(TransportError, match="no token"):
            client.ping()


class TestOtherOperations:
    def test_objects(self, service: Service, client: ProvisioningService) -> None:
        """There is one result per object; one that the answer leaves out says so."""
        objects = [SyncObject("a", attributes={"displayName": "AT&T"}), SyncObject("b", operation="Delete")]
        result = ObjectResult("b", "User", "Delete", "Success")
        body = write_objects_result([result])
        service.replies = [ok(encode(response_envelope("ProvisionAzureADSyncObjects", body), PREFIXES))]
        missing, found = client.send_objects(objects)
        assert (missing.source_anchor, missing.code, found) == ("a", "NoAnswer", result)
        assert read_objects(service.calls[0][1].body) == objects

    def test_company(self, service: Service, client: ProvisioningService) -> None:
        """The tenant's configuration comes as a value."""
        known = CompanyConfiguration("tenant-1", dirsync_features=1)
        body = company.write_company_configuration(known)
        service.replies = [ok(encode(response_envelope("GetCompanyConfiguration", body), PREFIXES))]
        assert client.company_configuration() == known

    def test_features_and_export(self, service: Service, client: ProvisioningService) -> None:
        """Plain arguments go by name."""
        for operation in ("SetCompanyDirsyncFeatures", "FinalizeExport"):
            body = company.write_empty_result(operation)
            service.replies.append(ok(encode(response_envelope(operation, body), PREFIXES)))
        client.set_features(3)
        client.finalize_export(7, 6)
        asked = [(call[1].operation, company.read_call(call[1].body)) for call in service.calls]
        assert asked == [
            ("SetCompanyDirsyncFeatures", {"dirsyncFeatures": "3"}),
            ("FinalizeExport", {"totalExported": "7", "successfulExportCount": "6"}),
        ]


class TestFailures:
    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503])
    def test_status(self, service: Service, client: ProvisioningService, status: int) -> None:
        """A refusal by HTTP is Throttled, with the pause that was asked for."""
        service.replies = [(status, {"Retry-After": "90", "Content-Type": "text/html"}, b"<html>")]
        with pytest.raises(Throttled) as caught:
            client.send_credentials([item()])
        assert (caught.value.status, caught.value.retry_after) == (status, 90.0)

    @pytest.mark.parametrize("status", [400, 500])
    def test_fault(self, service: Service, client: ProvisioningService, status: int) -> None:
        """A SOAP fault is a ServiceFault with its code."""
        service.replies = [fault(status, code=90, tracking_id="t", server="s")]
        with pytest.raises(ServiceFault) as caught:
            client.ping()
        assert (caught.value.code, caught.value.tracking_id, caught.value.server) == (90, "t", "s")

    @pytest.mark.parametrize("data", [b"", b"<html>", bytes(range(256)), batch.encode_results([])[:-1]])
    def test_unreadable(self, service: Service, client: ProvisioningService, data: bytes) -> None:
        """An answer that can't be read leaves open whether the call was applied."""
        service.replies = [ok(data)]
        with pytest.raises(TransportError, match="could not be read"):
            client.send_credentials([item()])

    def test_answer_to_another_question(self, service: Service, client: ProvisioningService) -> None:
        """The answer of another operation is unreadable too."""
        body = company.write_empty_result("FinalizeExport")
        service.replies = [ok(encode(response_envelope("FinalizeExport", body), PREFIXES))]
        with pytest.raises(TransportError):
            client.send_credentials([item()])

    def test_result_with_error_status(self, service: Service, client: ProvisioningService) -> None:
        """A result under an error status is not taken for success."""
        service.replies = [(500, {"Content-Type": CONTENT_TYPE}, batch.encode_results([]))]
        with pytest.raises(TransportError, match="no fault"):
            client.ping()

    @pytest.mark.parametrize(
        "error",
        [
            requests.exceptions.ConnectionError("reset"),
            requests.exceptions.ReadTimeout(),
            requests.exceptions.SSLError(),
            requests.exceptions.ChunkedEncodingError(),
            requests.exceptions.ContentDecodingError(),
        ],
    )
    def test_broken_connection(self, service: Service, client: ProvisioningService, error: Exception) -> None:
        """A broken connection is a TransportError that names how, and not the token."""
        service.replies = [error]
        with pytest.raises(TransportError, match=type(error).__name__) as caught:
            client.ping()
        assert "token" not in str(caught.value)

    @given(st.data())
    def test_garbled(self, data: st.DataObject) -> None:
        """A garbled answer gives results for the items that were sent, or a TenantError: never another exception."""
        client = ProvisioningService(
            TenantPort(requests.Session(), "t", provisioning_url=HOME), lambda: "", "1", lambda: ID, lambda: NOW
        )
        results = [CredentialResult(letter * 24, None, 0) for letter in "AB"]
        garbled = bytearray(batch.encode_results(results))
        for _ in range(data.draw(st.integers(1, 3))):
            garbled[data.draw(st.integers(0, len(garbled) - 1))] = data.draw(st.integers(0, 255))
        with responses.RequestsMock() as mock:
            mock.add(responses.POST, HOME, bytes(garbled), content_type=CONTENT_TYPE)
            try:
                found = client.send_credentials([item("A" * 24), item("B" * 24)])
            except TenantError:
                return
        assert [result.source_anchor for result in found] == ["A" * 24, "B" * 24]


class TestWhole:
    def test_call(self) -> None:
        """A call is one POST with these headers, limits and octets, and no others."""
        seen: dict[str, Any] = {}

        class Session:
            def post(self, url: str, **options: Any) -> Any:
                seen.update(options, url=url)
                answer = requests.Response()
                answer.status_code, answer._content = 200, batch.encode_results([])
                return answer

        port = TenantPort(Session(), "tenant-1", provisioning_url=HOME)  # type: ignore[arg-type]
        ProvisioningService(port, lambda: "token", "1.1.380.0", lambda: ID, lambda: NOW).ping()
        header = CallHeader("ProvisionCredentials", "token", "1.1.380.0", ID, to=HOME)
        assert seen == {
            "url": HOME,
            "data": batch.encode_credentials(header, ()),
            "timeout": (10.0, 100.0),
            "allow_redirects": False,
            "headers": {
                "Content-Type": "application/soap+msbin1",
                "client-request-id": str(ID),
                "x-ms-aadmsods-apiaction": "ProvisionCredentials",
                "x-ms-aadmsods-appid": "1651564e-7ce4-4d99-88be-0a65050d8dc3",
                "x-ms-aadmsods-clientversion": "8.0",
                "x-ms-aadmsods-dirsyncbuildnumber": "1.1.380.0",
                "x-ms-aadmsods-fimbuildnumber": "1.1.380.0",
                "x-ms-aadmsods-tenantid": "tenant-1",
            },
        }

    def test_operations(self, service: Service, client: ProvisioningService) -> None:
        """Each operation asks with its own name and arguments, in the compact records of clients."""
        empty = {name: company.write_empty_result(name) for name in ("SetCompanyDirsyncFeatures", "FinalizeExport")}
        secrets = SecretsConfiguration(True, False, b"cert")
        answers = {
            "GetCompanyConfiguration": company.write_company_configuration(CompanyConfiguration("tenant-1")),
            "GetWindowsCredentialsSyncConfig": company.write_secrets_configuration(secrets),
            **empty,
        }
        service.replies = [ok(encode(response_envelope(name, body), PREFIXES)) for name, body in answers.items()]
        assert client.company_configuration() == CompanyConfiguration("tenant-1")
        assert client.secrets_configuration() == secrets
        client.set_features(5)
        client.finalize_export(4, 3)
        bodies = [
            company.write_call("GetCompanyConfiguration", includeLicenseInformation=False),
            company.write_call("GetWindowsCredentialsSyncConfig"),
            company.write_call("SetCompanyDirsyncFeatures", dirsyncFeatures=5),
            company.write_call("FinalizeExport", totalExported=4, successfulExportCount=3),
        ]
        expected = [
            encode(
                request_envelope(CallHeader(body.tag.rpartition("}")[2], "token", "1.1.380.0", ID, to=HOME), body),
                PREFIXES,
                compact=True,
            )
            for body in bodies
        ]
        assert [headers["x-ms-aadmsods-apiaction"] for headers in service.headers] == list(answers)
        assert service.octets == expected

    def test_results_of_nobody(self, service: Service, client: ProvisioningService) -> None:
        """What the answer does not name has these words, and its own anchors."""
        service.replies = [
            ok(batch.encode_results([])),
            ok(encode(response_envelope("ProvisionAzureADSyncObjects", write_objects_result([])), PREFIXES)),
        ]
        text = "The answer of the service does not name this item."
        assert client.send_credentials([item(), CredentialItem(None, "User_1", "v1;", NOW)]) == [
            CredentialResult("A" * 24, None, None, text), CredentialResult(None, "User_1", None, text)
        ]  # fmt: skip
        assert client.send_objects([SyncObject("a", "Group", "Delete")]) == [
            ObjectResult("a", "Group", "Delete", "NoAnswer", None, text)
        ]

    def test_one_anchor_of_two_kinds(self, service: Service, client: ProvisioningService) -> None:
        """Objects are told apart by anchor and kind."""
        results = [ObjectResult("a", "Group", "Set", "Failure"), ObjectResult("a", "User", "Set", "Success")]
        body = write_objects_result(results)
        service.replies = [ok(encode(response_envelope("ProvisionAzureADSyncObjects", body), PREFIXES))]
        assert client.send_objects([SyncObject("a"), SyncObject("a", "Group")]) == results[::-1]

    def test_assumed_ping(self, service: Service) -> None:
        """An assumed ping uses its identifier up, and calls nobody."""
        drawn: list[UUID] = []

        def identifier() -> UUID:
            drawn.append(ID)
            return ID

        port = TenantPort(requests.Session(), "t", provisioning_url=HOME)
        ProvisioningService(port, lambda: "", "1", identifier, lambda: NOW).assume_ping()
        assert (drawn, service.calls) == ([ID], [])

    @pytest.mark.parametrize(
        ("reply", "text"),
        [
            (requests.exceptions.ReadTimeout("secret"), "The remote name or host could not be reached: ReadTimeout."),
            (ok(b"x"), "The answer of the service could not be read: record 0x78 can't stand here (at byte 0)"),
            ((500, {"Content-Type": CONTENT_TYPE}, batch.encode_results([])),
             "The service answered with status 500 and no fault."),
            (fault(redirect="https://evil.example/x"),
             "The service redirected to 'https://evil.example/x', which is not its own."),
            ((503, {"Retry-After": "Fri, 13 Jan 2017 09:01:30 GMT"}, b""),
             "The remote server returned an error: (503)."),
            ((403, {"Content-Type": CONTENT_TYPE}, encode(fault_envelope("No."), PREFIXES)),
             "The remote server returned an error: (403)."),
            ((201, {"Content-Type": CONTENT_TYPE}, batch.encode_results([])),
             "The remote server returned an error: (201)."),
            ((400, {}, encode(fault_envelope("No."), PREFIXES)), "The remote server returned an error: (400)."),
            ((400, {"Content-Type": " Application/SOAP+msbin1 ; charset=x"}, encode(fault_envelope("No."), PREFIXES)),
             "No."),
        ],
    )  # fmt: skip
    def test_words(self, service: Service, client: ProvisioningService, reply: Reply, text: str) -> None:
        """Each failure has its words."""
        service.replies = [reply]
        with pytest.raises(TenantError) as caught:
            client.ping()
        assert str(caught.value) == text
        assert caught.value.retry_after == (90.0 if "503" in text else None)

    def test_kept_endpoint(self, service: Service) -> None:
        """Old builds go on calling the endpoint that they were given."""
        port = TenantPort(requests.Session(), "t", provisioning_url=HOME)
        client = ProvisioningService(port, lambda: "", "1", lambda: ID, lambda: NOW, keeps_endpoint=True)
        broken = requests.exceptions.ConnectionError()
        service.replies = [fault(redirect=REGION), broken, ok(batch.encode_results([]))]
        with pytest.raises(TransportError):
            client.ping()
        client.ping()
        assert ([call[0] for call in service.calls], client.endpoint) == ([HOME, REGION, REGION], REGION)

    def test_three_redirects(self, service: Service, client: ProvisioningService) -> None:
        """Three are followed; of a fourth it is said that there were too many."""
        service.replies = [*[fault(redirect=REGION)] * 3, ok(batch.encode_results([])), *[fault(redirect=REGION)] * 4]
        client.ping()
        assert (len(service.calls), client.endpoint) == (4, REGION)
        with pytest.raises(TransportError) as caught:
            client.ping()
        assert str(caught.value) == "The service redirected more than 3 times."

    @pytest.mark.parametrize(
        ("url", "known", "regional"),
        [
            ("https://a.b.c/x", "https://a.b.c/y", True), ("https://d.b.c/x", "https://a.b.c/y", True),
            ("https://a.b.c/x", "https://b.c/y", False), ("https://b.c/x", "https://a.b.c/y", False),
            ("https://x.c/", "https://b.c/y", False), ("https://10.0.0.9/", "https://10.0.0.8/", False),
            ("https://9.0.0.8/", "https://10.0.0.8/", False), ("https://10.0.0.8/", "https://10.0.0.8/", True),
            ("https://9.1/", "https://8.1/", False), ("http://a.b.c/", "https://a.b.c/", False),
            ("https://u@a.b.c/", "https://a.b.c/", False), ("https://A.B.C:1/", "https://a.b.c/", True),
            ("https://[::1/", "https://a.b.c/", False), ("https:///x", "https://a.b.c/", False),
            ("", "https://a.b.c/", False),
        ],
    )  # fmt: skip
    def test_regional(self, url: str, known: str, regional: bool) -> None:
        """A regional endpoint is the same host, or its sibling in a domain of at least two parts."""
        assert is_regional(url, known) is regional


class TestRedirects:
    def test_followed_and_remembered(self, service: Service, client: ProvisioningService) -> None:
        """The call goes to the regional endpoint, and the next one goes there at once."""
        service.replies = [fault(redirect=REGION), ok(batch.encode_results([])), ok(batch.encode_results([]))]
        client.ping()
        client.ping()
        assert [call[0] for call in service.calls] == [HOME, REGION, REGION]
        assert service.calls[1][1].header.to == REGION

    def test_dropped_when_broken(self, service: Service, client: ProvisioningService) -> None:
        """When the regional endpoint can't be reached, the next call goes to the known one again."""
        broken = requests.exceptions.ConnectionError()
        service.replies = [fault(redirect=REGION), broken, ok(batch.encode_results([]))]
        with pytest.raises(TransportError):
            client.ping()
        client.ping()
        assert [call[0] for call in service.calls] == [HOME, REGION, HOME]

    def test_three_at_most(self, service: Service, client: ProvisioningService) -> None:
        """A fourth redirect is not followed."""
        service.replies = [fault(redirect=REGION)] * 9
        with pytest.raises(TransportError, match="more than 3"):
            client.ping()
        assert (len(service.calls), client.endpoint) == (4, HOME)

    @pytest.mark.parametrize(
        "url",
        [
            "http://adminwebservice.microsoftonline.com/x.svc",
            "https://evil.example/x.svc",
            "https://adminwebservice.microsoftonline.com.evil.example/x.svc",
            "https://adminwebservice.microsoftonline.com@evil.example/x.svc",
            "https://a:b@adminwebservice.microsoftonline.com/x.svc",
            "https://[::1/x.svc",
            "x",
        ],
    )
    def test_foreign_endpoint(self, service: Service, client: ProvisioningService, url: str) -> None:
        """The access token is not taken to another domain."""
        service.replies = [fault(redirect=url)]
        with pytest.raises(TransportError, match="not its own"):
            client.ping()
        assert len(service.calls) == 1

    def test_served_on_one_host(self) -> None:
        """A service on localhost may redirect to itself, also at another port."""
        assert is_regional("https://localhost:8444/x.svc", "https://localhost:8443/x.svc")
        assert not is_regional("https://otherhost/x.svc", "https://localhost/x.svc")


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            (None, None),
            ("0", 0.0),
            (" 90 ", 90.0),
            ("Fri, 13 Jan 2017 09:01:30 GMT", 90.0),
            ("Fri, 13 Jan 2017 08:00:00 GMT", 0.0),
            ("9" * 400, 999_999_999.0),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("²", None),
        ],
    )
    def test_forms(self, text: str | None, seconds: float | None) -> None:
        """Seconds or a date; a date that has passed asks for no pause; all else is none."""
        assert read_retry_after(text, NOW) == seconds

    @given(st.text(max_size=60))
    def test_garbage(self, text: str) -> None:
        """Any header is read without an error."""
        seconds = read_retry_after(text, NOW)
        assert seconds is None or seconds >= 0


def test_requests_are_read_by_the_general_reader() -> None:
    """What the client sends is plain [MC-NBFX], not only what the fast reader knows."""
    with responses.RequestsMock() as mock:
        mock.add(responses.POST, HOME, batch.encode_results([]), content_type=CONTENT_TYPE)
        port = TenantPort(requests.Session(), "t", provisioning_url=HOME)
        ProvisioningService(port, lambda: "", "1", lambda: ID, lambda: NOW).send_credentials([item()])
        data = mock.calls[0].request.body
    assert isinstance(data, bytes)
    assert parse_request(decode(data)).operation == "ProvisionCredentials"
    with pytest.raises(BinaryXmlError):
        decode(data[:-1])
