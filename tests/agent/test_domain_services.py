"""Domain Services: what the tenant wants beside passwords is read, sealed and sent, and nothing else ever is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pwsync.credential import nt_hash
from pwsync.errors import ReplicationError, ServiceFault, Throttled, TransportError
from pwsync.object_log import MEANINGS
from pwsync.tenant.messages import SecretsConfiguration
from simulator.active_directory.supplemental import Domain, keep, kerberos_keys, value
from simulator.domain_services.envelope import open_legacy, open_supplemental
from simulator.domain_services.secret_key import certificate

ALL = SecretsConfiguration(True, True, certificate())
HOME = Domain("contoso.example", "CONTOSO")


@pytest.fixture
def add(lab: Any) -> Callable[..., None]:
    """Put a user with Kerberos keys into the directory, or give one another password."""

    def put(name: str, password: str = "Winter-2016!", keys: bool = True) -> None:
        if name in lab.domain.people:
            lab.domain.set_password(name, password)
        else:
            lab.domain.add(name, password)
        lab.domain.people[name].supplemental = value(keep(password, name, "", HOME.dns), HOME) if keys else b""

    return put


def last(lab: Any, name: str) -> Any:
    """The last item that the tenant took for a user."""
    return [item for item in lab.tenant.credentials if item.source_anchor == lab.anchor(name)][-1]


class TestAsked:
    def test_everything(self, lab: Any, add: Any) -> None:
        """Hash and keys of whoever is sent go along, and open for the certificate's owner."""
        lab.tenant.secrets = ALL
        add("alice")
        agent = lab.installed()
        agent.run_due()
        item = last(lab, "alice")
        assert open_legacy(item.legacy) == nt_hash("Winter-2016!")
        assert open_supplemental(item.supplemental).keys == kerberos_keys("Winter-2016!", "CONTOSO.EXAMPLEalice")
        assert lab.status(agent, "alice") == "Success"
        assert lab.ids(658) == [658]

    @pytest.mark.parametrize(("legacy", "supplemental"), [(True, False), (False, True), (True, True)])
    def test_each_alone(self, lab: Any, add: Any, legacy: bool, supplemental: bool) -> None:
        """What the tenant does not want is nil; keys that nobody wants are not even read."""
        lab.tenant.secrets = SecretsConfiguration(legacy, supplemental, certificate())
        add("alice")
        agent = lab.settled()
        add("alice", "Spring-2017!")
        lab.run(agent)
        item = last(lab, "alice")
        assert (item.legacy is not None, item.supplemental is not None) == (legacy, supplemental)
        assert lab.domain.calls == ["get-nc-changes"] * (2 if supplemental else 1)

    def test_not_asked(self, lab: Any, add: Any) -> None:
        """A tenant that wants nothing gets nothing, and the directory is not asked for it."""
        add("alice")
        agent = lab.settled()
        add("alice", "Spring-2017!")
        lab.run(agent)
        item = last(lab, "alice")
        assert (item.legacy, item.supplemental, lab.domain.calls) == (None, None, ["get-nc-changes"])
        assert lab.ids(658) == []

    def test_switched_on_and_off(self, lab: Any, add: Any) -> None:
        """What changes after it is switched on carries secrets, the rest with a full synchronization; each turn is told
        once."""
        add("alice")
        add("bob")
        agent = lab.settled()
        lab.tenant.secrets = ALL
        lab.run(agent, 10)
        assert lab.tenant.calls == []
        add("alice", "Spring-2017!")
        lab.run(agent)
        assert last(lab, "alice").legacy is not None
        lab.forget()
        agent.full_password_sync("contoso.example")
        lab.run(agent)
        assert sorted(lab.received()) == ["alice", "bob"]
        assert last(lab, "bob").legacy is not None
        assert lab.ids(658) == []
        lab.tenant.secrets = SecretsConfiguration()
        add("bob", "Spring-2017!")
        lab.run(agent)
        assert last(lab, "bob").legacy is None
        assert [event.level for event in lab.events if event.id == 658] == ["information"]

    def test_nothing_of_it_is_kept(self, lab: Any, add: Any) -> None:
        """Neither store nor log has a hash or a key."""
        lab.tenant.secrets = ALL
        add("alice")
        lab.settled()
        kept = (lab.folder / "agent.db").read_bytes() + "".join(event.text for event in lab.events).encode()
        secrets = [nt_hash("Winter-2016!"), *kerberos_keys("Winter-2016!", "CONTOSO.EXAMPLEalice").values()]
        assert [secret for secret in secrets if secret in kept or secret.hex().encode() in kept.lower()] == []


