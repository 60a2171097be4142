"""Short stories of an agent: what happens in each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from agent.story import Story, refusing

from pwsync.errors import (
    ReplicationError,
    ServiceFault,
    Throttled,
    TokenError,
    TransportError,
)
from pwsync.fips import ServerCrypto
from pwsync.ports import ServerPort
from pwsync.settings import Scope

DOMAIN = "contoso.example"
NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)


def busy() -> ServiceFault:
    return ServiceFault("The server is busy.", code=81, tracking_id="track-1", server="SRV1")


def off() -> ServiceFault:
    return ServiceFault("Not activated.", code=90, tracking_id="track-2", server="SRV2")


def a_day(story: Story) -> None:
    """People come, change, move, are locked out and go."""
    lab = story.lab
    lab.settings.scope = Scope(exclude_ous=("OU=Robots",))
    lab.domain.add("alice", givenName="Alice", sn="Liddell", mail="alice@contoso.example", proxyAddresses="SMTP:a@b")
    lab.domain.add("dave", userAccountControl="514", userPrincipalName="david@fabrikam.example")
    lab.domain.add("ines", inet="yes")
    lab.domain.add("r2", ou="OU=Robots")
    lab.domain.add("nameless", userPrincipalName="")
    story.begin()
    lab.now += timedelta(seconds=45)
    lab.domain.set_password("alice", "Spring-2017!")
    lab.domain.add("bob")
    lab.domain.set_password("r2", "Beep-2017!")
    story.step("a change, and a new user", 2)
    lab.domain.set_password("nameless", "Temporary-1!", must_change=True)
    story.step("a temporary password", 2)
    story.step("the next object cycle, and a heartbeat", 34)
    lab.domain.enable("dave")
    lab.domain.enable("alice", enabled=False)
    lab.domain.move("bob", "OU=Robots")
    lab.domain.move("r2", "OU=People")
    lab.domain.delete("nameless")
    lab.domain.set("alice", mail="", sn="Hargreaves")
    story.step("everybody changes places", 28)
    lab.domain.enable("alice")
    story.agent.configure(scope=Scope(), object_interval=timedelta(minutes=45))
    story.step("scope and interval are others", 32)
    story.reborn()
    story.step("another process")
    story.agent.run_object_cycle("initial")
    story.step("an initial cycle")
    story.agent.start()
    story.step("started twice")
    story.agent.stop()
    story.step("stopped", 10)


def the_tenant_refuses(story: Story) -> None:
    """Faults of every kind, for each call."""
    lab = story.lab
    lab.settings.batch_size = 2
    for name in ("alice", "bob", "carol"):
        lab.domain.add(name)
    story.fail(("objects", off()), ("credentials", TransportError("reset by peer")))
    story.begin()
    story.fail(("credentials", busy()), ("credentials", TokenError("AADSTS50126: wrong.")))
    story.step("objects were refused", 32)
    lab.tenant.results[lab.anchor("bob")] = 9
    story.step("one of them fails", 2)
    story.step("and fails again", 2)
    lab.tenant.results.clear()
    story.step("all is well again", 2)
    story.fail(("ping", ServiceFault("Access denied: denied to you.")))
    story.step("a ping is denied", 32)
    story.fail(("ping", Throttled(503, retry_after=900)))
    lab.domain.set_password("bob", "Spring-2017!")
    lab.tenant.results[lab.anchor("bob")] = -1
    story.step("an answer without a result", 4)
    lab.tenant.results.clear()
    story.step("a pause that a ping is asked for", 30)
    story.step("the pause is over", 26)
    lab.tenant.features = 4
    lab.domain.set_password("bob", "Summer-2017!")
    story.fail(("credentials", off()), ("configuration", TransportError("lost")))
    story.step("the feature is off, and stays so", 2)
    story.fail(("credentials", off()), ("features", Throttled(429, retry_after=300)))
    story.step("it can't be switched", 2)
    story.step("a pause is kept", 4)
    story.fail(("credentials", off()), ("configuration", TokenError("AADSTS50126: wrong.")))
    story.step("the account can't ask for it", 2)
    story.fail(("credentials", off()))
    story.step("it is switched", 10)
    for index, error in enumerate((busy(), Throttled(500), TokenError("no"), TransportError("lost"))):
        lab.domain.set("carol", displayName=f"Carol {index}")
        story.fail(("objects", error))
        story.agent.run_object_cycle("delta")
    story.step("exports fail")
    lab.tenant.results["object:" + lab.anchor("carol")] = 1
    lab.domain.set("alice", displayName="Alice A.")
    story.agent.run_object_cycle("delta")
    story.step("one object is refused")
    lab.tenant.results.clear()
    lab.domain.delete("carol")
    story.fail(("objects", TransportError("lost")))
    story.agent.run_object_cycle("delta")
    story.step("a deletion is lost")
    story.agent.run_object_cycle("delta")
    story.step("and made")


def the_directory_refuses(story: Story) -> None:
    """A domain that can't be read, by either way."""
    lab = story.lab
    other = lab.add_domain("sales.example")
    lab.domain.add("alice")
    other.add("bob")
    story.begin()
    for code in (5, 1326, 1722, 8333, 8439, 4711):
        lab.domain.on_call = refusing("get-nc-changes", ReplicationError(code, "odd"))
        story.step(f"replication says {code}", 2)
    lab.domain.on_call = refusing("bind", OSError("connection reset"))
    other.password = "new!"
    story.step("LDAP breaks, and a password is wrong", 20)
    lab.domain.on_call = lambda operation: None
    story.agent.close()
    story.agent = lab.agent()
    story.agent.configure(preferred_controllers={DOMAIN: ("down", "dc2")})
    story.agent.start()
    story.agent.run_due()
    story.step("a preferred controller is down")
    other.password = "connector!"
    lab.settings.preferred_controllers = {}
    story.reborn()
    lab.domain.garbles = True
    lab.domain.set_password("alice", "Spring-2017!")
    story.step("garbled secrets", 2)
    lab.domain.garbles = False
    story.agent._state.domain(DOMAIN).import_cookie = b"garbage"
    story.step("a cookie is refused", 30)
    story.step("everything is imported again", 30)


