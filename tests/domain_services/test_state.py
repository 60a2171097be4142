"""The managed domain's accounts: who is taken over, when, and under which name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from pwsync.credential import nt_hash
from pwsync.replication.supplemental import newer_keys
from pwsync.windows_credentials import Sealer, read, write
from simulator.active_directory.supplemental import Domain, keep, kerberos_keys, value
from simulator.clock import Clock
from simulator.domain_services import ManagedDomain
from simulator.domain_services.principal import Principal
from simulator.domain_services.secret_key import certificate
from simulator.domain_services.state import LAG, Picture, Secrets

START = datetime(2017, 1, 13, 9, tzinfo=UTC)
SEALER = Sealer(certificate(), Random(1))
HOME = Domain("contoso.example", "CONTOSO")


def sealed(password: str, name: str = "alice") -> Secrets:
    """What an agent sends of a password."""
    keys = newer_keys(value(keep(password, name, "", HOME.dns), HOME))
    return Secrets(SEALER.legacy(nt_hash(password)), SEALER.supplemental(keys or b""))


def picture(name: str, secrets: Secrets | None = None, **other: object) -> Picture:
    """A user as the tenant has it."""
    fields = {"id": f"id-of-{name}", "name": name, "upn": f"{name}@contoso.example", "enabled": True}
    return Picture(**(fields | other), secrets=secrets)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def domain(clock: Clock) -> ManagedDomain:
    return ManagedDomain("contoso.onmicrosoft.com", clock)


class TestLag:
    def test_twenty_minutes(self, domain: ManagedDomain, clock: Clock) -> None:
        """What the tenant has is there twenty minutes later, and not a moment before."""
        domain.tell([picture("alice", sealed("Winter-2016!"))])
        clock.move_to(START + timedelta(minutes=20) - timedelta(microseconds=1))
        assert (domain.principal("alice"), len(domain)) == (None, 0)
        clock.move_to(START + timedelta(minutes=20))
        found: Principal | None = domain.principal("alice")
        assert found is not None
        assert (found.nt_hash, found.salt) == (nt_hash("Winter-2016!"), "CONTOSO.EXAMPLEalice")

    def test_in_order(self, domain: ManagedDomain, clock: Clock) -> None:
        """Each change comes at its own time, as it was told then."""
        domain.tell([picture("alice", sealed("One-2017!"))])
        clock.move_to(START + timedelta(minutes=5))
        domain.tell([picture("alice", sealed("Two-2017!"))])
        seen = []
        for minutes in (20, 24, 25):
            clock.move_to(START + timedelta(minutes=minutes))
            account = domain.principal("alice")
            seen.append(None if account is None else account.nt_hash)
        assert seen == [nt_hash("One-2017!"), nt_hash("One-2017!"), nt_hash("Two-2017!")]

    def test_nothing_new(self, domain: ManagedDomain, clock: Clock) -> None:
        """Who is told as before causes nothing; what is told within one instant comes at once."""
        due, taken = [], []
        domain.watch(lambda delay, call: due.append((delay, call)), taken.append)
        domain.tell([picture("alice")])
        domain.tell([picture("alice"), picture("bob")])
        clock.move_to(START + LAG)
        domain.tell([picture("alice")])
        for _, call in due:
            call()
        assert [delay for delay, _ in due] == [LAG]
        assert [[each.name for each in pictures] for pictures in taken] == [["alice", "bob"]]

    def test_watched_late(self, domain: ManagedDomain, clock: Clock) -> None:
        """Whoever begins to watch hears of what was on its way before."""
        due: list[timedelta] = []
        domain.tell([picture("alice")])
        clock.move_to(START + timedelta(minutes=15))
        domain.watch(lambda delay, call: due.append(delay), lambda pictures: None)
        assert due == [timedelta(minutes=5)]

    def test_settled(self, domain: ManagedDomain) -> None:
        """A settled domain has all that it was told."""
        domain.tell([picture("alice")])
        domain.settle()
        assert domain.principal("alice") is not None

    def test_deleted(self, domain: ManagedDomain, clock: Clock) -> None:
        """A deleted domain has nobody, and nobody comes any more."""
        domain.tell([picture("alice")])
        domain.settle()
        domain.tell([picture("bob")])
        domain.delete()
        clock.move_to(START + LAG)
        assert [domain.principal(name) for name in ("alice", "bob", "bob@contoso.example")] == [None, None, None]


class TestNames:
    def test_every_way(self, domain: ManagedDomain) -> None:
        """An account is found by sAMAccountName, NetBIOS name and UPN, in any case; by nothing else."""
        domain.tell([picture("MaryAnn")])
        domain.settle()
        for name in ("maryann", "CONTOSO\\MARYANN", "contoso\\MaryAnn", "maryann@CONTOSO.example"):
            account = domain.principal(name)
            assert account is not None
            assert account.name == "MaryAnn"
        for name in ("", "\\", "OTHER\\MaryAnn", "CONTOSO\\maryann@contoso.example", "mary", "@", "MaryAnn@other"):
            assert domain.principal(name) is None

    def test_taken(self, domain: ManagedDomain) -> None:
        """Two users of one name are two accounts; the second one's name is made of it, and short enough."""
        first, second = picture("alice"), picture("ALICE", id="0123456789", upn="alice@sales.contoso.example")
        domain.tell([first, second])
        domain.settle()
        names = [account.name for account in map(domain.account, (first.id, second.id)) if account is not None]
        assert names == ["alice", "ALICE-01234567"]
        domain.tell([picture("a" * 40, id="x" * 40, upn="a@b"), picture("A" * 40, id="y" * 40, upn="A@c")])
        domain.settle()
        account = domain.account("y" * 40)
        assert account is not None
        assert len(account.name) == 20

    def test_renamed_and_gone(self, domain: ManagedDomain) -> None:
        """A renamed user is found by the new name alone, a deleted one by none."""
        domain.tell([picture("alice")])
        domain.tell([picture("ann", id="id-of-alice")])
        domain.settle()
        assert [domain.principal(name) is not None for name in ("alice", "alice@contoso.example", "ann")] == [
            False,
            False,
            True,
        ]
        domain.tell([picture("ann", id="id-of-alice", gone=True)])
        domain.settle()
        assert (domain.principal("ann"), len(domain)) == (None, 0)


