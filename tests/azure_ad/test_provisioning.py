"""The provisioning service: what the sync agent's calls do, and what it is told when they fail."""

from __future__ import annotations

import itertools
from base64 import b64encode
from uuid import UUID

import pytest
import requests
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pwsync.errors import ServiceFault
from pwsync.ports import TenantPort
from pwsync.tenant import batch, binary_xml, company, operations
from pwsync.tenant.messages import (
    CONTENT_TYPE,
    PREFIXES,
    SERVICE,
    CallHeader,
    Redirected,
    SyncObject,
    element,
    parse_request,
    parse_response,
    request_envelope,
)
from pwsync.tenant.provisioning import ProvisioningService
from pwsync.tenant.tokens import TokenSource
from simulator.azure_ad.doubles import TenantDouble
from simulator.azure_ad.provisioning import DECODED, FAULTS, ITEM_RESULTS, REGIONAL_URL, fault_response

URL = "https://adminwebservice.microsoftonline.com/provisioningservice.svc"
SCOPE = "https://graph.windows.net/.default"
GOOD = "Winter-2016!"
TRACKING = UUID("11111111-2222-4333-8444-555555555555")


def encode(tree):
    return binary_xml.encode(tree, PREFIXES)


def read(answer):
    """The operation's result, or the fault raised."""
    assert dict(answer.headers)["Content-Type"] == CONTENT_TYPE
    return parse_response(binary_xml.decode(answer.body))


@pytest.fixture
def access(token, tenant):
    return token(*tenant.sync_account(), SCOPE)


@pytest.fixture
def post(ask):
    def send(data, url=URL, **parts):
        return ask("POST", url, data=data, headers={"Content-Type": CONTENT_TYPE}, **parts)

    return send


@pytest.fixture
def call(post, access):
    """Call an operation: ``call(body, token=..., url=..., environ=...)``."""

    def send(body, *, token=access, operation=None, **parts):
        name = operation or body.tag.rpartition("}")[2]
        header = CallHeader(name, token, "1.1.380.0", TRACKING)
        return post(encode(request_envelope(header, body)), **parts)

    return send


@pytest.fixture
def credentials(call):
    def send(*items, **parts):
        return call(operations.write_credentials(items), **parts)

    return send