def whole_forests(story: Story) -> None:
    """Full synchronizations of three domains in two forests."""
    lab = story.lab
    lab.settings.batch_size = 1
    sales = lab.add_domain("sales.example")
    labs = lab.add_domain("labs.example", "labs.example", "connector-2")
    for domain, names in ((lab.domain, ("alice", "bob")), (sales, ("carol",)), (labs, ("dave",))):
        for name in names:
            domain.add(name)
    story.begin(express=False, password_sync=False)
    story.refused(lambda: story.agent.full_password_sync("labs.example"))
    story.agent.enable_password_sync("sales.example")
    story.step("one domain is switched on", 2)
    story.agent.enable_password_sync()
    story.step("all are", 2)
    story.agent.full_password_sync(DOMAIN)
    story.agent.full_password_sync("labs.example")
    lab.domain.on_call = refusing("get-nc-changes", ReplicationError(1722))
    story.fail(("credentials", busy()))
    story.step("an attempt fails", 2)
    lab.domain.on_call = lambda operation: None
    lab.tenant.results[lab.anchor("bob")] = 9
    story.step("another one does not get to its end", 2)
    story.reborn()
    lab.tenant.results.clear()
    story.step("another process ends it", 2)
    story.agent.disable_password_sync("labs.example")
    labs.set_password("dave", "Spring-2017!")
    story.step("one domain is switched off", 64)
    story.fail(("ping", TransportError("lost")), ("ping", Throttled(429, retry_after=60)))
    story.step("heartbeats fail", 40)
    story.agent.disable_password_sync()
    story.step("all are switched off", 64)


def one_person_twice(story: Story) -> None:
    """Accounts of two forests that are matched."""
    lab = story.lab
    other = lab.add_domain("labs.example", "labs.example", "connector-2")
    lab.settings.match_by = "mail"
    sales = lab.add_domain("sales.example")
    lab.domain.add("alice", mail="a@contoso.example")
    sales.add("alice-s", mail="a@contoso.example")
    other.add("alice-l", mail="A@contoso.example")
    other.add("alone", mail="")
    story.begin()
    lab.domain.enable("alice", enabled=False)
    other.set_password("alice-l", "Spring-2017!")
    story.step("the other one counts", 32)
    lab.domain.enable("alice")
    story.step("and the first again", 30)
    lab.domain.delete("alice")
    story.step("the first is gone", 30)


