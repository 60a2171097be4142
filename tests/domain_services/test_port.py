"""The managed domain on real ports: kinit, minikerberos, OpenLDAP's tools and ldap3; and clients that mean no good."""

from __future__ import annotations

import shutil
import socket
import struct
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import ldap3
import pytest
from domain_services.logon_lab import DOMAIN, NETBIOS, PASSWORD, PATIENCE_SECONDS, REALM, Lab, lookup
from minikerberos.client import KerbrosClient
from minikerberos.common.creds import KerberosCredential
from minikerberos.common.target import KerberosTarget
from minikerberos.protocol.constants import EncryptionType
from minikerberos.protocol.errors import KerberosError
from port.lab import nothing_left

from simulator.active_directory.port import PortUnavailable
from simulator.domain_services import kerberos
from simulator.domain_services import kerberos_messages as messages
from simulator.domain_services.kerberos_messages import Name, Request
from simulator.domain_services.kerberos_port import KerberosPort, Limits
from simulator.domain_services.port import ServedDomain
from simulator.random import Randomness

kinit = pytest.mark.skipif(shutil.which("kinit") is None, reason="no kinit here: install the package krb5-user")
tools = pytest.mark.skipif(shutil.which("ldapwhoami") is None, reason="no ldapwhoami here: install ldap-utils")

DN = "CN=April,OU=AADDC Users,DC=adatum,DC=com"
START = datetime(2017, 1, 13, 9, tzinfo=UTC)
AES256, AES128, RC4 = "aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96", "arcfour-hmac-md5"


def real():
    """This machine's time."""
    return datetime.now(UTC)


@contextmanager
def served(folder, clock):
    """The domain, with a clock. Afterwards it still answers, had no fault, and leaves nothing."""
    with nothing_left():
        lab = Lab(folder, clock)
        with lab.served:
            yield lab
            assert ask(lab, first()).code == kerberos.PREAUTH_REQUIRED
            with closing(lab.stream()) as raw:
                assert read_error(raw, framed(first())).code == kerberos.PREAUTH_REQUIRED
        assert lab.served.kerberos.faults.count == lab.served.ldap.faults.count == 0


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The domain, at this machine's time; one for all tests, because none changes it."""
    with served(tmp_path_factory.mktemp("domain"), real) as found:
        yield found


def first(name="april"):
    """A first request."""
    server = Name(messages.NT_SRV_INST, ("krbtgt", REALM))
    asked = Request(Name(messages.NT_PRINCIPAL, (name,)), REALM, server, START + timedelta(days=1), 7, (18, 17, 23))
    return messages.write_request(asked)


def framed(octets):
    """A message as TCP carries it."""
    return struct.pack(">I", len(octets)) + octets


def ask(lab, octets):
    """The error that a datagram is answered by."""
    with closing(lab.datagrams()) as raw:
        raw.send(octets)
        return messages.read_error(raw.recv(65536))


def read(raw, size):
    """So many octets of a stream; fewer if it ends."""
    found = b""
    while len(found) < size and (more := raw.recv(size - len(found))):
        found += more
    return found


def read_error(raw, octets=b""):
    """Send, and read the error that answers."""
    raw.sendall(octets)
    return messages.read_error(read(raw, int.from_bytes(read(raw, 4), "big")))


def ends(raw):
    """Whether the server has closed."""
    try:
        return raw.recv(1) == b""
    except ConnectionError:
        return True


