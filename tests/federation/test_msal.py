"""MSAL, unchanged, signs a federated user in: realm, metadata exchange, WS-Trust, the tenant's tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msal
import pytest
import requests
from world.runs import opened, seconds

from simulator import farms
from simulator.queue import Rank
from simulator.world import World

pytestmark = pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning")

ALICE, GOOD = "alice@contoso.example", "Winter-2016!"
SCENARIO = """
given:
  users:
    - {name: alice, password: "Winter-2016!"}
  cloud: {domains: {contoso.example: federated}}
timeline:
  - {at: +30s, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +10m, do: {adfs.set-farm: {state: down}}}
  - {at: +11m, do: {cloud.convert-domain: {domain: contoso.example, to: managed}}}
  - {at: +3h, expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok, via: managed}}}
"""

Visit = Callable[[Any], Any]


CLIENT = "cb1056e2-e479-49de-ae31-7812af012ed8"


def live(*visits: tuple[float, Visit], anew: bool = False) -> tuple[World, list[Any]]:
    """Run the scenario; at each of the offsets (seconds) someone uses one and the same application, or a new one."""
    run = opened(SCENARIO)
    came: list[Any] = []
    clients: list[Any] = []

    def use(visit: Visit) -> None:
        with run.world.network.off_record():
            if anew or not clients:
                authority = f"https://login.microsoftonline.com/{run.world.tenant.tenant_id}"
                clients.append(msal.PublicClientApplication(CLIENT, authority=authority))
            came.append(visit(clients[-1]))

    for offset, visit in visits:
        run.world.queue.push(
            run.world.start + seconds(offset),
            Rank.EXPECTATION,
            lambda visit=visit: use(visit),  # type: ignore[misc]
        )
    run.run()
    assert run.failures == []
    return run.world, came


def sign_in(password: str) -> Visit:
    """A sign-in; what MSAL raises is returned."""

    def visit(client: Any) -> Any:
        try:
            return client.acquire_token_by_username_password(ALICE, password, scopes=["User.Read"])
        except (RuntimeError, requests.RequestException) as error:
            return error

    return visit


def silent(client: Any) -> Any:
    """A token without a password, by what is in the cache."""
    return client.acquire_token_silent_with_error(["User.Read"], client.get_accounts()[0])


def log(world: World) -> list[str]:
    """Results of alice's sign-ins as the tenant has noted them."""
    return [line.result for line in world.tenant.sign_in_log if line.upn == ALICE]


def test_on_premises_password() -> None:
    """Right after a change, long before the cycle, the new password signs in, as the synchronized user."""
    world, (found,) = live((31, sign_in("Spring-2017!")))
    user = world.cloud_user("alice")
    assert user is not None
    assert (found["id_token_claims"]["oid"], found["token_type"]) == (user.id, "Bearer")
    assert log(world) == ["ok"]


def test_wrong_password() -> None:
    """A wrong password is AD FS's word, which MSAL raises; the tenant hears nothing, the directory counts."""
    world, (error,) = live((31, sign_in("Wrong-words-1!")))
    assert isinstance(error, RuntimeError)
    assert "ID3242" in str(error)
    assert "FailedAuthentication" in str(error)
    assert log(world) == []
    assert world.account("alice").attribute("badPwdCount") == (1,)


def test_farm_down() -> None:
    """With the servers down MSAL's connection is refused; nothing falls back to the synchronized password."""
    world, (error,) = live((601, sign_in("Spring-2017!")))
    assert isinstance(error, requests.ConnectionError)
    assert log(world) == []


def test_after_the_conversion() -> None:
    """Once the conversion is in force the synchronized password signs in, and no other."""
    _, (before, after, old) = live(
        (2 * 3600, sign_in("Nobodys-words-1!")), (2 * 3600 + 1, sign_in("Spring-2017!")), (2 * 3600 + 2, sign_in(GOOD))
    )
    assert before["error_codes"] == old["error_codes"] == [50126]
    assert "access_token" in after


def test_realm_is_remembered() -> None:
    """MSAL keeps the answer on a user's realm for a day: an application that runs on still turns to AD FS.

    It is not the tenant's doing; a new application, or the same one started again, goes the new way.
    """
    visits = (31, sign_in("Spring-2017!")), (2 * 3600, sign_in("Spring-2017!"))
    _, (_, same) = live(*visits)
    _, (_, new) = live(*visits, anew=True)
    assert isinstance(same, requests.ConnectionError)
    assert "access_token" in new


def test_silent() -> None:
    """The refresh token works while the servers are down, and after the conversion."""
    _, (first, cached, down, later) = live(
        (31, sign_in("Spring-2017!")), (32, silent), (3700, silent), (2.5 * 3600, silent)
    )
    assert cached["access_token"] == first["access_token"]
    assert down["token_source"] == later["token_source"] == "identity_provider"


def test_agrees_with_a_scenarios_sign_in() -> None:
    """A scenario's sign-in and MSAL's come to the same, over the whole story."""
    passwords = ("Spring-2017!", GOOD)
    moments = (60.0, 660.0, 2 * 3600.0)
    looked: list[tuple[str, str]] = []

    def look(world: World, password: str) -> None:
        found = farms.look_at_sign_in(world, ALICE, password)
        looked.append((found.result, found.via))

    run = opened(SCENARIO)
    for moment in moments:
        for password in passwords:
            run.world.queue.push(
                run.world.start + seconds(moment),
                Rank.EXPECTATION,
                lambda password=password: look(run.world, password),  # type: ignore[misc]
            )
    run.run()
    _, came = live(*((moment, sign_in(password)) for moment in moments for password in passwords), anew=True)
    signed_in = [isinstance(each, dict) and "access_token" in each for each in came]
    assert signed_in == [result == "ok" for result, _ in looked] == [True, False, False, False, True, False]
    assert [via for _, via in looked] == ["adfs"] * 4 + ["managed"] * 2
