"""The managed domain of a served world: it is there with Domain Services, twenty minutes behind the tenant."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import closing
from random import Random

import ldap3
import pytest
from serving.test_serve_world import serving

from simulator.active_directory.port import PortUnavailable
from simulator.domain_services import kerberos, kerberos_client
from simulator.domain_services.kerberos_client import SignOnFailed
from simulator.serving.managed import Numbers

PATIENCE_SECONDS = 30
PASSWORD = "Winter-2016!"
WORLD = """
scenario: A tenant with Domain Services
why: It is served.
rules: [delta.within-minutes]
given:
  cloud: {domain-services: on}
  users:
    - {name: alice, password: "Winter-2016!"}
timeline:
  - {at: +2m, expect: {agent.alert: {is: none}}}
"""
FREE = ("--kerberos-port", "0", "--managed-ldap-port", "0", "--managed-ldaps-port", "0")


def ask(domain, octets):
    """What the KDC answers by TCP; None if there is none."""
    try:
        with closing(socket.create_connection(("127.0.0.1", domain.kerberos.port), PATIENCE_SECONDS)) as raw:
            raw.sendall(len(octets).to_bytes(4, "big") + octets)
            whole = b""
            while more := raw.recv(65536):
                whole += more
                if len(whole) >= 4 + int.from_bytes(whole[:4], "big"):
                    return whole[4:]
    except ConnectionError:
        pass
    return None


def is_reset(port):
    """Whether a connection is broken off at once."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)) as raw:
            return raw.recv(1) == b""
    except ConnectionError:
        return True


def sign_on(served, password=PASSWORD):
    """Alice signs on by Kerberos: the KDC's code, 0 if she is in."""
    domain = served.served.managed.domain
    try:
        kerberos_client.sign_on(
            lambda octets: ask(domain, octets), domain.kerberos.centre.realm, "alice", password, served.world.clock,
            Random(1),
        )  # fmt: skip
    except SignOnFailed as failed:
        return failed.error.code
    return 0


def bind(served, password=PASSWORD):
    """Alice binds: whether she is in."""
    domain = served.served.managed.domain
    where = ldap3.Server(f"ldap://127.0.0.1:{domain.ldap.ldap_port}", get_info=ldap3.NONE)
    connection = ldap3.Connection(where, "alice@contoso.example", password, receive_timeout=PATIENCE_SECONDS)
    bound = connection.bind()
    connection.unbind()
    return bound


class TestServedWorld:
    def test_follows_the_tenant(self, served_with):
        """A new password works there twenty minutes after the tenant has it, and the old one until then."""
        served = served_with(WORLD, hosted=True)
        served.post("/time", {"advance": "30m"})
        assert sign_on(served) == 0
        assert bind(served)
        served.post("/actions", {"ad.reset-password": {"user": "alice", "password": "Spring-2017!"}})
        served.post("/time", {"advance": "2m"})
        assert sign_on(served) == 0
        served.post("/time", {"advance": "20m"})
        assert sign_on(served) == kerberos.PREAUTH_FAILED
        assert sign_on(served, "Spring-2017!") == 0
        assert not bind(served)
        assert bind(served, "Spring-2017!")

    def test_switched_on_and_off(self, served_with):
        """Ports are there from when Domain Services is switched on; off again, they answer nobody."""
        served = served_with(WORLD.replace("domain-services: on", "domain-services: off"), hosted=True)
        managed = served.served.managed
        assert managed.domain is None
        opened = []
        managed.on_open = opened.append
        served.post("/actions", {"cloud.set-domain-services": {"state": "on"}})
        assert opened == [managed.domain]
        served.post("/time", {"advance": "25m"})
        assert sign_on(served) == kerberos.NULL_KEY  # a full synchronization has to bring what the domain needs
        served.post("/actions", {"cloud.set-domain-services": {"state": "off"}})
        assert ask(managed.domain, b"\x6a\x00") is None
        assert is_reset(managed.domain.ldap.ldap_port)
        served.post("/actions", {"cloud.set-domain-services": {"state": "on"}})
        assert ask(managed.domain, b"\x6a\x00") is not None
        assert managed.domain.kerberos.faults.count == managed.domain.ldap.faults.count == 0

    def test_ports_taken(self, served_with, caplog):
        """Ports that can't be had: a world that has the domain is not served; one that gets it later is, without it."""
        with closing(socket.create_server(("127.0.0.1", 0))) as other:
            taken = Numbers(kerberos=other.getsockname()[1])
            with pytest.raises(PortUnavailable):
                served_with(WORLD, managed=taken)
            served = served_with(WORLD.replace("domain-services: on", "domain-services: off"), managed=taken)
            served.post("/actions", {"cloud.set-domain-services": {"state": "on"}})
            assert served.served.managed.domain is None
            assert "not served" in caplog.text


class TestCommand:
    @pytest.mark.skipif(shutil.which("kinit") is None, reason="no kinit here: install the package krb5-user")
    def test_kinit(self, tmp_path):
        """What is printed works: krb5.conf beside the certificate leads kinit to the domain."""
        (tmp_path / "world.yaml").write_text(WORLD)
        with serving(tmp_path, "world.yaml", "--with-agent", "--pace", "0", *FREE) as world:
            assert "managed       contoso.onmicrosoft.com, Kerberos realm CONTOSO.ONMICROSOFT.COM" in world.text
            assert "try         KRB5_CONFIG=pwsync-krb5.conf kinit USER" in world.text
            world.ask("/time", {"advance": "30m"})
            settings = {"PATH": os.environ["PATH"], "KRB5_CONFIG": "pwsync-krb5.conf", "KRB5CCNAME": "FILE:cache"}
            done = subprocess.run(
                ["kinit", "alice"], input=f"{PASSWORD}\n", capture_output=True, text=True, cwd=tmp_path, env=settings,
                check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
            assert world.end(signal.SIGTERM) == (0, "stopped")

    def test_foreign_configuration(self, tmp_path, monkeypatch, capsys):
        """A krb5.conf in that place that is not ours is not written over."""
        from simulator.cli.app import run_app

        monkeypatch.chdir(tmp_path)
        (tmp_path / "world.yaml").write_text(WORLD)
        (tmp_path / "pwsync-krb5.conf").write_text("[libdefaults]\n")
        assert run_app(["serve", "world.yaml", *FREE]) == 2
        assert "pwsync did not write it" in capsys.readouterr().err
        assert (tmp_path / "pwsync-krb5.conf").read_text() == "[libdefaults]\n"