def too_many_deletions(story: Story) -> None:
    """More deletions than the threshold."""
    lab = story.lab
    for name in ("alice", "bob", "carol"):
        lab.domain.add(name)
    story.begin()
    story.agent.configure(deletion_threshold=1)
    lab.domain.delete("alice")
    story.step("one deletion", 30)
    story.agent.configure(scope=Scope(ous=("OU=Sales",)))
    story.step("two are too many", 30)
    story.agent.configure(deletion_threshold=2)
    story.step("now they are not", 30)
    lab.domain.move("bob", "OU=Sales")
    story.step("one comes back", 34)


def the_store_is_full(story: Story) -> None:
    """Commits that fail, in each kind of cycle and for each order."""
    lab = story.lab
    lab.domain.add("alice")
    lab.domain.add("bob")
    story.begin()

    def full(number: int) -> None:
        raise OSError("no space left")

    lab.on_commit = full
    story.refused(story.agent.disable_password_sync)
    story.refused(lambda: story.agent.full_password_sync(DOMAIN))
    story.refused(story.agent.enable_password_sync)
    if lab.settings.build.single_user:
        story.refused(lambda: story.agent.sync_user(lab.anchor("alice")))
    lab.domain.set_password("alice", "Spring-2017!")
    story.step("a cycle of passwords", 2)
    lab.domain.set("bob", displayName="Bob B.")
    story.agent.run_object_cycle("delta")
    story.step("a cycle of objects")
    lab.on_commit = lambda number: None
    story.step("there is room for a while", 40)
    lab.on_commit = full
    story.fail(("ping", Throttled(503, retry_after=120)))
    story.step("a ping", 24)
    lab.on_commit = lambda number: None
    story.step("there is room again", 10)


def a_locked_server(story: Story) -> None:
    """No MD5, and a file that can't be used."""
    lab = story.lab
    lab.domain.add("alice")
    port = ServerPort(lambda: b"<configuration>", lambda enforce: ServerCrypto(locked=enforce))
    story.moved_to(port)
    story.begin()


def one_user(story: Story) -> None:
    """One user's password, ordered and refused."""
    lab = story.lab
    for name in ("alice", "bob"):
        lab.domain.add(name)
    lab.domain.add("dave", userAccountControl="514")
    lab.domain.add("robot", ou="OU=Robots")
    lab.settings.scope = Scope(exclude_ous=("OU=Robots",))
    story.begin(express=False, password_sync=False)
    story.agent.enable_password_sync()
    story.agent.sync_user(lab.anchor("alice"))
    story.step("ordered before any password was read", 2)
    story.agent.sync_user(lab.anchor("bob"))
    story.step("ordered", 2)
    lab.domain.add("new")
    lab.tenant.results["object:" + lab.anchor("new")] = 1
    story.refused(lambda: story.agent.sync_user(lab.anchor("new")))
    story.agent.run_object_cycle("delta")
    for name in ("new", "dave", "robot"):
        story.refused(partial(story.agent.sync_user, lab.anchor(name)))
    story.agent.disable_password_sync()
    story.refused(lambda: story.agent.sync_user(lab.anchor("alice")))
    story.agent.enable_password_sync()
    story.agent.configure(staging=True)
    story.refused(lambda: story.agent.sync_user(lab.anchor("alice")))
    story.step("refused")