@kinit
class TestKinit:
    def tickets(self, lab, *options, who="april", password=PASSWORD, defaults=""):
        """Run kinit: its exit code, and what it or klist says."""
        code, said = lab.run("kinit", *options, who, feed=f"{password}\n", defaults=defaults)
        return (code, said) if code else lab.run("klist", "-e")

    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    @pytest.mark.parametrize(("kind", "shown"), [(AES256, AES256), (AES128, AES128), (RC4, "arcfour-hmac")])
    def test_every_key(self, lab, kind, shown, transport):
        """AES and RC4 get a ticket, by UDP and by TCP."""
        limit = "udp_preference_limit = 1" if transport == "tcp" else ""
        code, said = self.tickets(lab, defaults=f"default_tkt_enctypes = {kind}\n{limit}")
        assert code == 0
        assert f"krbtgt/{REALM}@{REALM}" in said
        assert f"{shown}, {AES256}" in said

    @pytest.mark.parametrize(
        ("options", "who", "shown"),
        [
            ((), "april", f"april@{REALM}"),
            (("-C",), "APRIL", f"April@{REALM}"),
            (("-E",), f"april@{DOMAIN}", f"April@{REALM}"),
        ],
    )
    def test_names(self, lab, options, who, shown):
        """The ticket has the name that was asked with, or the account's own where the client takes it."""
        code, said = self.tickets(lab, *options, who=who)
        assert code == 0
        assert f"Default principal: {shown}\n" in said

    def test_hash_alone(self, lab):
        """Whose keys did not come gets a ticket all the same: kinit is led to RC4."""
        assert self.tickets(lab, who="rita")[0] == 0

    def test_letters_beyond_ascii(self, lab):
        """Names and passwords may have any letters."""
        assert self.tickets(lab, who="Jürgen", password="Pässwörd–ß")[0] == 0

    def test_renewable(self, lab):
        """A ticket can be renewable."""
        code, said = self.tickets(lab, "-r", "3d")
        assert code == 0
        assert "renew until" in said

    @pytest.mark.parametrize(
        ("who", "password", "words"),
        [
            ("april", "wrong", "Password incorrect"),
            ("bob", PASSWORD, "not found in Kerberos database"),
            ("nina", PASSWORD, "null key"),
            ("dora", PASSWORD, "revoked"),
        ],
    )
    def test_is_refused(self, lab, who, password, words):
        """kinit says what the matter is."""
        code, said = self.tickets(lab, who=who, password=password)
        assert code == 1
        assert words in said

    def test_types_without_key(self, lab):
        """A type of key that nobody has is not supported."""
        code, said = self.tickets(lab, defaults="default_tkt_enctypes = aes256-cts-hmac-sha384-192")
        assert code == 1
        assert "no support for encryption type" in said

    def test_another_service(self, lab):
        """A ticket for a service is not given out."""
        code, said = self.tickets(lab, "-S", f"ldap/dc1.{DOMAIN}")
        assert code == 1
        assert "Server not found" in said

    def test_clock_skew(self, tmp_path):
        """In a domain years ago kinit takes over the domain's time, or, told not to, is refused for its clock."""
        with served(tmp_path, lambda: START) as lab:
            assert self.tickets(lab)[0] == 0
            code, said = self.tickets(lab, defaults="kdc_timesync = 0")
        assert code == 1
        assert "Clock skew too great" in said


class TestMinikerberos:
    def client(self, lab, user="april", **secrets):
        """A client of that library with a password or a key."""
        credential = KerberosCredential()
        credential.username, credential.domain = user, REALM
        for name, value in secrets.items():
            setattr(credential, name, value)
        return KerbrosClient(credential, KerberosTarget("127.0.0.1", port=lab.served.kerberos.port))

    @pytest.mark.parametrize("kind", [EncryptionType.AES256_CTS_HMAC_SHA1_96, EncryptionType.AES128_CTS_HMAC_SHA1_96,
                                      EncryptionType.ARCFOUR_HMAC_MD5])  # fmt: skip
    def test_password(self, lab, kind):
        """A password gets a ticket by every type of key."""
        client = self.client(lab, password=PASSWORD)
        client.credential.override_etypes = [kind.value]
        client.get_TGT(override_etype=[kind.value])
        assert client.kerberos_cipher_type == kind.value
        assert client.kerberos_TGT["crealm"] == REALM

    def test_hash(self, lab):
        """So does the NT hash."""
        client = self.client(lab, nt_hash=lookup("april").nt_hash.hex())
        client.get_TGT()
        assert client.kerberos_TGT["cname"]["name-string"] == ["april"]

    @pytest.mark.parametrize(("user", "password", "code"), [("april", "wrong", 24), ("bob", PASSWORD, 6)])
    def test_is_refused(self, lab, user, password, code):
        """Its errors are the KDC's."""
        with pytest.raises(KerberosError) as failed:
            self.client(lab, user, password=password).get_TGT()
        assert failed.value.errorcode.value == code


