"""Clients that break off, dawdle, crowd in or talk nonsense, while others go on working."""

from __future__ import annotations

import os
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import RLock

import pytest
from port.lab import PATIENCE_SECONDS, ROOT, RawClient, bind, decoded, equals, extended, root, search, unbind

from simulator.active_directory.conversation import START_TLS, Conversation, Faults
from simulator.active_directory.encoding import tlv
from simulator.active_directory.port import DirectoryPort, Limits, PortUnavailable
from simulator.active_directory.session import Session

CROWD = 200


def reset(client):
    """Close so that the server sees a reset."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


class TestBrokenOff:
    @pytest.mark.parametrize("tls", [False, True])
    @pytest.mark.parametrize("end", [lambda client: client.socket.close(), reset])
    @pytest.mark.parametrize("share", [0, 1, 5, 20])
    def test_in_the_middle(self, lab, share, end, tls):
        """A client that goes away in the middle of a message harms nobody."""
        client = lab.client(tls=tls)
        client.send(root(1)[:share])
        end(client)

    @pytest.mark.parametrize("end", [lambda client: client.socket.close(), reset])
    def test_answer_nobody_reads(self, lab, end):
        """Nor does one that asks for much and goes without reading it."""
        for _ in range(5):
            client = lab.client()
            client.send(bind(1, *lab.administrator), *(search(number, base=ROOT) for number in range(2, 100)))
            end(client)

    @pytest.mark.parametrize("garbage", [b"\0" * 50, b"\x16\x03\x01\xff\xff" + b"x" * 400, b"GET / HTTP/1.0\r\n\r\n"])
    def test_no_tls_on_the_tls_port(self, lab, garbage):
        """What is no handshake ends the connection."""
        with socket.create_connection(("127.0.0.1", lab.port.ldaps_port), PATIENCE_SECONDS) as raw, suppress(OSError):
            raw.sendall(garbage)
            while raw.recv(4096):
                pass

    def test_random_octets(self, lab):
        """Neither do random octets, in clear, after StartTLS or inside TLS."""
        for number in range(60):
            with lab.client(tls=number % 3 == 0) as client, suppress(OSError):
                if number % 3 == 1:
                    client.ask(extended(1, START_TLS))
                client.send(os.urandom(300))
                client.socket.settimeout(0.01)
                client.socket.recv(4096)


class TestSlow:
    def test_others_go_on(self, lab):
        """Clients that send half a message, or take no answer, do not hold others up."""
        half, deaf = lab.client(), lab.client()
        half.send(search(1)[:-3])
        deaf.send(bind(1, *lab.administrator))
        deaf.socket.settimeout(0.2)
        with suppress(TimeoutError):
            while True:
                deaf.send(*(search(number, base=ROOT, attributes=("*",)) for number in range(2, 200)))
        for _ in range(20):
            assert lab.answers()
        half.socket.close()
        deaf.socket.close()

    def test_deaf_client_is_dropped(self, lab_with):
        """A client that takes nothing of what is sent to it is dropped after a while."""
        lab = lab_with(limits=Limits(send_seconds=0.05))
        with lab.client() as client:
            client.send(bind(1, *lab.administrator))
            with suppress(OSError):
                while True:
                    client.send(*(search(number, base=ROOT, attributes=("*",)) for number in range(2, 200)))

    def test_a_long_decoding(self, lab):
        """A message that takes long to decode does not stop the others meanwhile."""
        with lab.client() as client:
            big = search(1, tlv(0xA1, equals("cn", b"alice") * 8000))
            client.send(big)
            for _ in range(5):
                assert lab.answers()
            assert client.receive().number == 1


class TestCrowd:
    def test_two_hundred_at_once(self, lab):
        """200 clients at once are all answered."""
        clients = [lab.client() for _ in range(CROWD)]
        for client in clients:
            client.send(bind(1, *lab.administrator), search(2, "(cn=alice)"))
        codes = [[client.receive().code for _ in range(3)] for client in clients]
        assert codes == [[0, None, 0]] * CROWD
        assert lab.port.connections == CROWD
        for client in clients:
            client.socket.close()

    def test_many_threads(self, lab):
        """Clients of many threads, half of them with TLS, read and write side by side; nothing is lost."""

        def work(number: int) -> list[int | None]:
            with lab.client(tls=number % 2 == 0) as client:
                client.send(bind(1, *lab.administrator))
                codes = [client.receive().code]
                for turn in range(10):
                    client.send(root(turn + 2))
                    codes += [client.receive().code, client.receive().code]
                client.send(unbind(99))
                return codes

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(work, range(48))) == [[0, *[None, 0] * 10]] * 48


class TestClosing:
    def test_closes_everything(self, lab):
        """Closing the port ends every connection, whatever it waits for, and may be done twice."""
        idle, half, bound = lab.client(), lab.client(), lab.client(tls=True)
        half.send(root(1)[:4])
        bound.ask(bind(1, *lab.administrator))
        handshake = RawClient(socket.create_connection(("127.0.0.1", lab.port.ldaps_port)))
        lab.port.close()
        lab.port.close()
        for client in (idle, half, bound, handshake):
            assert client.receive() is None
            client.socket.close()
        assert lab.port.connections == 0
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("ldap-")]
        with pytest.raises(ConnectionError):
            lab.client()
        reopened = DirectoryPort(lab.domain.controller(), authority=lab.port.authority)
        lab.port = reopened
        reopened.__enter__()
        try:
            assert lab.answers()
        finally:
            reopened.close()
        lab.answers = lambda: True

    def test_port_in_use(self, lab):
        """A port that is taken is told by name, and nothing stays open."""
        for options in ({"ldap_port": lab.port.ldap_port}, {"ldaps_port": lab.port.ldaps_port}):
            other = DirectoryPort(lab.domain.controller(), **options)
            with pytest.raises(PortUnavailable, match=rf"port {next(iter(options.values()))} on 127.0.0.1 .* in use"):
                other.__enter__()

    def test_no_such_host(self, lab):
        """So is an address that is not this machine's, and a port that does not exist."""
        for options in ({"host": "192.0.2.1"}, {"ldap_port": 65536}):
            with pytest.raises(PortUnavailable):
                DirectoryPort(lab.domain.controller(), **options).__enter__()


