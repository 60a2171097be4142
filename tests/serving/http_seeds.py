"""Requests to every HTTP surface of a served world, well formed.

Routes come from the tables that dispatch, so that a new one is fuzzed as soon as it is there. Bodies are made per kind
of content.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from serving.http_bending import FORM, HOSTILE, JSON, MSBIN, SOAP, Ask, random_query

from pwsync.credential import nt_hash, protect
from pwsync.tenant import binary_xml, company, operations
from pwsync.tenant.messages import PREFIXES, SERVICE, CallHeader, CredentialItem, SyncObject, element, request_envelope
from simulator.azure_ad.grants import GRANTS
from simulator.azure_ad.graph import ROUTES as GRAPH
from simulator.azure_ad.login import ROUTES as LOGIN
from simulator.azure_ad.permissions import DELEGATED
from simulator.azure_ad.provisioning import OPERATIONS
from simulator.azure_ad.routes import Routes
from simulator.azure_ad.tokens import TokenIssuer
from simulator.federation.http import ROUTES as FEDERATION
from simulator.scenario.model import ACTIONS
from simulator.serving.control import ROUTES as CONTROL
from simulator.wires import CloudWire
from simulator.world import World

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-"
TRUST_13 = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
LIFE = timedelta(minutes=10)
ADMIN_HOST = "adminwebservice.microsoftonline.com"
ATTRIBUTES = ("mail", "proxyAddresses", "displayName", "accountEnabled", "onPremiseSecurityIdentifier", "givenName",
              "usageLocation", "ProxyAddresses", "member", "userPrincipalName", "")  # fmt: skip
SENT = (None, True, False, 0, -1, "", "x@contoso.example", "SMTP:x@contoso.example", b"", b"\x01\x05",
        "\U0001f600", "\x01",
        ["SMTP:x@contoso.example", "smtp:y"], [], ["x"] * 50, "x" * 4000, "<&>", "true")  # fmt: skip
CLIENT = "14d82eec-204b-4c2f-b7e8-296a70dab67e"


class Seeds:
    """Makes requests for one world."""

    def __init__(self, world: World, other: TokenIssuer, random: Random) -> None:
        self.world, self.random, self.hosts = world, random, CloudWire(world).hosts
        self._other = other
        self._made: datetime | None = None
        self.tokens: dict[tuple[str, str], str] = {}
        self.refresh_token = ""
        users = list(world.tenant.users)
        self.people = [each.upn for each in users] + [each.id for each in users]
        self.anchors = [each.source_anchor or "" for each in users] + ["bm9ib2R5PT0=", ""]

    def _make_tokens(self) -> dict[tuple[str, str], str]:
        tenant, issuer = self.world.tenant, self.world.application.issuer
        found: dict[tuple[str, str], str] = {}
        admin = tenant.find_by_upn(tenant.admin_account()[0])
        sync = tenant.find_by_upn(tenant.sync_account()[0])
        user = next((each for each in tenant.users if each.role is None), None)
        if admin is None or sync is None or user is None:
            return self.tokens  # a request has deleted them
        for resource in ("https://graph.microsoft.com", "https://graph.windows.net"):
            for kind, whose in (("admin", admin), ("sync", sync), ("user", user)):
                session = tenant.open_session(whose, CLIENT)
                found[kind, resource] = issuer.access_token(whose, session, resource, " ".join(sorted(DELEGATED)))
            session = tenant.open_session(admin, CLIENT)
            self.refresh_token = session.refresh_token
            found["other-tenant", resource] = self._other.access_token(
                admin, session, resource, "Directory.ReadWrite.All"
            )
        return found

    def token(self, resource: str) -> tuple[str, str]:
        """A token and its kind: mostly a good one."""
        kind = self.random.choice(["admin"] * 8 + ["sync", "sync", "user", "other-tenant", "forged", "none"])
        if kind == "none":
            return "", kind
        if kind != "forged":
            return self.tokens[kind, resource], kind
        head, body, signature = self.tokens["admin", resource].split(".")
        at = self.random.randrange(8, len(signature) - 8)
        bent = signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1 :]
        none = "eyJhbGciOiJub25lIn0"
        return self.random.choice([f"{head}.{body}.{bent}", f"{none}.{body}.", f"{head}.{body}", "x" * 20_000]), kind

    def make(self) -> Ask:
        """A request as it should be, but for the values that stand for a user or an operation."""
        if self._made != self.world.clock():
            self._made, self.tokens = self.world.clock(), self._make_tokens()
        return self.random.choice(
            (
                self._graph,
                self._graph,
                self._graph,
                self._login,
                self._login,
                self._provisioning,
                self._provisioning,
                self._federation,
                self._control,
                self._replication,
            )
        )()

    def _route(self, routes: Routes, values: Callable[[str], str]) -> tuple[str, str]:
        route = self.random.choice(list(routes))
        parts = [values(part[1:-1]) if part.startswith("{") else part for part in route.path.split("/")]
        return route.method, "/".join(parts)

    def _value(self, name: str) -> str:
        random, tenant = self.random, self.world.tenant
        if random.random() < 0.1:
            return quote(str(random.choice(HOSTILE))[:200], errors="replace")
        if name in ("tenant", "id"):
            return random.choice(
                [tenant.tenant_id, "organizations", "common", tenant.tenant_domain, random.choice(self.people)]
            )
        if name == "domain":
            return random.choice([tenant.tenant_domain, "contoso.example", "fabrikam.example"])
        if name == "method":
            return "28c10230-6103-485e-b985-444c60001490"
        return quote(random.choice(self.people))

    def _graph(self) -> Ask:
        method, path = self._route(GRAPH, self._value)
        token, kind = self.token("https://graph.microsoft.com")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": JSON}
        body = b"" if method in ("GET", "DELETE") else self._json(self._graph_body(path))
        return Ask(method, GRAPH.host, path, random_query(self.random), headers, body, kind)

    def _graph_body(self, path: str) -> Any:
        random = self.random
        if path.endswith("$batch"):
            inner = [
                {"id": str(number), "method": "GET", "url": random.choice(["/me", "/users", "/users/x", "/$batch"])}
                for number in range(random.randrange(1, 25))
            ]
            return {"requests": inner}
        password = random.choice(["Winter-2016!", "weak", "P\u00e4ss-2016!", "x" * 300, "Sommer-2019?x"])
        profile = {"password": password, "forceChangePasswordNextSignIn": random.random() < 0.5}
        whole = {
            "accountEnabled": True,
            "displayName": "New",
            "mailNickname": "new",
            "passwordProfile": profile,
            "userPrincipalName": f"n{random.randrange(50)}@{self.world.tenant.tenant_domain}",
            "passwordPolicies": "DisablePasswordExpiration",
            "newPassword": password,
            "currentPassword": "Winter-2016!",
            "features": {"passwordSyncEnabled": True},
            "onPremisesSyncEnabled": True,
            "passwordValidityPeriodInDays": 90,
            "passwordNotificationWindowInDays": 14,
        }
        if path.rstrip("/").endswith("users"):
            keys = ["accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName"]
        elif path.endswith("changePassword"):
            keys = ["newPassword", "currentPassword"]
        else:
            keys = random.sample(list(whole), random.randrange(1, 3))
        return {key: whole[key] for key in keys}

    def _login(self) -> Ask:
        method, path = self._route(LOGIN, self._value)
        random = self.random
        form = {
            "grant_type": random.choice(list(GRANTS)),
            "client_id": CLIENT,
            "username": random.choice(self.people),
            "password": random.choice(["Winter-2016!", "wrong", ""]),
            "scope": "https://graph.microsoft.com/.default openid",
            "resource": "https://graph.windows.net",
            "refresh_token": random.choice([self.refresh_token, "x"]),
            "client_secret": "x",
            "device_code": "x",
            "assertion": "PHg-",
            "user_code": "ABCDEFGHI",
            "client_info": "1",
        }
        body = b"" if method == "GET" else urlencode(form, errors="replace").encode()
        return Ask(method, LOGIN.host, path, random_query(self.random), {"Content-Type": FORM}, body)

    def _provisioning(self) -> Ask:
        random = self.random
        token, kind = self.token("https://graph.windows.net")
        name = random.choice(list(OPERATIONS))
        header = CallHeader(
            name, token, random.choice(["2.4.131.0"] * 5 + ["0.1", "", "x"]), UUID(int=random.getrandbits(128))
        )
        data = binary_xml.encode(request_envelope(header, self._body_of(name)), PREFIXES)
        return Ask("POST", ADMIN_HOST, "/provisioningservice.svc", "", {"Content-Type": MSBIN}, data, kind)

    def _body_of(self, name: str) -> Any:
        random = self.random
        if name == "ProvisionCredentials":
            blob = random.choice([protect(nt_hash("Winter-2016!"), b"0123456789"), "v1;", "\u20ac"])
            when = self.world.clock()
            return operations.write_credentials(
                [CredentialItem(random.choice(self.anchors), None, blob, when) for _ in range(random.randrange(4))]
            )
        if name.startswith("ProvisionAzureADSyncObjects"):
            objects = [
                SyncObject(
                    random.choice(self.anchors),
                    random.choice(["User", "Group", "Contact", "Folder"]),
                    random.choice(["Set", "Add", "Delete"]),
                    self._attributes(),
                    random.choice([None, f"User_{random.choice(self.people)}"]),
                )
                for _ in range(random.randrange(1, 4))
            ]
            made = operations.write_objects(objects)
            made.tag = f"{{{SERVICE}}}{name}"
            return made
        arguments = {
            "FinalizeExport": {"totalExported": 1, "successfulExportCount": 1},
            "SetCompanyDirsyncFeatures": {"dirsyncFeatures": random.choice([57, 41, 0, 1 << 30])},
            "GetServiceAccount": {"identifier": random.choice(["Sync_X", "admin", "a b"])},
            "ReadBackAzureADSyncObjects2": {"inputCookie": random.choice([None, "x"]), "isFullSync": True},
        }.get(name)
        return element(SERVICE, name) if arguments is None else company.write_call(name, **arguments)

    def _attributes(self) -> dict[str, Any]:
        """What an agent tells of an object; some of it is not of the kind that it should be."""
        random = self.random
        found: dict[str, Any] = {"userPrincipalName": random.choice([*self.people, "new@contoso.example"])}
        for name in random.sample(ATTRIBUTES, random.randrange(5)):
            found[name] = random.choice(SENT)
        return found

    def _federation(self) -> Ask:
        method, path = self._route(FEDERATION, self._value)
        host = next(host for host in self.hosts if host.startswith("adfs."))
        if method == "GET":
            return Ask(method, host, path)
        trust = "http://schemas.xmlsoap.org/ws/2005/02/trust" if "2005" in path else TRUST_13
        password = self.random.choice(["Winter-2016!", "wrong", "\x00"])
        now = self.world.clock()
        text = f"""<s:Envelope xmlns:s="{ENVELOPE}" xmlns:a="{ADDRESSING}" xmlns:u="{WSS}utility-1.0.xsd">
          <s:Header><a:Action>{trust}/RST/Issue</a:Action><a:MessageID>urn:uuid:1</a:MessageID><a:To>https://{host}{path}</a:To>
            <o:Security xmlns:o="{WSS}secext-1.0.xsd"><u:Timestamp><u:Created>{now:%Y-%m-%dT%H:%M:%SZ}</u:Created>
              <u:Expires>{now + LIFE:%Y-%m-%dT%H:%M:%SZ}</u:Expires></u:Timestamp><o:UsernameToken>
              <o:Username>{self.random.choice(self.people)}</o:Username><o:Password>{password}</o:Password>
            </o:UsernameToken></o:Security></s:Header>
          <s:Body><t:RequestSecurityToken xmlns:t="{trust}"><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">
            <a:EndpointReference><a:Address>urn:federation:MicrosoftOnline</a:Address></a:EndpointReference></p:AppliesTo>
            <t:KeyType>{trust}/Bearer</t:KeyType><t:RequestType>{trust}/Issue</t:RequestType>
          </t:RequestSecurityToken></s:Body></s:Envelope>"""
        return Ask(method, host, path, "", {"Content-Type": SOAP}, text.encode())

    def _control(self) -> Ask:
        method, path = self._route(CONTROL, self._value)
        random = self.random
        user = random.choice(["alice", "bob", "nobody", ""])
        bodies: dict[str, Any] = {
            "/time": random.choice([{"advance": "2m"}, {"pace": 0}, {"advance": "1d"}, {"advance": "-1m"}]),
            "/actions": random.choice(
                [
                    {random.choice(list(ACTIONS)): {"user": user, "password": "Winter-2016!"}},
                    {random.choice(list(ACTIONS)): {"user": user}},
                    [{"ad.unlock": {"user": user}}],
                    {"x": 1},
                ]
            ),
            "/faults": {"on": random.choice(["cloud.token", "cloud.set-passwords", "x"]), "answer": 503},
            "/snapshots": {random.choice(["take", "restore", "drop"]): random.choice(["a", "b", ""])},
        }
        body = b"" if method in ("GET", "DELETE") else self._json(bodies.get(path, {}))
        return Ask(method, "localhost", path, random_query(self.random), {"Content-Type": JSON}, body)

    def _replication(self) -> Ask:
        operation = self.random.choice(["negotiate", "authenticate", "get-nc-changes", "unbind", "x"])
        message = {
            "account": "alice",
            "domain": "contoso.example",
            "binding": self.random.randrange(3),
            "proof": {"$base64": "AAAA"},
            "client_blob": {"$base64": ""},
            "handle": {"$base64": "AAAA"},
            "naming_context": "DC=contoso,DC=example",
            "attributes": ["unicodePwd"],
            "max_objects": 10,
            "cookie": None,
            "epoch": 0,
        }
        domain, controller = (
            self.random.choice(["contoso.example"] * 9 + ["x"]),
            self.random.choice(["dc1"] * 9 + ["dc9"]),
        )
        path = f"/replication/{domain}/{controller}/{operation}"
        return Ask("POST", "localhost", path, "", {"Content-Type": JSON}, self._json(message))

    def _json(self, value: Any) -> bytes:
        return json.dumps(value).encode()