class TestMissing:
    def test_missing_attribute(self, lab: Any, add: Any) -> None:
        """Without Kerberos keys the password goes out with its hash, is settled, and shown as MissingAttribute."""
        lab.tenant.secrets = ALL
        add("alice", keys=False)
        agent = lab.installed()
        agent.run_due()
        item = last(lab, "alice")
        assert (item.legacy is not None, item.supplemental) == (True, None)
        assert lab.status(agent, "alice") == "MissingAttribute"
        assert "MissingAttribute" in MEANINGS
        lab.forget()
        lab.run(agent, 10)
        assert lab.received() == []
        add("alice", "Spring-2017!")
        lab.run(agent)
        assert lab.status(agent, "alice") == "Success"

    @pytest.mark.parametrize("octets", [b"x", b"\0" * 200, value(b"-", HOME)])
    def test_unusable(self, lab: Any, add: Any, octets: bytes) -> None:
        """A value in which there are no keys that can be read counts as one without."""
        lab.tenant.secrets = ALL
        add("alice")
        lab.domain.people["alice"].supplemental = octets
        agent = lab.installed()
        agent.run_due()
        assert (last(lab, "alice").supplemental, lab.status(agent, "alice")) == (None, "MissingAttribute")

    @pytest.mark.parametrize("code", [1722, 8453, 8333])
    def test_can_not_be_read(self, lab: Any, add: Any, code: int) -> None:
        """Who can't be read waits for the next cycle, and event 611 says why; who is gone is sent without keys."""
        lab.tenant.secrets = ALL
        add("alice")
        add("bob")
        agent = lab.settled()
        add("alice", "Spring-2017!")
        add("bob", "Spring-2017!")
        reads = []

        def refuse(operation: str) -> None:
            reads.append(operation)
            if reads.count("get-nc-changes") == 2 and operation == "get-nc-changes":
                raise ReplicationError(code)

        lab.domain.on_call = refuse
        lab.run(agent)
        gone = code == 8333
        assert lab.received() == (["alice", "bob"] if gone else ["bob"])
        assert lab.ids(611) == ([] if gone else [611])
        lab.run(agent)
        assert last(lab, "bob").supplemental is not None
        assert agent.pending() == []
        assert lab.ids(611) == ([] if gone else [611])

    def test_nobody_can_be_read(self, lab: Any, add: Any) -> None:
        """A batch of which nobody is left is not sent at all."""
        lab.tenant.secrets = ALL
        add("alice")
        agent = lab.settled()
        add("alice", "Spring-2017!")
        lab.domain.on_call = lambda operation: setattr(lab.domain, "garbles", operation == "get-nc-changes" and sent())
        seen: list[int] = []

        def sent() -> bool:
            seen.append(1)
            return len(seen) == 2

        lab.run(agent)
        assert (lab.tenant.batches, lab.ids(611), len(agent.pending())) == ([], [611], 1)
        lab.run(agent)
        assert last(lab, "alice").supplemental is not None


class TestTenantFails:
    def test_last_answer_holds(self, lab: Any, add: Any) -> None:
        """If the tenant can't be asked, what it wanted the last time holds, and an error is told."""
        lab.tenant.secrets = ALL
        add("alice")
        agent = lab.settled()
        lab.tenant.failures.append(("secrets", TransportError("gone")))
        add("alice", "Spring-2017!")
        lab.run(agent)
        assert last(lab, "alice").legacy is not None
        assert [event.level for event in lab.events if event.id == 658] == ["error"]

    @pytest.mark.parametrize("error", [TransportError("gone"), ServiceFault("no such operation")])
    def test_never_asked(self, lab: Any, add: Any, error: Exception) -> None:
        """A service that does not know the question gets passwords as ever."""
        lab.tenant.failures.append(("secrets", error))
        add("alice")
        agent = lab.installed()
        agent.run_due()
        assert (lab.received(), lab.ids(658)) == (["alice"], [])

    def test_pause(self, lab: Any, add: Any) -> None:
        """An answer that asks for a pause holds back the batch, too, and is told like any other."""
        lab.tenant.secrets = ALL
        add("alice")
        agent = lab.settled()
        lab.tenant.failures.append(("secrets", Throttled(429, retry_after=150)))
        add("alice", "Spring-2017!")
        lab.run(agent)
        assert (lab.tenant.batches, lab.ids(652), lab.status(agent, "alice")) == ([], [652], "RetryRequestedByTarget")
        lab.run(agent, 2)
        assert lab.received() == []
        lab.run(agent, 2)
        assert lab.received() == ["alice"]

    @pytest.mark.parametrize("octets", [None, b"", b"no certificate"])
    def test_no_certificate(self, lab: Any, add: Any, octets: bytes | None) -> None:
        """Without a certificate that can be used passwords go out alone, and an error says so once."""
        lab.tenant.secrets = SecretsConfiguration(True, True, octets)
        add("alice")
        agent = lab.settled()
        add("alice", "Spring-2017!")
        lab.run(agent)
        assert (last(lab, "alice").legacy, last(lab, "alice").supplemental) == (None, None)
        lab.tenant.secrets = ALL
        add("alice", "Summer-2017!")
        lab.run(agent)
        assert last(lab, "alice").legacy is not None

    def test_when_it_is_told(self, lab: Any, add: Any) -> None:
        """The error about a certificate is of the cycle that met it."""
        lab.tenant.secrets = SecretsConfiguration(True, True, b"no certificate")
        add("alice")
        agent = lab.installed()
        agent.run_due()
        assert [(event.level, event.time) for event in lab.events if event.id == 658] == [("error", lab.now)]

    def test_process_asks_anew(self, lab: Any, add: Any) -> None:
        """A new process knows nothing of what the tenant wanted, and asks before it sends."""
        lab.tenant.secrets = ALL
        add("alice")
        agent = lab.reborn(lab.settled())
        add("alice", "Spring-2017!")
        agent.run_due()
        lab.run(agent)
        assert last(lab, "alice").supplemental is not None
