"""ldap3's real strategies against the port: TLS with a certificate that is checked, both ways of it."""

from __future__ import annotations

import ssl
from contextlib import contextmanager

import ldap3
import pytest
from port.lab import ALICE, PASSWORD, PATIENCE_SECONDS, PEOPLE, ROOT

# ldap3 checks names by a function that is gone from Python 3.12 on, where it brings its own.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

WAYS = {"ldaps": ldap3.AUTO_BIND_NO_TLS, "starttls": ldap3.AUTO_BIND_TLS_BEFORE_BIND}
STRATEGIES = [ldap3.SYNC, ldap3.SAFE_SYNC, ldap3.ASYNC, ldap3.RESTARTABLE, ldap3.SAFE_RESTARTABLE, ldap3.ASYNC_STREAM]


def server(lab, way="ldaps", **options):
    """ldap3's idea of the port, whose certificate must be right."""
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(lab.ca))
    port = lab.port.ldaps_port if way == "ldaps" else lab.port.ldap_port
    return ldap3.Server("localhost", port, use_ssl=way == "ldaps", tls=tls, **{"get_info": ldap3.NONE, **options})


@contextmanager
def connected(lab, way="ldaps", who=None, to=None, **options):
    """A bound connection, as the administrator if nobody else is named. to: what :func:`server` made."""
    user, password = who or lab.administrator
    made = ldap3.Connection(to or server(lab, way), user, password, auto_bind=WAYS.get(way, True), **options)
    try:
        yield made
    finally:
        receiver = getattr(made.strategy, "receiver", None)
        made.unbind()
        if receiver is not None:
            # It may still read from the descriptor that unbind has closed, and which the next socket would get.
            receiver.join(PATIENCE_SECONDS)


def found(connection, outcome):
    """Entries and result of an operation, which every strategy gives in a way of its own."""
    if isinstance(outcome, tuple):
        return outcome[2] or [], outcome[1]
    if isinstance(outcome, bool):
        return connection.response or [], connection.result
    return connection.get_response(outcome)


def plain(dn):
    """A DN without the identifiers that ldap3 asks for before it."""
    return dn.rpartition(";")[2]


class TestStrategies:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_works(self, lab, strategy, way):
        """Every strategy binds, reads, writes and compares over LDAPS and StartTLS."""
        with connected(lab, way, client_strategy=strategy) as connection:
            change = {"displayName": [(ldap3.MODIFY_REPLACE, ["Alice A."])]}
            _, result = found(connection, connection.modify(ALICE, change))
            assert result["result"] == 0
            entries, result = found(connection, connection.search(PEOPLE, "(cn=alice)", attributes=["displayName"]))
            assert result["result"] == 0
            if strategy != ldap3.ASYNC_STREAM:  # hands entries over elsewhere
                assert [entry["attributes"]["displayName"] for entry in entries] == [["Alice A."]]
            _, result = found(connection, connection.compare(ALICE, "displayName", "Alice B."))
            assert result["result"] == 5

    @pytest.mark.parametrize("way", WAYS)
    def test_reusable(self, lab, way):
        """A pool of connections works too."""
        connection = ldap3.Connection(
            server(lab, way), *lab.administrator, auto_bind=WAYS[way], client_strategy=ldap3.REUSABLE, pool_size=3,
            pool_name=f"{way}-{lab.port.ldap_port}",
        )  # fmt: skip
        try:
            numbers = [connection.search(PEOPLE, "(cn=alice)", attributes=["cn"]) for _ in range(20)]
            answers = [connection.get_response(number) for number in numbers]
            assert [len(entries) for entries, _ in answers] == [1] * 20
        finally:
            connection.strategy.terminate()
            connection.unbind()

    def test_restartable_survives(self, lab):
        """A restartable connection that is dropped is made again."""
        with connected(lab, client_strategy=ldap3.RESTARTABLE) as connection:
            connection.strategy.restartable_sleep_time = 0
            connection.strategy.connection.socket.close()
            assert connection.search(PEOPLE, "(cn=alice)")

    def test_without_protection(self, lab):
        """In clear one may bind and read, but sets no password."""
        clear = ldap3.Server("localhost", lab.port.ldap_port)
        with connected(lab, "clear", to=clear) as connection:
            assert connection.search(PEOPLE, "(cn=alice)")
            assert not connection.extend.microsoft.modify_password(ALICE, "Spring-2017!")
            assert connection.result["result"] == 53
            assert connection.result["message"].startswith("0000001F")