@tools
class TestTools:
    @pytest.mark.parametrize("way", ["ldaps", "starttls"])
    @pytest.mark.parametrize("who", [f"april@{DOMAIN}", f"{NETBIOS}\\april", DN])
    def test_who_am_i(self, lab, who, way):
        """ldapwhoami is told the account that the name means."""
        where = ("-H", lab.ldaps) if way == "ldaps" else ("-ZZ", "-H", lab.ldap)
        assert lab.run("ldapwhoami", "-x", *where, "-D", who, "-w", PASSWORD) == (0, f"u:{NETBIOS}\\April\n")

    @pytest.mark.parametrize(
        ("who", "password", "subcode"),
        [("april", "wrong", "52e"), ("nina", PASSWORD, "52e"), ("bob", PASSWORD, "525"), ("dora", PASSWORD, "533")],
    )
    def test_is_refused(self, lab, who, password, subcode):
        """A refused bind is 49 with the reason's sub-code."""
        code, said = lab.run("ldapwhoami", "-x", "-H", lab.ldaps, "-D", f"{who}@{DOMAIN}", "-w", password)
        assert code == 49
        assert f"data {subcode}, v1db1" in said

    def test_search(self, lab):
        """ldapsearch reads the root, and after a bind the own entry; for the rest it is told what there is."""
        code, said = lab.run("ldapsearch", "-LLL", "-x", "-H", lab.ldaps, "-b", "", "-s", "base")
        assert code == 0
        assert "defaultNamingContext: DC=adatum,DC=com" in said
        bound = ("ldapsearch", "-LLL", "-x", "-H", lab.ldaps, "-D", DN, "-w", PASSWORD)
        code, said = lab.run(*bound, "-b", DN, "(sAMAccountName=april)", "userPrincipalName")
        assert (code, said.strip()) == (0, f"dn: {DN}\nuserPrincipalName: april@{DOMAIN}")
        code, said = lab.run(*bound, "-b", "DC=adatum,DC=com")
        assert code == 53
        assert "own entry by its DN" in said


class TestLdap3:
    @pytest.mark.parametrize("method", [ldap3.SIMPLE, ldap3.NTLM])
    def test_binds(self, lab, method):
        """ldap3 binds, simply and by NTLM."""
        connection = ldap3.Connection(
            ldap3.Server(lab.ldap),
            f"{NETBIOS}\\april",
            PASSWORD,
            authentication=method,
            receive_timeout=PATIENCE_SECONDS,
        )
        with connection:
            assert connection.bound
            assert connection.extend.standard.who_am_i() == f"u:{NETBIOS}\\April"

    @pytest.mark.parametrize("method", [ldap3.SIMPLE, ldap3.NTLM])
    @pytest.mark.parametrize(
        ("user", "password", "subcodes"),
        [("april", "wrong", "52e 52e"), ("bob", PASSWORD, "525 52e"), ("dora", PASSWORD, "533 533")],
    )
    def test_is_refused(self, lab, user, password, subcodes, method):
        """It is refused with the sub-code; NTLM does not tell whose names exist."""
        connection = ldap3.Connection(
            ldap3.Server(lab.ldap), f"{NETBIOS}\\{user}", password, authentication=method,
            receive_timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert not connection.bind()
        assert connection.result["result"] == 49
        assert f"data {subcodes.split()[method == ldap3.NTLM]}," in connection.result["message"]
        connection.unbind()


class TestHostile:
    @pytest.mark.parametrize("octets", [b"", b"\0", b"\x6a", b"\x6e\x03\x30\x01\x00", b"GET / HTTP/1.1\r\n\r\n",
                                        b"\xff" * 60_000])  # fmt: skip
    def test_datagrams(self, lab, octets):
        """Datagrams that are no requests get silence or an error, and harm nobody."""
        with closing(lab.datagrams()) as raw:
            raw.send(octets)
            raw.send(first())
            answers = [messages.read_error(raw.recv(65536)).code]
            if octets == b"\x6a":
                answers.append(messages.read_error(raw.recv(65536)).code)
        assert sorted(answers) == sorted(
            [kerberos.PREAUTH_REQUIRED, *([kerberos.GENERIC] if octets == b"\x6a" else [])]
        )

    def test_long_answer(self, lab):
        """An answer that is too long for a datagram is asked for by TCP."""
        name = "x" * 2000
        assert ask(lab, first(name)).code == kerberos.RESPONSE_TOO_BIG
        with closing(lab.stream()) as raw:
            assert read_error(raw, framed(first(name))).code == kerberos.C_PRINCIPAL_UNKNOWN

    @pytest.mark.parametrize("head", [b"\x80\0\0\0", b"\xff\xff\xff\xff", b"\0\1\0\1", b"\x16\x03\x01\x02"])
    def test_lengths(self, lab, head):
        """A length that can't be, or is too long, ends the connection with an error."""
        with closing(lab.stream()) as raw:
            assert read_error(raw, head).code == kerberos.FIELD_TOO_LONG
            assert ends(raw)

    @pytest.mark.parametrize("octets", [b"", b"\0\0\0", b"\0\0\0\x10abc", framed(b""), framed(b"\x30\0")])
    def test_breaks_off(self, lab, octets):
        """Half a message, an empty one, or one that is no request: the connection ends with the client."""
        with closing(lab.stream()) as raw:
            raw.sendall(octets)
            raw.shutdown(socket.SHUT_WR)
            assert ends(raw)

    def test_in_pieces(self, lab):
        """A request may come octet by octet, and several at once; each has its answer."""
        with closing(lab.stream()) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in framed(first()):
                raw.sendall(bytes((octet,)))
            assert read_error(raw).code == kerberos.PREAUTH_REQUIRED
            raw.sendall(framed(first()) * 3)
            assert [read_error(raw).code for _ in range(3)] == [kerberos.PREAUTH_REQUIRED] * 3

    def test_nobody_reads(self, lab):
        """A client that asks and never reads holds up nobody."""
        with closing(lab.stream()) as raw, closing(lab.stream()) as other:
            raw.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    raw.send(framed(first("x" * 60_000)))
            assert read_error(other, framed(first())).code == kerberos.PREAUTH_REQUIRED

    def test_too_many(self, lab):
        """Of too many connections the oldest makes room."""
        port = KerberosPort(lab.served.kerberos.centre, limits=Limits(connections=3))
        with port:
            opened = []
            for _ in range(5):
                raw = socket.create_connection(("127.0.0.1", port.port), PATIENCE_SECONDS)
                opened.append(raw)
                read_error(raw, framed(first()))
            assert [ends(raw) for raw in opened[:2]] == [True, True]
            assert [read_error(raw, framed(first())).code for raw in opened[2:]] == [kerberos.PREAUTH_REQUIRED] * 3
            for raw in opened:
                raw.close()
        assert port.faults.count == 0

    def test_idle(self, lab):
        """A connection ends when its time is over."""
        with (
            KerberosPort(lab.served.kerberos.centre, limits=Limits(connection_seconds=0.05)) as port,
            closing(socket.create_connection(("127.0.0.1", port.port), PATIENCE_SECONDS)) as raw,
        ):
            assert ends(raw)
        assert port.faults.count == 0

    def test_fault(self, lab, caplog):
        """A fault of our own is logged and counted, and the port goes on."""

        class Broken(kerberos.KeyDistributionCenter):
            def answer(self, octets):
                raise KeyError("broken on purpose")

        with (
            KerberosPort(Broken(DOMAIN, lookup, real, Randomness(1))) as port,
            closing(socket.create_connection(("127.0.0.1", port.port), PATIENCE_SECONDS)) as raw,
        ):
            raw.sendall(framed(first()))
            assert ends(raw)
        assert port.faults.count == 1
        assert "broken on purpose" in caplog.text


class TestHostileLdap:
    @pytest.mark.parametrize(
        "octets",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x30\x80",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x03\x02\x01\x01",
            b"\x30\x0c\x02\x01\x01\x60\x07",
            b"\xff" * 70_000,
        ],
    )
    def test_garbled(self, lab, octets):
        """What is no LDAP, huge or half: the connection ends, with a notice or without; others go on."""
        with closing(socket.create_connection(("127.0.0.1", lab.served.ldap.ldap_port), PATIENCE_SECONDS)) as raw:
            with suppress(ConnectionError):
                raw.sendall(octets)
                raw.shutdown(socket.SHUT_WR)
            answer = b""
            with suppress(ConnectionError):
                while more := raw.recv(65536):
                    answer += more
        assert answer == b"" or b"1.3.6.1.4.1.1466.20036" in answer
        with ldap3.Connection(ldap3.Server(lab.ldap), f"april@{DOMAIN}", PASSWORD) as connection:
            assert connection.bound