class TestCredentials:
    def test_applies(self, tenant, export, item, credentials):
        """A batch is applied in its order, each item with a result of its own."""
        for name in ("alice", "bob"):
            export(tenant, name)
        answer = credentials(item("bob", GOOD), item("nobody", GOOD), item("alice", "Spring-2017!"))
        results = operations.read_credentials_result(read(answer))
        assert [(result.source_anchor, result.result) for result in results] == [
            ("bob==", 0),
            ("nobody==", 2),
            ("alice==", 0),
        ]
        assert tenant.sign_in("alice@contoso.example", "Spring-2017!").result == "ok"
        ids = [tenant.find_by_anchor("bob==").id, tenant.find_by_anchor("alice==").id]
        assert [write.user_id for write in tenant.writes] == ids

    def test_ping(self, tenant, credentials, clock):
        """A call without items is the heartbeat."""
        assert operations.read_credentials_result(read(credentials())) == []
        assert tenant.last_ping == clock()

    def test_batch_is_contact(self, tenant, export, item, credentials, clock):
        """A batch is contact, but no ping."""
        credentials(item("nobody", GOOD))
        assert (tenant.last_contact, tenant.last_ping) == (clock(), None)

    def test_fifty(self, tenant, export, item, credentials):
        """50 items are taken; 51 are refused as a whole."""
        export(tenant, "alice")
        one = item("alice", GOOD)
        with pytest.raises(ServiceFault, match="50"):
            read(credentials(*[one] * 51))
        assert (tenant.writes, tenant.last_contact) == ([], None)
        assert len(operations.read_credentials_result(read(credentials(*[one] * 50)))) == 50

    def test_feature_off(self, tenant, export, item, credentials):
        """With the feature off pings and batches fail with error 90 and are no contact."""
        export(tenant, "alice")
        tenant.set_feature("password-sync", False)
        for items in ([], [item("alice", GOOD)]):
            with pytest.raises(ServiceFault, match="has not been activated") as caught:
                read(credentials(*items))
            assert (caught.value.code, caught.value.tracking_id) == (90, str(TRACKING))
        assert (tenant.writes, tenant.last_contact) == ([], None)

    def test_malformed_item(self, tenant, export, item, credentials):
        """An item that can't be read fails alone, and says why."""
        for name in ("alice", "bob"):
            export(tenant, name)
        answer = credentials(item("alice", GOOD)._replace(credential="AT&T <plain>"), item("bob", GOOD))
        first, second = operations.read_credentials_result(read(answer))
        assert first.result not in (0, 2)
        assert first.error
        assert second.result == 0
        assert tenant.find_by_anchor("alice==").credential is None

    def test_injected_results(self, tenant, export, item, credentials):
        """The world may have items fail: they answer what it says and are not applied."""
        for name in ("alice", "bob"):
            export(tenant, name)
        answer = credentials(item("alice", GOOD), item("bob", GOOD), environ={ITEM_RESULTS: {"alice==": 2}})
        assert [result.result for result in operations.read_credentials_result(read(answer))] == [2, 0]
        assert tenant.find_by_anchor("alice==").credential is None

    def test_order_of_mixed_shapes(self, tenant, item, credentials):
        """Items are applied in their order, those of an unusual shape too."""
        anchors = [b64encode(bytes([number]) * 16).decode() for number in range(6)]
        for number, anchor in enumerate(anchors):
            tenant.apply_object(SyncObject(anchor, attributes={"userPrincipalName": f"u{number}@contoso.example"}))
        ids = [tenant.find_by_anchor(anchor).id for anchor in anchors]
        items = [
            item("", GOOD, source_anchor=anchor, legacy="AAAA" if number in (2, 4) else None)
            for number, anchor in enumerate(anchors)
        ]
        results = operations.read_credentials_result(read(credentials(*items)))
        assert [result.source_anchor for result in results] == anchors
        assert [write.user_id for write in tenant.writes] == ids

    def test_read_before(self, tenant, export, item, post, access):
        """A request that was read on its way is taken as it is, whole or with its items apart."""
        export(tenant, "alice")
        header = CallHeader("ProvisionCredentials", access, "1.1.380.0", TRACKING)
        data = encode(request_envelope(header, operations.write_credentials([item("alice", GOOD)])))
        for ready in (parse_request(binary_xml.decode(data)), batch.decode_request(data), None):
            assert post(data, environ={DECODED: ready}).status == 200
        assert len(tenant.writes) == 3

    def test_regional_endpoint(self, tenant, credentials):
        """The regional endpoint serves the same tenant."""
        assert credentials(url=REGIONAL_URL).status == 200


class TestAgentsClient:
    """The agent's own client against the service."""

    @pytest.fixture
    def service(self, tenant, application, clock):
        with TenantDouble(application), freeze_time(clock()), requests.Session() as session:
            port = TenantPort(session, tenant.tenant_id)
            source = TokenSource(port, *tenant.sync_account(), clock)
            identifiers = map(UUID, map("{:032x}".format, itertools.count(1)))
            yield ProvisioningService(port, source.token, "1.1.380.0", lambda: next(identifiers), clock)

    @pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning")
    def test_whole_story(self, tenant, service, item):
        """Configuration, objects, credentials and a ping, signed in by MSAL."""
        assert service.company_configuration().tenant_id == tenant.tenant_id
        attributes = {"userPrincipalName": "alice@contoso.example", "displayName": "alice", "accountEnabled": True}
        assert service.send_objects([SyncObject("alice==", attributes=attributes)])[0].code == "Success"
        service.finalize_export(1, 1)
        results = service.send_credentials([item("alice", GOOD), item("nobody", GOOD)])
        assert [result.result for result in results] == [0, 2]
        service.ping()
        assert tenant.last_ping is not None
        assert tenant.sign_in("alice@contoso.example", GOOD).result == "ok"

    @pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning")
    def test_faults(self, tenant, service, item):
        """Faults reach the agent with their numbers."""
        service.set_features(0)
        with pytest.raises(ServiceFault) as caught:
            service.ping()
        assert caught.value.code == 90


