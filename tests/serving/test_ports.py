"""The HTTPS port of a served world: names, tunnels, bodies; the tenant and replication behind it."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from random import Random
from typing import Any

import msal
import pytest
import requests

from pwsync.credential import nt_hash
from pwsync.errors import ReplicationError
from pwsync.remote import RemoteChannel
from pwsync.replication import json_messages
from pwsync.replication.client import ReplicationClient
from simulator.active_directory.port import PortUnavailable
from simulator.azure_ad.http import BODY_MAX
from simulator.serving import replication
from simulator.serving.replication import Associations

CONTEXT = "DC=contoso,DC=example"
ATTRIBUTES = ["unicodePwd", "pwdLastSet"]


def talk(served: Any, octets: bytes, *, tls: bool = True) -> bytes:
    """What the port answers to some octets until it hangs up."""
    with socket.create_connection(("127.0.0.1", served.served.https.port), timeout=30) as raw:
        end: Any = raw
        if tls:
            context = ssl.create_default_context(cafile=str(served.authority))
            end = context.wrap_socket(raw, server_hostname="localhost")
        end.sendall(octets)
        found = b""
        try:
            while received := end.recv(65536):
                found += received
        except ConnectionError:
            pass
        finally:
            end.close()
        return found


class TestNames:
    def test_real_names_through_the_proxy(self, served: Any) -> None:
        """With the port as its proxy a client reaches the tenant's real names over TLS that it can verify."""
        for host in served.world.application.hosts:
            answer = served.session.get(f"https://{host}/nothing-of-that-kind", timeout=30)
            assert answer.status_code in (401, 404)
            assert answer.headers["Content-Type"].startswith(("application/json", "application/soap+msbin1"))

    def test_no_other_world(self, served: Any) -> None:
        """A tunnel leads to this world's names only, and the refusal says which they are."""
        with pytest.raises(requests.exceptions.ProxyError):
            served.session.get("https://example.com/", timeout=30)
        told = talk(served, b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", tls=False)
        assert told.startswith(b"HTTP/1.1 502 ")
        assert b"login.microsoftonline.com" in told

    def test_by_host_header(self, served: Any) -> None:
        """Without a proxy the Host header says which of the names is meant."""
        with served.client(proxy=False) as session:
            path = "/common/.well-known/openid-configuration"
            known = session.get(served.served.url + path, headers={"Host": "login.microsoftonline.com"}, timeout=30)
            other = session.get(served.served.url + path, headers={"Host": "example.com"}, timeout=30)
        assert (known.status_code, "token_endpoint" in known.json()) == (200, True)
        assert (other.status_code, other.json()["error"]["code"]) == (404, "UnknownHost")

    def test_msal(self, served: Any) -> None:
        """MSAL signs a synchronized account in, with nothing changed but proxy and trust."""
        account, password = served.world.tenant.sync_account()
        application = msal.PublicClientApplication(
            "cb1056e2-e479-49de-ae31-7812af012ed8",
            authority=f"https://login.microsoftonline.com/{served.world.tenant.tenant_id}",
            http_client=served.session,
            instance_discovery=False,
        )
        with pytest.warns(DeprecationWarning, match="This API has been deprecated"):
            found = application.acquire_token_by_username_password(
                account, password, scopes=["https://graph.windows.net/.default"]
            )
        assert "access_token" in found

    def test_taken(self, served_with: Callable[..., Any]) -> None:
        """A port that somebody else has is told by its number."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(PortUnavailable, match=f"port {port} on 127.0.0.1 can not be had"):
                served_with(https_port=port)


class TestBodies:
    @pytest.mark.parametrize(
        ("request_line", "status"),
        [
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n", b"400"),
            (b"POST /time HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n", b"400"),
            (b"POST /time HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n", b"413"),
            (b"POST /time HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n", b"501"),
            (b"GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n", b"400"),
            (b'GET / "quoted" HTTP/1.1\r\n', b"400"),
            (b"POST / HTTP/1.1\r\nHost: graph.microsoft.com\r\nContent-Length: 99999999999\r\n", b"413"),
            (b"POST / HTTP/1.1\r\nHost: graph.microsoft.com\r\nContent-Length: 1e3\r\n", b"400"),
            (b"BREW / HTTP/1.1\r\nHost: localhost\r\n", b"501"),
            (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n", b"414"),
            (b"GET / HTTP/9.9\r\n", b""),
            (b"nonsense\r\n", b""),
            (b"GET /%ff%00/../..//?%%%=%u HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", b"404"),
            (b"GET / HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n", b""),
        ],
    )
    def test_bad_requests(self, served: Any, request_line: bytes, status: bytes) -> None:
        """Lengths that lie, lines that are none and paths of any kind get an answer of HTTP, never a traceback."""
        told = talk(served, request_line + b"Connection: close\r\n\r\n" + b"x")
        assert told.startswith(b"HTTP/1.1 " + status) or (not status and b"Traceback" not in told)
        assert b"Traceback" not in told

    def test_neither_tls_nor_tunnel(self, served: Any) -> None:
        """Plain HTTP, an endless head and random octets are refused; the port stays there."""
        assert talk(served, b"GET / HTTP/1.1\r\n\r\n", tls=False).startswith(b"HTTP/1.1 400 ")
        assert talk(served, b"CONNECT " + b"x" * 10_000, tls=False).startswith(b"HTTP/1.1 431 ")
        random = Random(1)
        for _ in range(20):
            talk(served, b"\x16" + random.randbytes(50), tls=False)
            talk(served, random.randbytes(50) + b"\r\n\r\n", tls=False)
        assert served.get("/time")["pace"] == 0

    def test_huge(self, served: Any) -> None:
        """A body that is too long is answered by the service itself, without being read."""
        headers = {"Host": "graph.microsoft.com", "Content-Length": str(BODY_MAX + 1)}
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        told = talk(served, f"POST /v1.0/users HTTP/1.1\r\n{text}\r\n".encode())
        assert b"413" in told.split(b"\r\n")[0]
        assert json.loads(told.split(b"\r\n\r\n")[1])["error"]["code"] == "TooLarge"

    def test_garbled_soap(self, served: Any) -> None:
        """Octets that are no SOAP get the provisioning service's own answer."""
        url = "https://adminwebservice.microsoftonline.com/provisioningservice.svc"
        for body in (b"", b"\x00" * 100, b"<xml", Random(2).randbytes(500)):
            answer = served.session.post(
                url, data=body, headers={"Content-Type": "application/soap+msbin1"}, timeout=30
            )
            assert 400 <= answer.status_code <= 500
            assert b"Traceback" not in answer.content


class TestReplication:
    def client(self, served: Any, controller: str = "dc1") -> ReplicationClient:
        url = f"{served.served.url}{replication.PREFIX}contoso.example/{controller}"
        channel = RemoteChannel(served.session, url)
        return ReplicationClient(channel, Random(1), served.world.clock)

    def test_the_client_of_the_agent(self, served: Any) -> None:
        """The agent's replication client reads hashes over the port; several are bound at a time."""
        account, password = served.world.domain("contoso.example").connector_account()
        one, two = self.client(served), self.client(served)
        served.session.proxies = {}
        one.bind("contoso.example", account, password)
        two.bind("contoso.example", account, password)
        for client in (two, one):
            page = client.changes(None, CONTEXT, ATTRIBUTES)
            hashes = {client.nt_hash(each) for each in page.objects if "unicodePwd" in each.attributes}
            assert {nt_hash("Winter-2016!"), nt_hash("Winter-2016?")} <= hashes
            client.unbind()
        with pytest.raises(ReplicationError) as caught:
            self.client(served).bind("contoso.example", account, "wrong")
        assert caught.value.code == 1326

    def test_controller_down(self, served: Any) -> None:
        """A controller that is down, one that is not there, and a port that is closed have RPC's codes."""
        served.session.proxies = {}
        served.world.domain("contoso.example").controller("dc2").state = "down"
        codes = []
        for client in (self.client(served, "dc2"), self.client(served, "dc9")):
            with pytest.raises(ReplicationError) as caught:
                client.bind("contoso.example", "x", "y")
            codes.append(caught.value.code)
        nowhere = RemoteChannel(served.session, "https://127.0.0.1:9/replication/x/y")
        with pytest.raises(ReplicationError) as caught:
            nowhere.call("negotiate", {})
        assert [*codes, caught.value.code] == [1722, 1728, 1722]

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{", b'{"a": NaN}', b'{"$base64": 1}', b'{"$base64": "%"}', b"[" * 100_000, b"\xff", b"1", b"{}",
         b'{"handle": {"$base64": ""}}', b'{"binding": [], "account": 1}', b'{"binding": 1, "proof": "x"}'],
    )  # fmt: skip
    @pytest.mark.parametrize("operation", ["negotiate", "authenticate", "get-nc-changes", "unbind", "other"])
    def test_garbled(self, served: Any, operation: str, body: bytes) -> None:
        """Whatever the body, the answer is a code of Windows'."""
        served.session.proxies = {}
        url = f"{served.served.url}{replication.PREFIX}contoso.example/dc1/{operation}"
        answer = served.session.post(url, data=body, timeout=30)
        found = json_messages.load(answer.content)
        assert set(found) in ({"answer"}, {"error"})
        assert "answer" in found or isinstance(found["error"]["code"], int)

    def test_forgotten(self) -> None:
        """As many sign-ons and clients are remembered as make sense; then the oldest go."""

        class Channel:
            def call(self, operation: str, message: Any) -> Any:
                return {"negotiate": {"binding": 1}, "authenticate": {"handle": message.get("who", b"")}}.get(
                    operation, {}
                )

        found = Associations(Channel)
        for number in range(replication.ASSOCIATIONS_MAX + 10):
            binding = found.call("negotiate", {})["binding"]
            found.call("authenticate", {"binding": binding, "who": str(number).encode()})
            found.call("negotiate", {})
        assert len(found._begun) == len(found._bound) == replication.ASSOCIATIONS_MAX
        found.call("unbind", {"handle": b"900"})
        assert len(found._bound) == replication.ASSOCIATIONS_MAX - 1


class TestMessages:
    def test_round_trip(self) -> None:
        """Octets, texts, numbers and lists come back as they were."""
        message = {
            "a": b"\x00\xff",
            "b": ["ü", 1, True, None, {"c": b""}],
            "$base64": "x",
            "d": {"$base64": "y", "z": 1},
        }
        assert json_messages.load(json_messages.dump(message)) == message

    def test_no_message(self) -> None:
        """What is no value of a message is refused."""
        with pytest.raises(TypeError, match="can't hold a set"):
            json_messages.dump({"a": {1}})