class TestFaults:
    def test_is_answered(self, lab, caplog):
        """A fault of our own while a request is carried out is logged, counted and answered by ``other``."""

        class Broken(Session):
            def search(self, request):
                raise KeyError("broken on purpose")

        faults = Faults()
        conversation = Conversation(Broken(lab.domain.controller()), RLock(), faults, protected=True)
        (answer,) = map(decoded, conversation.answer(search(2)))
        assert (answer.number, answer.kind, answer.code) == (2, "searchResDone", 80)
        assert (faults.count, conversation.ended) == (1, False)
        assert "broken on purpose" in caplog.text

    def test_ends_what_has_no_number(self, lab):
        """A fault before the request is known ends the connection with the notice of disconnection."""
        faults = Faults()
        conversation = Conversation(Session(lab.domain.controller()), RLock(), faults, protected=True)
        (answer,) = map(decoded, conversation.answer(None))
        assert (answer.number, answer.code) == (0, 80)
        assert (faults.count, conversation.ended) == (1, True)

    def test_trap(self, caplog):
        """A trap keeps exceptions, not interrupts, and logs each once."""
        faults = Faults()
        with faults.trap("testing") as trap:
            raise ValueError("broken on purpose")
        assert (faults.count, trap.sprung) == (1, True)
        assert "a fault of the simulated directory while testing" in caplog.text
        assert "broken on purpose" in caplog.text
        with pytest.raises(KeyboardInterrupt), faults.trap("testing"):
            raise KeyboardInterrupt
        assert faults.count == 1
