"""MSAL, unchanged, in the world of a scenario: it signs in with what the agent has synchronized."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msal
import pytest
from world.runs import opened, seconds

from simulator.queue import Rank
from simulator.world import World

pytestmark = pytest.mark.filterwarnings("ignore:This API has been deprecated:DeprecationWarning")

SCENARIO = """
given:
  users:
    - {name: alice, password: "Winter-2016!"}
    - {name: ines, password: "Winter-2016!", class: inetOrgPerson}
timeline:
  - {at: +1m, do: {ad.change-password: {user: alice, password: "Spring-2017!"}}}
  - {at: +2m, expect: {cloud.sign-in: {user: alice, password: "Spring-2017!", result: ok}}}
  - {at: +1h, do: {ad.change-password: {user: alice, password: "Summer-2017!"}}}
  - {at: +3h, expect: {cloud.sign-in: {user: alice, password: "Summer-2017!", result: ok}}}
"""


class Person:
    """Someone with an application of one's own, whose calls are none of the agent's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client: Any = None

    def call(self, what: Callable[[Any], Any]) -> Any:
        """Use the application: it reaches the tenant through the run's own wiring."""
        with self.world.network.off_record():
            if self.client is None:
                self.client = msal.PublicClientApplication(
                    "cb1056e2-e479-49de-ae31-7812af012ed8",
                    authority=f"https://login.microsoftonline.com/{self.world.tenant.tenant_id}",
                )
            return what(self.client)

    def sign_in(self, name: str, password: str) -> Any:
        return self.call(lambda client: client.acquire_token_by_username_password(name, password, scopes=["User.Read"]))


def live(*visits: tuple[float, Callable[[Person], Any]]) -> tuple[World, list[Any]]:
    """Run the scenario; at each of the offsets (seconds) someone does something. Returns what came of it."""
    run = opened(SCENARIO)
    person, came = Person(run.world), []
    for offset, visit in visits:
        when = run.world.start + seconds(offset)
        run.world.queue.push(when, Rank.EXPECTATION, lambda visit=visit: came.append(visit(person)))  # type: ignore[misc]
    run.run()
    assert run.failures == []
    return run.world, came


def test_synchronized_password() -> None:
    """What alice changed on premises signs her in, as herself, at the time of the world."""
    world, (found,) = live((150, lambda person: person.sign_in("alice@contoso.example", "Spring-2017!")))
    user = world.cloud_user("alice")
    assert user is not None
    claims = found["id_token_claims"]
    assert (claims["oid"], claims["preferred_username"]) == (user.id, "alice@contoso.example")
    assert claims["iat"] <= (world.start + timedelta(seconds=150)).timestamp() < claims["exp"]
    assert found["access_token"]


def test_before_and_after_the_cycle() -> None:
    """Until the cycle the old password signs in and the new one does not; afterwards it is the other way round."""
    name = "alice@contoso.example"
    _, came = live(
        (90, lambda person: person.sign_in(name, "Winter-2016!")),
        (91, lambda person: person.sign_in(name, "Spring-2017!")),
        (121, lambda person: person.sign_in(name, "Spring-2017!")),
        (122, lambda person: person.sign_in(name, "Winter-2016!")),
    )
    assert ["access_token" in found for found in came] == [True, False, True, False]
    assert came[1]["error_codes"] == came[3]["error_codes"] == [50126]


def test_password_that_stays_at_home() -> None:
    """An inetOrgPerson has a cloud account and nothing to sign in with."""
    _, (found,) = live((150, lambda person: person.sign_in("ines@contoso.example", "Winter-2016!")))
    assert "access_token" not in found
    assert found["error_codes"] == [50056]


def test_session_outlives_the_next_change() -> None:
    """The refresh token works two hours later, though the password was changed and synchronized meanwhile."""
    _, (first, later) = live(
        (150, lambda person: person.sign_in("alice@contoso.example", "Spring-2017!")),
        (
            2.5 * 3600,
            lambda person: person.call(
                lambda client: client.acquire_token_silent_with_error(["User.Read"], client.get_accounts()[0])
            ),
        ),
    )
    assert later["token_source"] == "identity_provider"
    assert later["access_token"] != first["access_token"]