class TestToken:
    def test_refused(self, tenant, export, item, credentials, token, access, later):
        """No token, a forged, a user's, Graph's, and an expired one are denied; nothing is applied."""
        export(tenant, "alice")
        bob = tenant.create_user("bob", GOOD)
        head, body, signature = access.split(".")
        bad = [
            "",
            "forged",
            f"{head}.{body}.{signature[:-8]}AAAAAAAA",
            token(bob.upn, GOOD, SCOPE),
            token(*tenant.sync_account(), "https://graph.microsoft.com/.default"),
        ]
        for refused in bad:
            with pytest.raises(ServiceFault, match="denied"):
                read(credentials(item("alice", GOOD), token=refused))
        later(hours=1)
        with pytest.raises(ServiceFault, match="denied"):
            read(credentials(item("alice", GOOD)))
        assert (len(tenant.writes), tenant.last_contact) == (1, None)

    def test_administrator(self, tenant, credentials, token):
        """An administrator may call the service too."""
        assert credentials(token=token(*tenant.admin_account(), SCOPE)).status == 200


class TestObjects:
    def test_exports(self, tenant, call, synchronize):
        """Objects are set and deleted, each with a result."""
        user = synchronize(tenant, "old", GOOD)
        attributes = {"userPrincipalName": "at&t@contoso.example", "displayName": "AT&T", "accountEnabled": True}
        objects = [SyncObject("new==", attributes=attributes), SyncObject("old==", operation="Delete")]
        results = operations.read_objects_result(read(call(operations.write_objects(objects))))
        assert [(result.source_anchor, result.code) for result in results] == [
            ("new==", "Success"),
            ("old==", "Success"),
        ]
        assert tenant.find_by_upn("at&t@contoso.example").display_name == "AT&T"
        assert tenant.find_by_upn(user.upn) is None

    def test_second_version(self, tenant, call):
        """ProvisionAzureADSyncObjects2 answers under its own name."""
        body = operations.write_objects([SyncObject("a==", attributes={"userPrincipalName": "a@contoso.example"})])
        body.tag = f"{{{SERVICE}}}ProvisionAzureADSyncObjects2"
        result = read(call(body))
        assert result.tag.endswith("}ProvisionAzureADSyncObjects2Response")
        assert result[0].tag.endswith("}ProvisionAzureADSyncObjects2Result")
        assert tenant.find_by_anchor("a==") is not None


class TestCompany:
    def test_configuration(self, tenant, call, export):
        """The company tells its id, its features and how many objects it has."""
        export(tenant, "alice")
        body = company.write_call("GetCompanyConfiguration", includeLicenseInformation=False)
        found = company.read_company_configuration(read(call(body)))
        assert (found.tenant_id, found.is_password_syncing, found.total_connector_space_objects) == (
            tenant.tenant_id,
            True,
            1,
        )
        assert found.dirsync_features & 1

    def test_features(self, tenant, call):
        """The agent's wizard switches features by their bits; bits without effect here are kept."""
        read(call(company.write_call("SetCompanyDirsyncFeatures", dirsyncFeatures=16384 + 4)))
        assert tenant.features == {"force-password-change-on-logon"}
        body = company.write_call("GetCompanyConfiguration", includeLicenseInformation=False)
        found = company.read_company_configuration(read(call(body)))
        assert (found.dirsync_features, found.is_password_syncing) == (16384 + 4, False)

    @pytest.mark.parametrize("bits", ["", "x", "9" * 100, "1.5", None])
    def test_bad_features(self, tenant, call, bits):
        """Features that are no number change nothing."""
        assert call(company.write_call("SetCompanyDirsyncFeatures", dirsyncFeatures=bits)).status == 400
        assert tenant.features == {"password-sync"}

    def test_small_operations(self, call):
        """FinalizeExport, Capabilities and the Domain Services question have answers."""
        read(call(company.write_call("FinalizeExport", totalExported=3, successfulExportCount=3)))
        read(call(company.write_call("Capabilities")))
        found = read(call(company.write_call("GetWindowsCredentialsSyncConfig")))
        assert "false" in [child.text for child in found[0]]


