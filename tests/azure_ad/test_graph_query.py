"""Graph's lists of users: filters, order, counts and pages, and who may ask."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.azure_ad.errors import GraphError
from simulator.azure_ad.graph.filters import DEPTH_MAX, read_filter
from simulator.azure_ad.users import CloudUser

BASE = "https://graph.microsoft.com/v1.0"
SCOPE = "https://graph.microsoft.com/.default"
EVENTUAL = {"ConsistencyLevel": "eventual"}
GOOD = "Winter-2016!"


@pytest.fixture
def get(ask, token, tenant):
    """GET with a query, as an administrator -> (status, body)."""

    def send(path="/users", headers=None, **query):
        headers = {"Authorization": f"Bearer {token(*tenant.admin_account(), SCOPE)}", **(headers or {})}
        params = {f"${name}": value for name, value in query.items()}
        answer = ask("GET", path if path.startswith("https:") else BASE + path, headers=headers, params=params)
        is_json = answer.body and dict(answer.headers)["Content-Type"].startswith("application/json")
        return answer.status, json.loads(answer.body) if is_json else answer.body.decode()

    return send


@pytest.fixture
def people(tenant, export, clock, later):
    """Five synchronized users, made a day after each other; the fourth is disabled."""
    for number in range(5):
        later(days=1)
        export(tenant, f"user{number}", accountEnabled=number != 3, mail=f"user{number}@mail.example")


def names(body):
    return [user["displayName"] for user in body["value"]]


def matched(get, clause):
    status, body = get(filter=clause, count="true", headers=EVENTUAL)
    assert status == 200, body
    assert body["@odata.count"] == len(body["value"])
    return [user["displayName"][-1] for user in body["value"] if user["displayName"].startswith("user")]


class TestFilter:
    @pytest.mark.parametrize(
        ("clause", "found"),
        [
            ("accountEnabled eq false", "3"),
            ("displayName eq 'USER1' or displayName eq 'user2'", "12"),
            ("startsWith(displayName,'user') and not (accountEnabled eq true)", "3"),
            ("displayName in ('user0', 'user4', 'nobody')", "04"),
            ("endsWith(mail,'2@MAIL.example')", "2"),
            ("not startswith(displayName,'user')", ""),
            ("createdDateTime ge 2017-01-16T09:00:00Z and startswith(displayName,'user')", "234"),
            ("createdDateTime lt 2017-01-15T11:00:00+02:00 and startswith(displayName,'user')", "0"),
            ("displayName gt 'user3'", "4"),
            ("(((displayName le 'user0')) or accountEnabled eq false) and mail ne null", "03"),
            ("displayName eq 'user0' or displayName eq 'user1' and accountEnabled eq false", "0"),
            ("mail eq null", ""),
            ("accountEnabled in (false, null)", "3"),
        ],
    )
    def test_matches(self, get, people, clause, found):
        """Comparisons, in, startsWith and endsWith; and binds closer than or, not closer than both."""
        assert matched(get, clause) == list(found)

    @pytest.mark.parametrize(
        "clause",
        [
            "displayName",
            "displayName eq",
            "displayName eq 'x",
            "displayName eq x",
            "displayName like 'x'",
            "eq 'x'",
            "displayName eq 'x' displayName eq 'y'",
            "(displayName eq 'x'",
            "displayName eq 'x')",
            "displayName in ()",
            "startswith(displayName)",
            "startswith('x',displayName)",
            "contains(displayName,'x')",
            "not",
            "createdDateTime ge 2017-99-99T00:00:00Z",
            "createdDateTime ge 0001-01-01T00:00:00+23:59",
            "displayName eq 'x' and",
            "displayName eq 'x' ; drop",
            "(" * 2000,
            "not " * 2000 + "accountEnabled eq true",
            "",
        ],
    )
    def test_refuses(self, get, clause):
        """What is no filter, or more than is known here, is a 400 that says where and what is known."""
        status, body = get(filter=clause, count="true", headers=EVENTUAL)
        assert status == 400
        assert "Known: " in body["error"]["message"]

    @pytest.mark.parametrize("clause", ["displayName ne 'x'", "not (displayName eq 'x')", "endsWith(mail,'x')"])
    @pytest.mark.parametrize(("count", "headers"), [("false", EVENTUAL), ("true", {})])
    def test_advanced(self, get, clause, count, headers):
        """Advanced filters need the header and the count."""
        status, body = get(filter=clause, count=count, headers=headers)
        assert (status, body["error"]["code"]) == (400, "Request_UnsupportedQuery")
        assert "ConsistencyLevel:eventual" in body["error"]["message"]

    @given(st.text(alphabet="abeqnotri()',.:019TZ- ", max_size=60))
    def test_any_text(self, text):
        """Any text is a filter or a refusal."""
        with suppress(GraphError):
            assert read_filter(text).matches(CloudUser("1", "a@b", "a", None)) in (True, False)

    @given(st.integers(1, DEPTH_MAX), st.booleans())
    def test_nested(self, depth, enabled):
        """Parentheses change nothing; each not turns the answer around."""
        user = CloudUser("1", "a@b", "a", None, enabled=enabled)
        clause = "accountEnabled eq true"
        assert read_filter("(" * depth + clause + ")" * depth).matches(user) is enabled
        assert read_filter("not " * depth + clause).matches(user) is (enabled if depth % 2 == 0 else not enabled)


class TestOrderAndCount:
    def test_order(self, get, people):
        """Users are sorted by name or by date, either way, over pages."""
        assert names(get(orderby="displayName desc", top="2")[1]) == ["user4", "user3"]
        found, body = [], get(orderby="displayName", top="2")[1]
        while True:
            found += names(body)
            if "@odata.nextLink" not in body:
                break
            body = get(body["@odata.nextLink"])[1]
        assert found == sorted(found, key=str.lower)
        assert len(found) == 7

    @pytest.mark.parametrize("text", ["mail", "displayName up", "", "displayName,mail", "colour"])
    def test_order_unknown(self, get, text):
        """Another order is refused by what is known."""
        assert get(orderby=text)[0] == 400

    def test_order_with_filter(self, get, people):
        """An order together with a filter is an advanced query."""
        query = {"filter": "accountEnabled eq true", "orderby": "displayName"}
        assert get(**query)[0] == 400
        assert get(**query, count="true", headers=EVENTUAL)[0] == 200

    def test_count(self, get, people):
        """The count is told beside a page, of all pages; and alone, as a text."""
        body = get(count="true", top="2", headers=EVENTUAL)[1]
        assert (body["@odata.count"], len(body["value"])) == (7, 2)
        assert get("/users/$count", headers=EVENTUAL) == (200, "7")
        assert get("/users/$count", filter="accountEnabled eq false", headers=EVENTUAL) == (200, "1")

    def test_count_without_header(self, get, people):
        """Without the header a count alone is refused, and one beside a page is left out."""
        assert get("/users/$count")[0] == 400
        assert "@odata.count" not in get(count="true")[1]
        assert get(count="maybe")[0] == 400


class TestPages:
    def test_deleted_between_pages(self, get, people, tenant):
        """Whoever is deleted between two pages moves nobody else out of sight."""
        body = get(top="4", select="displayName")[1]
        last = tenant.users.by_id(body["value"][-1]["id"])
        tenant.delete_user(last)
        rest = get(body["@odata.nextLink"])[1]
        assert names(rest) == ["user2", "user3", "user4"]
        assert set(rest["value"][0]) == {"displayName", "id"}

    def test_gone_for_good(self, get, people, tenant):
        """A page token whose place is gone is told as expired."""
        body = get(top="4")[1]
        last = tenant.users.by_id(body["value"][-1]["id"])
        tenant.delete_user(last)
        tenant.users.forget(last)
        status, body = get(body["@odata.nextLink"])
        assert (status, body["error"]["code"]) == (400, "Directory_ExpiredPageToken")

    @pytest.mark.parametrize("value", ["x", "", "é", '{"last": 1}', '{"first": 1}', "[]", "7", "[" * 90_000])
    def test_forged(self, get, value):
        """A page token that is none is a 400, whatever is in it."""
        assert get(skiptoken=value)[0] == 400
        assert get(skiptoken=urlsafe_b64encode(value.encode()).decode())[0] == 400

    def test_many(self, get, tenant):
        """A thousand users come once each, in pages of 100."""
        made = {tenant.create_user(f"n{number}", GOOD).id for number in range(997)}
        found, body = [], get(select="id")[1]
        while True:
            found += [user["id"] for user in body["value"]]
            if "@odata.nextLink" not in body:
                break
            assert len(body["value"]) == 100
            body = get(body["@odata.nextLink"])[1]
        assert len(found) == len(set(found)) == 999
        assert made < set(found)


class TestWhoMayAsk:
    @pytest.mark.parametrize(
        ("scope", "status"),
        [("User.Read", 403), ("User.ReadBasic.All", 403), ("User.Read.All", 200), ("Mail.Read", 403), (SCOPE, 200)],
    )
    def test_scopes(self, ask, token, tenant, synchronize, scope, status):
        """An ordinary user may read the others, as far as the client's permissions go."""
        synchronize(tenant, "alice", GOOD)
        own = token("alice@contoso.example", GOOD, scope)
        assert ask("GET", f"{BASE}/users", headers={"Authorization": f"Bearer {own}"}).status == status

    def test_own_name(self, ask, token, tenant, synchronize):
        """User.Read opens the caller's own user by any name, and nobody else's."""
        alice, bob = synchronize(tenant, "alice", GOOD), synchronize(tenant, "bob", GOOD)
        headers = {"Authorization": f"Bearer {token(alice.upn, GOOD, 'User.Read')}"}
        for name in (alice.id, alice.upn.upper()):
            assert ask("GET", f"{BASE}/users/{name}", headers=headers).status == 200
        assert ask("GET", f"{BASE}/users/{bob.id}", headers=headers).status == 403

    def test_administrator_with_few_permissions(self, ask, token, tenant, synchronize):
        """What a client was not given, an administrator can't do with it."""
        alice = synchronize(tenant, "alice", GOOD)
        headers = {"Authorization": f"Bearer {token(*tenant.admin_account(), 'User.ReadWrite.All')}"}
        path = f"{BASE}/users/{alice.id}"
        assert ask("PATCH", path, headers=headers, json={"accountEnabled": False}).status == 204
        body = {"passwordProfile": {"password": "Helpdesk-77!"}}
        assert ask("PATCH", path, headers=headers, json=body).status == 403
        assert alice.source == "synced"
