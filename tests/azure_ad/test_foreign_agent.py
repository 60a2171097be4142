"""An agent that is not ours works with the provisioning service unchanged: another codec, other habits."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from azure_ad.foreign_agent import CONTENT_TYPE, URL, Fault, ForeignAgent, properties, several

from pwsync.credential import nt_hash, protect
from simulator.azure_ad import read_back
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.wire import Answer

SCOPE = "https://graph.windows.net/.default"
ALICE = {"userPrincipalName": "alice@contoso.example", "displayName": "AT&T <Alice>", "accountEnabled": True}
BLOB = protect(nt_hash("Winter-2016!"), b"0123456789")
SID = bytes.fromhex("010500000000000515000000010000000200000003000000f4010000")
ADDRESSES = ["SMTP:alice@contoso.example", "smtp:al@contoso.example"]


@pytest.fixture(params=[False, True], ids=["literal", "dictionary"])
def agent(request: pytest.FixtureRequest, ask: Callable[..., Answer], tenant: Tenant, token: Any) -> ForeignAgent:
    def post(data: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        answer = ask("POST", URL, data=data, headers=headers)
        assert dict(answer.headers)["Content-Type"] == CONTENT_TYPE
        return answer.status, answer.body

    return ForeignAgent(post, token(*tenant.sync_account(), SCOPE), compact=request.param)


class TestObjects:
    def test_user(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """A user is made with everything such agents send, and the result has the keys that they read."""
        result = agent.set_object(
            SourceAnchor="alice==",
            **ALICE,
            countryCode=0,
            onPremiseSecurityIdentifier=("base64Binary", b64encode(SID).decode()),
            proxyAddresses=ADDRESSES,
            usageLocation="US",
        )
        assert (result["b:ResultCode"], result["b:SourceAnchor"]) == ("Success", "alice==")
        assert result["b:ResultErrorDescription"] == {"@i:nil": "true"}
        user = tenant.find_by_anchor("alice==")
        assert user is not None
        assert (user.display_name, user.detail("onPremisesSecurityIdentifier")) == (
            "AT&T <Alice>",
            "S-1-5-21-1-2-3-500",
        )

    @pytest.mark.parametrize("version", ["", "2"])
    def test_change_and_delete(self, agent: ForeignAgent, tenant: Tenant, version: str) -> None:
        """Add makes, Set changes what it names, nil takes away, Delete deletes; by either anchor."""
        agent.set_object(operation="Add", version=version, SourceAnchor="alice==", givenName="Al", **ALICE)
        user = tenant.find_by_anchor("alice==")
        assert user is not None
        agent.set_object(version=version, CloudAnchor=f"User_{user.id}", givenName=None)
        assert (user.detail("givenName"), user.display_name) == (None, "AT&T <Alice>")
        result = agent.set_object(operation="Delete", version=version, CloudAnchor=f"User_{user.id}")
        assert result["b:ResultCode"] == "Success"
        assert tenant.find_by_anchor("alice==") is None

    @pytest.mark.parametrize("kind", ["Group", "Contact", "Device"])
    def test_other_kinds(self, agent: ForeignAgent, tenant: Tenant, kind: str) -> None:
        """Groups, contacts and devices are taken, read back, and deleted for good."""
        result = agent.set_object(kind, SourceAnchor="g==", displayName="All", member=["alice==", "bob=="])
        assert result["b:ResultCode"] == "Success"
        (found,) = several(agent.objects()["b:ResultObjects"]["b:AzureADSyncObject"])
        assert (found["b:SyncObjectType"], properties(found)["displayName"]) == (kind, "All")
        agent.set_object(kind, "Delete", SourceAnchor="g==")
        assert agent.objects()["b:ResultObjects"] is None

    def test_failure(self, agent: ForeignAgent) -> None:
        """An object that can't be written fails alone, with code and description."""
        result = agent.set_object(SourceAnchor="x==", displayName="Nobody")
        assert result["b:ResultCode"] == "Failure"
        assert result["b:ResultErrorCode"] == "IdentityDataValidationFailed"
        assert "userPrincipalName" in result["b:ResultErrorDescription"]

    def test_cloud_user(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """A user of the cloud gets a source anchor by its cloud anchor, once."""
        user = tenant.create_user("bob", "Winter-2016!")
        assert agent.set_object(SourceAnchor="bob==", CloudAnchor=f"User_{user.id}")["b:ResultCode"] == "Success"
        assert (user.source_anchor, tenant.find_by_anchor("bob==")) == ("bob==", user)
        again = agent.set_object(SourceAnchor="other==", CloudAnchor=f"User_{user.id}")
        assert (again["b:ResultCode"], user.source_anchor) == ("Failure", "bob==")


class TestPasswords:
    def test_by_both_anchors(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """A credential arrives by source anchor or by cloud anchor; the anchor that was not told comes back as nil."""
        agent.set_object(SourceAnchor="alice==", **ALICE)
        user = tenant.find_by_anchor("alice==")
        assert user is not None
        first = agent.set_password(BLOB, source="alice==")
        assert (first["b:Result"], first["b:CloudAnchor"]) == ("0", {"@i:nil": "true"})
        second = agent.set_password(BLOB, cloud=f"User_{user.id}")
        assert (second["b:Result"], second["b:CloudAnchor"]) == ("0", f"User_{user.id}")
        assert tenant.sign_in(user.upn, "Winter-2016!").result == "ok"

    def test_failures(self, agent: ForeignAgent) -> None:
        """An unknown anchor is result 2; a garbled credential another one, with a text."""
        assert agent.set_password(BLOB, source="nobody==")["b:Result"] == "2"
        agent.set_object(SourceAnchor="alice==", **ALICE)
        garbled = agent.set_password("v1;PPH1_MD4,<&>", source="alice==")
        assert garbled["b:Result"] not in ("0", "2")
        assert garbled["b:ExtendedErrorInformation"]

    def test_off(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """A fault's reason is where such clients look for it, with its language."""
        tenant.set_feature("password-sync", False)
        with pytest.raises(Fault, match="has not been activated"):
            agent.set_password(BLOB, source="alice==")
        assert agent.status == 500


class TestReadBack:
    def test_all(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """Everything is read back with anchors, types, and what other agents have told."""
        agent.set_object(SourceAnchor="alice==", proxyAddresses=ADDRESSES, usageLocation="US", **ALICE)
        user = tenant.find_by_anchor("alice==")
        assert user is not None
        agent.set_password(BLOB, source="alice==")
        (found,) = several(agent.objects()["b:ResultObjects"]["b:AzureADSyncObject"])
        told = properties(found)
        assert (found["b:SyncObjectType"], found["b:SyncOperation"]) == ("User", "Set")
        assert (told["SourceAnchor"], told["CloudAnchor"]) == ("alice==", f"User_{user.id}")
        assert (told["UserPrincipalName"], told["usageLocation"], told["DisplayName"]) == (
            "alice@contoso.example", "US", "AT&T <Alice>",
        )  # fmt: skip
        assert told["LastPasswordChangeTimestamp"] == "20170113085958.0Z"

    def test_changes(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """With a cookie only what changed since comes, deletions too; a full read with it leaves those out."""
        for name in ("alice", "bob", "carol"):
            agent.set_object(SourceAnchor=f"{name}==", userPrincipalName=f"{name}@contoso.example")
        cookie = agent.objects(full=False)["b:Cookie"]
        assert agent.objects(full=False, cookie=cookie)["b:ResultObjects"] is None
        agent.set_object(operation="Delete", SourceAnchor="alice==")
        agent.set_object(SourceAnchor="bob==", displayName="Bob")
        tenant.set_user(tenant.find_by_anchor("carol=="), enabled=False)
        found = several(agent.objects(full=False, cookie=cookie)["b:ResultObjects"]["b:AzureADSyncObject"])
        assert [(properties(each)["SourceAnchor"], each["b:SyncOperation"]) for each in found] == [
            ("alice==", "Delete"), ("bob==", "Set"), ("carol==", "Set"),
        ]  # fmt: skip
        full = several(agent.objects(full=True, cookie=cookie)["b:ResultObjects"]["b:AzureADSyncObject"])
        assert [properties(each)["SourceAnchor"] for each in full] == ["bob==", "carol=="]

    def test_pages(self, agent: ForeignAgent, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long answer comes in pages, each object once."""
        monkeypatch.setattr(read_back, "PAGE_SIZE", 2)
        for number in range(5):
            agent.set_object(SourceAnchor=f"{number}==", userPrincipalName=f"u{number}@contoso.example")
        seen, cookie, more = [], None, "true"
        while more == "true":
            page = agent.objects(cookie=cookie)
            cookie, more = page["b:Cookie"], page["b:More"]
            seen += [
                properties(each)["SourceAnchor"] for each in several(page["b:ResultObjects"]["b:AzureADSyncObject"])
            ]
        assert seen == [f"{number}==" for number in range(5)]

    def test_another_tenants_cookie(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """A cookie that another tenant has given is none of this one's."""
        cookie = json.loads(b64decode(agent.objects()["b:Cookie"]))
        assert cookie["tenant"] == tenant.tenant_id
        bent = b64encode(json.dumps(cookie | {"tenant": "another"}).encode()).decode()
        with pytest.raises(Fault, match="cookie"):
            agent.objects(cookie=bent)

    @pytest.mark.parametrize("cookie", ["x", "e30=", b64encode(b'{"change":-1}').decode(), "A" * 5000, "[[[["])
    def test_cookies(self, agent: ForeignAgent, cookie: str) -> None:
        """What is no cookie of this tenant is refused."""
        with pytest.raises(Fault, match="cookie"):
            agent.objects(cookie=cookie)


class TestCompany:
    def test_configuration(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """The configuration has every key that such clients read, and the features that they set."""
        agent.call("SetCompanyDirsyncFeatures", "<dirsyncFeatures>41017</dirsyncFeatures>")
        found = agent.call("GetCompanyConfiguration", "<includeLicenseInformation>false</includeLicenseInformation>")
        settings = found["b:DirSyncConfiguration"]
        guard = settings["b:PreventAccidentalDeletion"]
        assert (found["b:DirSyncFeatures"], found["b:TenantId"]) == ("41017", tenant.tenant_id)
        assert (guard["b:DeletionPrevention"], guard["b:ThresholdCount"]) == ("EnabledForCount", "500")
        assert settings["b:Writeback"]["b:UnifiedGroupContainer"] == {"@i:nil": "true"}
        for key in ("AllowedFeatures", "DisplayName", "IsDirSyncing", "IsPasswordSyncing", "SynchronizationInterval"):
            assert f"b:{key}" in found
        assert found["b:MaxLinksSupportedAcrossBatchInProvision2"] == "15000"

    @pytest.mark.parametrize("bits", ["-1", "2147483648", "x", ""])
    def test_features(self, agent: ForeignAgent, tenant: Tenant, bits: str) -> None:
        """What is no sum of features changes none."""
        before = (set(tenant.features), tenant.other_features)
        with pytest.raises(Fault):
            agent.call("SetCompanyDirsyncFeatures", f"<dirsyncFeatures>{bits}</dirsyncFeatures>")
        assert (tenant.features, tenant.other_features) == before

    def test_capabilities(self, agent: ForeignAgent) -> None:
        """The result is a document as text, in which the oldest and the latest build stand."""
        found = ElementTree.fromstring(agent.call("Capabilities"))
        assert found.findtext(".//MinimumProductVersion") == "1.0"
        assert found.findtext(".//LatestProductVersion") == "1.1.380.0"

    def test_service_account(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """A synchronization account is made; asked for again it has another password."""
        first = agent.call("GetServiceAccount", "<identifier>Sync_SRV2</identifier>")
        assert tenant.sign_in(first["b:UserName"], first["b:Password"]).result == "ok"
        second = agent.call("GetServiceAccount", "<identifier>Sync_SRV2</identifier>")
        assert first["b:UserName"] == second["b:UserName"]
        assert tenant.sign_in(first["b:UserName"], first["b:Password"]).result == "wrong-password"
        for name in ("admin", "", "a b", "x" * 70):
            with pytest.raises(Fault):
                agent.call("GetServiceAccount", f"<identifier>{name}</identifier>")
        assert tenant.writes == []

    def test_the_rest(self, agent: ForeignAgent, tenant: Tenant, clock: Any) -> None:
        """An export is finished and noted; nobody monitors the tenant; secrets are not wanted."""
        counts = "<totalExported>3</totalExported><successfulExportCount>2</successfulExportCount>"
        agent.call("FinalizeExport", counts)
        assert tenant.synchronization.last_export == (clock(), 3, 2)
        assert agent.call("GetMonitoringTenantCertificate")["@i:nil"] == "true"
        wanted = agent.call("GetWindowsCredentialsSyncConfig")
        assert (wanted["b:EnableWindowsLegacyCredentials"], wanted["b:EnableWindowsSupplementaCredentials"]) == (
            "false", "false",
        )  # fmt: skip


class TestConditions:
    def test_not_activated(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """Without synchronization every call is refused, and nothing is applied."""
        tenant.synchronization.enabled = False
        with pytest.raises(Fault, match="not yet activated"):
            agent.set_object(SourceAnchor="alice==", **ALICE)
        assert tenant.find_by_anchor("alice==") is None

    @pytest.mark.parametrize("build", ["1.1.370.0", "1", "", "x", "2.x", "9" * 50])
    def test_old_builds(self, agent: ForeignAgent, tenant: Tenant, build: str) -> None:
        """An older build than the tenant takes, or one that can't be read, is refused."""
        tenant.synchronization.minimum_build = (1, 1, 380)
        agent.build = build
        with pytest.raises(Fault, match="no longer supported"):
            agent.call("Capabilities")
        agent.build = "1.1.380.0"
        agent.call("Capabilities")

    def test_throttle(self, agent: ForeignAgent, tenant: Tenant, later: Callable[..., None]) -> None:
        """Seven thousand writes in five minutes and no more: then the service is busy, and free again with time."""
        tenant.synchronization.throttle(3)
        for name in ("alice", "bob"):
            agent.set_object(SourceAnchor=f"{name}==", userPrincipalName=f"{name}@contoso.example")
        later(minutes=4)
        agent.set_password(BLOB, source="alice==")
        with pytest.raises(Fault, match="busy"):
            agent.set_password(BLOB, source="bob==")
        assert len(tenant.writes) == 1
        later(minutes=1)
        assert agent.set_password(BLOB, source="bob==")["b:Result"] == "0"
        tenant.synchronization.throttle(None)
        later(seconds=0)
        for _ in range(5):
            agent.set_password(BLOB, source="bob==")

    def test_default_throttle(self, tenant: Tenant) -> None:
        """The product's own figure is the default, and counts calls as a whole."""
        conditions = tenant.synchronization
        conditions.throttle()
        for _ in range(140):
            conditions.count_writes(50)
        with pytest.raises(Exception, match="more than 7000 writes in 0:05:00"):
            conditions.count_writes(1)

    def test_deletions(self, agent: ForeignAgent, tenant: Tenant) -> None:
        """A call with more deletions than the threshold is refused as a whole; without it it is not."""
        tenant.synchronization.deletions_max = 0
        agent.set_object(SourceAnchor="alice==", **ALICE)
        with pytest.raises(Fault, match="prevention of accidental deletes"):
            agent.set_object(operation="Delete", SourceAnchor="alice==")
        assert tenant.find_by_anchor("alice==") is not None
        tenant.synchronization.deletions_max = None
        agent.set_object(operation="Delete", SourceAnchor="alice==")
        assert tenant.find_by_anchor("alice==") is None

    def test_restore(self, agent: ForeignAgent, tenant: Tenant, later: Callable[..., None], token: Any) -> None:
        """Within thirty days an anchor brings its user back with the password; afterwards a new one is made."""
        agent.set_object(SourceAnchor="alice==", **ALICE)
        agent.set_password(BLOB, source="alice==")
        user = tenant.find_by_anchor("alice==")
        assert user is not None
        for days, same in ((29, True), (30, False)):
            agent.set_object(operation="Delete", SourceAnchor="alice==")
            later(days=days)
            agent.token = token(*tenant.sync_account(), SCOPE)
            agent.set_object(SourceAnchor="alice==", **ALICE)
            found = tenant.find_by_anchor("alice==")
            assert found is not None
            assert (found is user, found.credential == BLOB) == (same, same)