class TestSecrets:
    def test_keys(self, domain: ManagedDomain) -> None:
        """An agent's keys and its hash make the keys of AES and RC4; those of DES are left out."""
        domain.tell([picture("alice", sealed("Winter-2016!"))])
        domain.settle()
        account = domain.principal("alice")
        made = kerberos_keys("Winter-2016!", "CONTOSO.EXAMPLEalice")
        assert account is not None
        assert account.keys == {18: made[18], 17: made[17], 23: nt_hash("Winter-2016!")}

    def test_hash_alone(self, domain: ManagedDomain) -> None:
        """Without Kerberos keys there is RC4's, and no salt."""
        domain.tell([picture("alice", Secrets(SEALER.legacy(nt_hash("x"))))])
        domain.settle()
        account = domain.principal("alice")
        assert account is not None
        assert (account.keys, account.salt) == ({23: nt_hash("x")}, "")

    @pytest.mark.parametrize("part", ["legacy", "supplemental"])
    def test_garbled(self, domain: ManagedDomain, part: str) -> None:
        """A password of which one half does not open is none."""
        secrets = sealed("Winter-2016!")
        envelope = read(getattr(secrets, part))
        domain.tell([picture("alice", secrets._replace(**{part: write(envelope._replace(iv=bytes(16)))}))])
        domain.settle()
        account = domain.principal("alice")
        assert account is not None
        assert (account.nt_hash, account.keys) == (None, {})