class TestInformation:
    @pytest.mark.parametrize("way", WAYS)
    def test_everything(self, lab, way):
        """With get_info=ALL ldap3 reads root and schema, and knows attributes by their syntax from then on."""
        known = server(lab, way, get_info=ldap3.ALL)
        with connected(lab, way, to=known) as connection:
            assert known.info.other["defaultNamingContext"] == [ROOT]
            assert "1.3.6.1.4.1.1466.20037" in {each[0] for each in known.info.supported_extensions}
            assert known.schema.attribute_types["pwdLastSet"].single_value
            connection.search(PEOPLE, "(cn=alice)", attributes=["*"])
            entry = connection.entries[0]
            assert entry.userAccountControl.value == 512
            assert entry.objectGUID.value == f"{{{lab.domain.find('alice').guid}}}"


class TestOperations:
    def test_life_of_a_user(self, lab):
        """A user is made, given a password, enabled, renamed, moved and deleted; binds follow."""
        dn, moved = f"CN=bob,{PEOPLE}", f"CN=rob,CN=Users,{ROOT}"
        with connected(lab) as connection:
            assert connection.add(dn, "user", {"sAMAccountName": "bob"})
            assert connection.extend.microsoft.modify_password(dn, "Spring-2017!")
            assert connection.modify(dn, {"userAccountControl": [(ldap3.MODIFY_REPLACE, [512])]})
            assert connection.modify_dn(dn, "CN=rob", new_superior=f"CN=Users,{ROOT}")
            with connected(lab, "starttls", (moved, "Spring-2017!")) as own:
                assert own.extend.microsoft.modify_password(moved, "Summer-2017!", "Spring-2017!")
                assert own.rebind(moved, "Summer-2017!")
            assert connection.delete(moved)
            assert not connection.delete(moved)
            assert connection.result["result"] == 32

    def test_refusals(self, lab):
        """A refused bind and a refused password come with their codes and texts."""
        clear = ldap3.Connection(server(lab), ALICE, "wrong")
        assert not clear.bind()
        assert (clear.result["result"], "data 52e" in clear.result["message"]) == (49, True)
        clear.unbind()
        with connected(lab) as connection:
            assert not connection.extend.microsoft.modify_password(ALICE, "short")
            assert connection.result["message"].startswith("0000052D")

    def test_paging(self, lab):
        """ldap3's paging sees every entry once."""
        for number in range(30):
            lab.domain.create_user(f"user{number}", PASSWORD, check_policy=False)
        with connected(lab) as connection:
            pages = connection.extend.standard.paged_search(PEOPLE, "(objectClass=user)", paged_size=7, generator=True)
            names = [entry["dn"] for entry in pages]
        assert len(names) == len(set(names)) == 31

    def test_dirsync(self, lab):
        """ldap3's dir_sync tells everything, then what has changed since, secrets by name only."""
        with connected(lab) as connection:
            sync = connection.extend.microsoft.dir_sync(ROOT, attributes=["pwdLastSet", "unicodePwd"])
            seen = []
            while sync.more_results:
                seen += sync.loop()
            assert ALICE in [plain(entry["dn"]) for entry in seen]
            lab.domain.reset_password("alice", "Spring-2017!")
            (entry,) = sync.loop()
            assert plain(entry["dn"]) == ALICE
            assert "unicodePwd" in entry["raw_attributes"]
            assert not entry["raw_attributes"]["unicodePwd"]
            assert len(entry["raw_attributes"]["pwdLastSet"]) == 1

    def test_shared_by_ports(self, lab_with):
        """Two controllers are two ports; what is written on one is read on the other once it was replicated."""
        lab = lab_with(controllers=("dc1", "dc2"))
        other = type(lab.port)(lab.domain.controller("dc2"), authority=lab.port.authority, lock=lab.port.lock)
        with other, connected(lab) as connection:
            connection.modify(ALICE, {"displayName": [(ldap3.MODIFY_REPLACE, ["New"])]})
            lab.domain.replicate()
            tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(lab.ca))
            second = ldap3.Server("localhost", other.ldaps_port, use_ssl=True, tls=tls)
            with connected(lab, to=second) as there:
                there.search(PEOPLE, "(displayName=New)")
                assert [entry.entry_dn for entry in there.entries] == [ALICE]