class TestPorts:
    def test_taken(self, lab):
        """A port that another has, by TCP or by UDP, can not be had."""
        with pytest.raises(PortUnavailable, match="can not be had"):
            KerberosPort(lab.served.kerberos.centre, port=lab.served.kerberos.port).__enter__()
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as raw:
            raw.bind(("127.0.0.1", 0))
            with pytest.raises(PortUnavailable):
                KerberosPort(lab.served.kerberos.centre, port=raw.getsockname()[1]).__enter__()

    def test_what_was_opened_is_closed(self, lab):
        """If LDAP's port is taken, Kerberos' is given back."""
        options = {"kerberos_port": 0, "ldap_port": lab.served.ldap.ldap_port}
        other = ServedDomain(DOMAIN, lookup, real, Randomness(1), **options)
        with pytest.raises(PortUnavailable):
            other.__enter__()
        with KerberosPort(lab.served.kerberos.centre, port=other.kerberos.port) as port:
            assert port.port == other.kerberos.port

    def test_configuration(self, lab):
        """krb5.conf leads to this realm and no other."""
        text = lab.served.krb5_conf()
        assert f"default_realm = {REALM}" in text
        assert f"kdc = 127.0.0.1:{lab.served.kerberos.port}" in text
        assert "dns_lookup_kdc = false" in text
