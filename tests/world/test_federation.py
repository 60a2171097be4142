"""Federation in a run: the way a sign-in goes, what it leaves behind, and what is told of it."""

from __future__ import annotations

from world.runs import held, opened, run

from simulator import farms
from simulator.queue import Rank

FEDERATED = """
given:
  users:
    - {name: alice, password: "Winter-2016!"}
  cloud: {domains: {contoso.example: federated}}
"""


def test_looking_leaves_no_trace() -> None:
    """An expectation runs the whole way and moves nothing: no counter, no log, no stream of random numbers."""
    runner = opened(FEDERATED + "timeline:\n  - {at: +1m, expect: {agent.alert: {is: none}}}")
    world = runner.world
    found: list[tuple[str, str]] = []

    def look() -> None:
        before = (world.domain("contoso.example").version, list(world.tenant.sign_in_log), len(world.trace.lines))
        drawn = {name: child.getstate() for name, child in world.randomness.children().items()}
        for password in ("Winter-2016!", "Wrong-words-1!", "", "\x00", "\ud800", "&lt;<x>"):
            answer = farms.look_at_sign_in(world, "alice@contoso.example", password)
            found.append((answer.result, answer.via))
        assert before == (
            world.domain("contoso.example").version, list(world.tenant.sign_in_log), len(world.trace.lines)
        )  # fmt: skip
        assert drawn == {name: child.getstate() for name, child in world.randomness.children().items()}

    world.queue.push(world.start, Rank.EXPECTATION, look)
    runner.run()
    assert runner.failures == []
    assert found == [("ok", "adfs")] + [("wrong-password", "adfs")] * 5


def test_signing_in_is_told() -> None:
    """A real sign-in opens a session, counts in the directory, and is told with its way."""
    result = held(
        run(
            FEDERATED
            + """
timeline:
  - {at: +10s, do: {cloud.sign-in: {user: alice, password: "Winter-2016!", as: laptop}}}
  - {at: +20s, do: {adfs.set-farm: {state: down}}}
  - {at: +30s, do: {cloud.sign-in: {user: alice, password: "Winter-2016!"}},
     expect: {refused: federation-unavailable}}
  - {at: +40s, do: {cloud.convert-domain: {domain: contoso.example, to: managed}}}
  - {at: +61m, expect: {cloud.session: {as: laptop, access: expired, refresh: ok}}}
"""
        )
    )
    told = [line.split(maxsplit=1)[1] for line in result.trace if "people" in line or "is managed" in line]
    assert told == [
        "people  cloud.sign-in alice alice#1 via adfs",
        "people  adfs.set-farm down",
        "people  cloud.sign-in alice refused: federation-unavailable",
        "people  cloud.convert-domain contoso.example to managed",
        "tenant  contoso.example is managed now",
    ]


def test_replaced_conversion_is_not_told() -> None:
    """A conversion that was taken back never comes into force, and nobody says so."""
    result = held(
        run(
            FEDERATED
            + """
timeline:
  - {at: +1m, do: {cloud.convert-domain: {domain: contoso.example, to: managed}}}
  - {at: +2m, do: {cloud.convert-domain: {domain: contoso.example, to: federated}}}
  - {at: +2h, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok, via: adfs}}}
"""
        )
    )
    assert not [line for line in result.trace if "is managed now" in line]


def test_wrong_way_is_shown() -> None:
    """An expectation that names the other way fails, and says which way it was."""
    text = FEDERATED + (
        "timeline:\n"
        '  - {at: +1m, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok, via: managed}}}\n'
    )
    (failure,) = run(text).failures
    assert (failure.expected, failure.got) == ("ok via managed", "ok via adfs")


def test_principal_names_of_another_ending() -> None:
    """A domain that no forest has, but sign-in names end in, is federated with the forest of those names."""
    held(
        run(
            """
given:
  forests: {one: {domains: {one.example: {}}}, two: {domains: {two.example: {}}}}
  users:
    - {name: alice, password: "Winter-2016!", domain: two.example, upn: a.smith@corp.example}
  cloud: {domains: {corp.example: federated}}
timeline:
  - {at: +1m, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok, via: adfs}}}
"""
        )
    )


def test_renamed_before_the_object_cycle() -> None:
    """Renamed on premises, a user signs in under the tenant's old name, which AD FS does not know any more."""
    held(
        run(
            FEDERATED
            + """
timeline:
  - {at: +1m, do: {ad.set-user: {user: alice, upn: a.smith@contoso.example}}}
  - {at: +2m, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: unknown-user, via: adfs}}}
  - {at: +31m, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok, via: adfs}}}
"""
        )
    )


def test_renamed_into_another_domain() -> None:
    """AD FS still knows the implicit name of who was renamed into another domain; for the tenant that is nobody."""
    held(
        run(
            FEDERATED
            + """
timeline:
  - {at: +1m, do: {ad.set-user: {user: alice, upn: alice@fabrikam.example}}}
  - {at: +2m, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: unknown-user, via: adfs}}}
  - {at: +31m, expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: ok, via: managed}}}
"""
        )
    )


def test_disabled_in_the_cloud_alone() -> None:
    """AD FS lets a user in whom the tenant has disabled; the tenant does not."""
    held(
        run(
            FEDERATED
            + """
timeline:
  - {at: +1m, do: {cloud.set-user: {user: alice, enabled: false}},
     expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: disabled, via: adfs}}}
"""
        )
    )


def test_not_exported_yet() -> None:
    """A user whose object the tenant has not got yet is let in by AD FS and not by the tenant."""
    held(
        run(
            FEDERATED
            + """
timeline:
  - {at: +1m, do: {ad.create-user: {user: dora, password: "Winter-2016!"}},
     expect: {cloud.sign-in: {user: dora, password: "Winter-2016!", result: unknown-user, via: adfs}}}
  - {at: +31m, expect: {cloud.sign-in: {user: dora, password: "Winter-2016!", result: ok, via: adfs}}}
"""
        )
    )


def test_no_controller() -> None:
    """Without a domain controller AD FS can't say yes to anybody."""
    held(
        run(
            FEDERATED
            + """
timeline:
  - {at: +1m, do: {ad.set-controller: {controller: dc1, state: down}},
     expect: {cloud.sign-in: {user: alice, password: "Winter-2016!", result: federation-unavailable, via: adfs}}}
"""
        )
    )