class TestNotUnderstood:
    def test_operation(self, call):
        """An unknown operation is a fault that names those known."""
        with pytest.raises(ServiceFault, match=r"'GetNothing'.*ProvisionCredentials"):
            read(call(element(SERVICE, "GetNothing")))
        with pytest.raises(ServiceFault, match=r"The nearest is GetCompanyConfiguration\."):
            read(call(element(SERVICE, "GetCompanyConfig")))

    def test_body_of_another(self, call, tenant):
        """A body that is not the action's is refused."""
        answer = call(operations.write_credentials([]), operation="FinalizeExport")
        assert answer.status == 400
        assert tenant.last_ping is None

    def test_method_path_and_type(self, ask):
        """Another method, path or content type is a fault that says what is known."""
        for method, url, headers, status, words in (
            ("GET", URL, {}, 405, "only takes POST, not 'GET'.*ProvisionCredentials"),
            ("POST", URL + "/other", {}, 404, "nothing at '/provisioningservice.svc/other'.*ProvisionCredentials"),
            ("POST", URL, {"Content-Type": "text/xml"}, 415, "'text/xml' was not the expected type"),
        ):
            answer = ask(method, url, data=b"x", headers=headers)
            assert answer.status == status
            with pytest.raises(ServiceFault, match=words):
                read(answer)

    @pytest.mark.parametrize("data", [b"", b"\x00", b"<xml/>", b"\xff" * 100_000, b"\x40" * 500, b"\x40\x01a" * 5000])
    def test_garbled(self, post, tenant, data):
        """Garbled bytes are a fault."""
        with pytest.raises(ServiceFault, match="could not be read"):
            read(post(data))

    def test_every_cut(self, tenant, export, item, access, post):
        """A request cut off anywhere is a fault and applies nothing."""
        export(tenant, "alice")
        header = CallHeader("ProvisionCredentials", access, "1.1.380.0", TRACKING)
        whole = encode(request_envelope(header, operations.write_credentials([item("alice", GOOD)])))
        for length in range(0, len(whole) - 1, 7):
            assert post(whole[:length]).status == 400
        assert tenant.writes == []
        assert post(whole).status == 200

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_every_flip(self, tenant, export, item, access, post, data):
        """A request with bytes changed is answered, never with a traceback."""
        export(tenant, "alice")
        header = CallHeader("ProvisionCredentials", access, "1.1.380.0", TRACKING)
        whole = bytearray(encode(request_envelope(header, operations.write_credentials([item("alice", GOOD)]))))
        for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
            whole[position] = data.draw(st.integers(0, 255))
        assert post(bytes(whole)).status in (200, 400, 500)


class TestInjectedFaults:
    @pytest.mark.parametrize(
        ("kind", "code", "words"), [("81", 81, "busy"), ("90", 90, "activated"), ("denied", None, "denied")]
    )
    def test_faults(self, kind, code, words):
        """A fault for the world to answer with, as the service would."""
        answer = fault_response(kind, tracking_id="abc")
        assert answer.status == 500
        with pytest.raises(ServiceFault, match=words) as caught:
            read(answer)
        assert (caught.value.code, caught.value.tracking_id) == (code, "abc")

    def test_redirect(self):
        """A redirect names the regional endpoint."""
        with pytest.raises(Redirected) as caught:
            read(fault_response("redirect"))
        assert caught.value.url == REGIONAL_URL

    def test_unknown(self):
        """There are those of the scenario format, and those of the tenant's own conditions."""
        assert set(FAULTS) == {"81", "90", "denied", "redirect", "not-activated", "old-build", "deletions"}
        with pytest.raises(KeyError):
            fault_response("91")