def what_nobody_foresaw(story: Story) -> None:
    """Errors of no known kind end the process, with last words."""
    lab = story.lab
    lab.domain.add("alice")
    story.begin()
    for where, title in (("objects", "while objects go out"), ("credentials", "while passwords do")):
        lab.domain.set_password("alice", f"Spring-2017-{where}!")
        lab.domain.set("alice", displayName=f"Alice {where}")
        for stops in (False, True):

            def answer(operation: str, where: str = where, stops: bool = stops) -> None:
                if operation == where:
                    if stops:
                        story.agent.stop()
                    raise OSError(5, "Input/output error")

            lab.tenant.on_call = answer
            lab.now = story.agent.next_due() or lab.now
            with pytest.raises(OSError, match="Input/output"):
                story.agent.run_object_cycle("delta") if where == "objects" else story.agent.run_due()
            lab.tenant.on_call = lambda operation: None
            story.step(f"{title}{', told to stop' if stops else ''}")
            story.agent.start()
    lab.tenant.on_call = lambda operation: story.agent.stop() if operation == "credentials" else None
    story.agent.run_due()
    story.step("told to stop, and nothing else")


def in_mid_cycle(story: Story) -> None:
    """Orders, starts and stops while a cycle is under way."""
    lab = story.lab
    lab.settings.batch_size = 1
    sales = lab.add_domain("sales.example")
    for name in ("alice", "bob", "carol"):
        lab.domain.add(name)
    sales.add("dave")
    story.begin()
    ordered = ["delta", "initial"]

    def order(operation: str) -> None:
        if operation == "search" and ordered:
            story.agent.run_due()
            story.agent.run_object_cycle(ordered.pop(0))

    lab.domain.on_call = order
    story.agent.run_object_cycle("delta")
    story.step("cycles of objects are ordered during one")
    lab.domain.on_call = lambda operation: None
    todo = [story.agent.start]

    def act(operation: str, where: str = "credentials") -> None:
        if operation == where and todo:
            todo.pop()()

    lab.tenant.on_call = act
    for name in ("alice", "bob", "carol"):
        lab.domain.set_password(name, "Spring-2017!")
    story.step("started while passwords go out", 2)
    todo.append(lambda: story.agent.configure(staging=True))
    for name in ("alice", "bob", "carol"):
        lab.domain.set_password(name, "Summer-2017!")
    story.step("staging from the middle of a cycle on", 2)
    story.agent.configure(staging=False)
    story.step("and no longer", 2)
    todo.append(story.agent.stop)
    lab.domain.on_call = lambda operation: act(operation, "search")
    sales.set("dave", displayName="Dave D.")
    story.agent.run_object_cycle("delta")
    story.step("stopped during an import")
    story.agent.start()
    todo.append(lambda: story.agent.run_object_cycle("initial"))

    def fail(operation: str) -> None:
        act(operation, "objects")
        if operation == "objects":
            raise OSError(5, "Input/output error")

    lab.tenant.on_call = fail
    with pytest.raises(OSError, match="Input/output"):
        story.agent.run_object_cycle("delta")
    lab.tenant.on_call = lambda operation: None
    story.step("an order during a cycle that breaks is lost")
    story.agent.run_object_cycle("delta")
    story.step("the next cycle is one")

    def order_and_stop() -> None:
        story.agent.run_object_cycle("initial")
        story.agent.stop()

    todo.append(order_and_stop)
    story.agent.run_object_cycle("delta")
    story.step("ordered, and stopped")


def idle_time(story: Story) -> None:
    """A simulation that skips an idle hour."""
    lab = story.lab
    other = lab.add_domain("labs.example", "labs.example", "connector-2")
    lab.domain.add("alice")
    other.add("bob")
    story.begin()
    story.step("two cycles", 4)
    tokens, made = lab.tenant, list[str]()
    tokens.assume, tokens.assume_ping, tokens.make_good = lambda: True, lambda: None, lambda: made.append("good")
    while (until := story.agent.idle_until()) is not None and until <= NOW + timedelta(minutes=95):
        lab.now = until
        story.agent.skip_to(until)
        story.agent.assume_idle(made.append)
        story.step(f"assumed: {' '.join(made)}")
        made.clear()
    story.agent.make_good()
    story.agent.stop()
    story.agent.assume_idle(made.append)
    story.step(f"stopped: {' '.join(made)}")


STORIES = (
    a_day, the_tenant_refuses, the_directory_refuses, whole_forests, one_person_twice, too_many_deletions,
    the_store_is_full, a_locked_server, one_user, what_nobody_foresaw, in_mid_cycle, idle_time,
)  # fmt: skip
