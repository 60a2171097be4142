"""The agent's small parts, value by value: schedule, scope, service configuration, process, the way to the tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pwsync import scope, service_config
from pwsync.errors import TenantError, Throttled
from pwsync.process import begin, controller
from pwsync.schedule import Grid
from pwsync.settings import BUILD_2017, Connector, Scope, Settings
from pwsync.state import PasswordState, State
from pwsync.tenant.provisioning import ProvisioningService
from pwsync.tenant_link import FORCE_PASSWORD_CHANGE, RETRY_AFTER, TenantLink, connect

NOW = datetime(2017, 1, 13, 9, tzinfo=UTC)
ROOT = "DC=contoso,DC=example"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class TestGrid:
    def grid(self, seconds: int = 100) -> Grid:
        made = Grid(timedelta(seconds=seconds))
        made.begin(NOW)
        return made

    @pytest.mark.parametrize(
        ("now", "due", "then"),
        [(-1, False, 0), (0, True, 0), (1, False, 100), (99, False, 100), (100, True, 100), (101, False, 200)],
    )
    def test_due(self, now: int, due: bool, then: int) -> None:
        """A start is due at its instant; one that was missed is the coming one."""
        grid = self.grid()
        assert (grid.due(after(now)), grid.next) == (due, after(then))

    @pytest.mark.parametrize(("now", "then"), [(-1, 0), (0, 100), (1, 100), (99, 100), (100, 200), (101, 200)])
    def test_passed(self, now: int, then: int) -> None:
        """What has passed is over, its own instant included."""
        grid = self.grid()
        grid.passed(after(now))
        assert grid.next == after(then)

    @pytest.mark.parametrize(("when", "then"), [(-1, 0), (0, 0), (1, 100), (100, 100), (101, 200)])
    def test_skipped(self, when: int, then: int) -> None:
        """Skipping leaves a start at its very instant."""
        grid = self.grid()
        grid.skip_to(after(when))
        assert grid.next == after(then)

    @pytest.mark.parametrize(("now", "then"), [(0, 0), (-150, 0), (-200, 0), (-1, 0)])
    def test_changed_before_it_begins(self, now: int, then: int) -> None:
        """Another interval does not move the first instant."""
        grid = self.grid()
        grid.change(timedelta(seconds=70), after(now))
        assert grid.next == after(then)

    def test_changed(self) -> None:
        """Another interval counts from the first instant; what is due now stays due."""
        grid = self.grid()
        grid.passed(NOW)
        grid.change(timedelta(seconds=70), after(60))
        assert grid.next == after(70)
        grid.change(timedelta(seconds=35), after(70))
        assert grid.next == after(70)
        grid.change(timedelta(seconds=35), after(69))
        assert grid.next == after(70)
        grid.passed(after(70))
        assert grid.next == after(105)
        stopped = Grid(timedelta(seconds=1))
        stopped.change(timedelta(seconds=2), NOW)
        assert stopped.next is None

    @pytest.mark.parametrize("seconds", [0, -1])
    def test_words(self, seconds: int) -> None:
        """An interval of nothing is refused, with what it was."""
        interval = timedelta(seconds=seconds)
        for make in (lambda: Grid(interval), lambda: self.grid().change(interval, NOW)):
            with pytest.raises(ValueError, match="interval") as caught:
                make()
            assert str(caught.value) == f"an interval must be longer than nothing, not {interval}"


class TestScope:
    @pytest.mark.parametrize(
        ("attributes", "reason"),
        [
            ({"iscriticalsystemobject": ["true"]}, "system-object"),
            ({"samaccountname": []}, "no-account-name"),
            ({"samaccountname": ["CAS_}x"]}, "service-account"),
            ({"samaccountname": ["xcas_}"]}, None),
            ({"samaccountname": ["support_388945a0x"]}, None),
            ({"samaccountname": ["xmsol_"]}, None),
            ({"mailnickname": ["x", "systemmailbox{1}"]}, None),
            ({"mailnickname": ["xCAS_}"]}, None),
            ({"mailnickname": ["SystemMailbox"]}, None),
            ({"msexchrecipienttypedetails": ["2"]}, "linked-mailbox"),
            ({"msexchrecipienttypedetails": ["8192"]}, "system-mailbox"),
            ({"msexchrecipienttypedetails": ["16777216"]}, "system-mailbox"),
            ({"msexchrecipienttypedetails": ["32768"]}, None),
            ({"msexchrecipienttypedetails": ["4096", "1"]}, "system-mailbox"),
            ({"msexchrecipienttypedetails": ["-4096"]}, None),
            ({"title": ["a", "NO"]}, "excluded-attribute"),
            ({"title": ["nope"]}, None),
            ({"city": ["x"]}, "excluded-attribute"),
            ({}, None),
        ],
    )
    def test_objects(self, attributes: dict[str, list[str]], reason: str | None) -> None:
        """Each rule of the default configuration, and any of several filters."""
        limits = Scope(exclude_attribute={"Title": "No", "city": "X"})
        values = {"samaccountname": ["alice"], **attributes}
        assert scope.object_left_out(f"CN=a,{ROOT}", values, limits, ROOT) == reason

    def test_order_of_reasons(self) -> None:
        """Of several reasons the first in the rules' order is told."""
        values = {
            "iscriticalsystemobject": ["TRUE"], "samaccountname": ["MSOL_1"], "mailnickname": ["systemmailbox{"],
            "msexchrecipienttypedetails": ["2"], "title": ["no"],
        }  # fmt: skip
        limits, found = Scope(exclude_ous=("OU=x",), exclude_attribute={"title": "no"}), []
        changes: tuple[dict[str, list[str]], ...] = (
            {}, {"iscriticalsystemobject": []}, {"samaccountname": ["a"]}, {"mailnickname": []},
            {"msexchrecipienttypedetails": []},
        )  # fmt: skip
        for change in changes:
            values = {**values, **change}
            found.append(scope.object_left_out(f"CN=a,OU=x,{ROOT}", values, limits, ROOT))
        found.append(scope.object_left_out(f"CN=a,{ROOT}", values, limits, ROOT))
        assert found == [
            "system-object", "service-account", "system-mailbox", "linked-mailbox", "excluded-ou", "excluded-attribute"
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("dn", "reason"),
        [
            (f"CN=a\\0ACNF:1,{ROOT}", "replication-victim"),
            (f"CN=a\nCNF:1,{ROOT}", "replication-victim"),
            (f"CN=a\\0acnf,{ROOT}", None),
            (f"CN=a,OU=x,{ROOT}", "excluded-ou"),
            (f"CN=a,OU=y,OU=x,{ROOT}", "excluded-ou"),
            (f"OU=x,{ROOT}", None),
        ],
    )
    def test_places(self, dn: str, reason: str | None) -> None:
        """Places without a list of OUs: what is excluded, and what two controllers made at once."""
        assert scope.place_left_out(dn, Scope(exclude_ous=("OU=x",)), ROOT) == reason
        assert scope.place_left_out(dn, Scope(), ROOT) == (reason if reason == "replication-victim" else None)
        assert scope.place_left_out(dn, Scope(ous=(ROOT,)), ROOT) == (
            reason if reason == "replication-victim" else None
        )

    @pytest.mark.parametrize(
        ("dn", "found"),
        [
            ("CN=A", "cn=a"), (" CN=A ", "cn=a"), ("CN = A , OU= B", "cn=a,ou=b"), ("CN=A ,OU=B", "cn=a,ou=b"),
            ("CN =A,OU=B", "cn=a,ou=b"), ("CN= A,OU=B", "cn=a,ou=b"), ("CN=A, OU=B", "cn=a,ou=b"),
            ("CN=A\\, B, OU=C", "cn=a\\, b,ou=c"), ("CN=A\\\\, OU=C", "cn=a\\\\,ou=c"),
            ("CN=A = B, OU=C", "cn=a = b,ou=c"),
            ("CN=A B,OU=C D", "cn=a b,ou=c d"), ("", ""), (", ", "=,="),
        ],
    )  # fmt: skip
    def test_normal(self, dn: str, found: str) -> None:
        """Blanks around the signs that part a name go, those inside stay."""
        assert scope.normal(dn) == found

    @pytest.mark.parametrize(
        ("dn", "below"),
        [("CN=a,OU=x", True), ("CN=a\\,OU=x", False), ("CN=a\\\\,OU=x", True), ("CN=a\\\\\\,OU=x", False),
         ("OU=x", False), (",OU=x", True), ("CN=aOU=x", False)],
    )  # fmt: skip
    def test_below(self, dn: str, below: bool) -> None:
        """A comma that is escaped parts nothing."""
        assert scope.is_below(dn, "ou=x") is below

    def test_absolute(self) -> None:
        """An OU in full, short, and the domain itself."""
        folded = ROOT.lower()
        assert scope.absolute("OU=X", ROOT) == scope.absolute(f"OU=x, {ROOT}", ROOT) == f"ou=x,{folded}"
        assert scope.absolute(ROOT, ROOT) == folded
        assert scope.absolute(f"OU=x{ROOT}", ROOT) == f"ou=x{folded},{folded}"

    @pytest.mark.parametrize(
        ("values", "found"), [(["512"], 512), (["x"], 0), ([""], 0), ([], 0), (["2", "512"], 2), (["-1"], -1)]
    )
    def test_account_control(self, values: list[str], found: int) -> None:
        """A number, or nothing."""
        assert scope.account_control({"useraccountcontrol": values}) == found
        assert scope.account_control({}) == 0


class TestServiceConfig:
    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (b" " * (service_config.SIZE_MAX + 1), "it has 1048577 octets, more than 1048576"),
            (b" " * service_config.SIZE_MAX, "it is not well-formed in line 1"),
            (b"<a>\n<b>\n</a>", "it is not well-formed in line 3"),
            (b"\n<!DOCTYPE a><a/>", "a document type is declared in line 2"),
            (b"<?xml version='1.0' encoding='x-none'?><a/>", "its encoding is not known"),
        ],
    )
    def test_problems(self, data: bytes, problem: str) -> None:
        """What is wrong with the file is named; then it is as if there were none."""
        found = service_config.read(data)
        assert (found.enforce_fips, found.problem) in ((True, problem), (True, "it is not well-formed in line 1"))
        assert found.problem == problem or b"encoding" in data

    @pytest.mark.parametrize(
        ("inside", "enforced"),
        [('enabled="false"', False), ('enabled="FALSE"', False), ('enabled="true"', True), ("", True),
         ('enabled="no"', True), ('Enabled="false"', True)],
    )  # fmt: skip
    def test_value(self, inside: str, enforced: bool) -> None:
        """One attribute of one element in one place counts."""
        element = f"<enforceFIPSPolicy {inside}/>"
        there = f"<configuration><x/><runtime><y/>{element}</runtime></configuration>"
        assert service_config.read(there.encode()) == service_config.ServiceConfig(enforced)
        for elsewhere in (f"<configuration>{element}</configuration>", f"<runtime>{element}</runtime>"):
            assert service_config.read(elsewhere.encode()) == service_config.ServiceConfig(True)
        twice = there.replace(element, f'<enforceFIPSPolicy enabled="false"/>{element}')
        assert service_config.read(twice.encode()).enforce_fips is (enforced and 'enabled="true"' in inside)
        assert service_config.read(None) == service_config.ServiceConfig(True, "")


class TestProcess:
    def test_controller(self) -> None:
        """The first that is preferred, or the first at all."""
        connector = Connector("d", "f", "i", "a", "p", ("dc1", "dc2"))
        assert (controller(connector, ()), controller(connector, ("dc9", "dc8"))) == ("dc1", "dc9")

    @pytest.mark.parametrize(
        ("staging", "stopping", "held", "may"),
        [(False, False, False, True), (True, False, False, False), (False, True, False, False),
         (False, False, True, False)],
    )  # fmt: skip
    def test_begin(self, lab: Any, staging: bool, stopping: bool, held: bool, may: bool) -> None:
        """A process knows passwords and controllers of its start, forgets hashes, and may send unless it may not."""
        lab.settings.connectors = (
            Connector("a.example", "f", "i", "acc", "pass-a", ("dc1", "dc2")),
            Connector("b.example", "f", "i", "acc", "pass-b", ("dc3",)),
        )
        lab.settings.preferred_controllers = {"b.example": ("dc7",)}
        lab.settings.staging = staging
        ports, state = lab.ports(), State()
        waiting = PasswordState("a", "d", "CN=a", due=True, nt=b"n")
        state.touch_password(waiting)
        store: Any = SimpleNamespace(state=state)
        link: Any = SimpleNamespace(held=held)
        process = begin(ports, store, link)
        process.stopping = stopping
        assert (process.ports, process.store, process.link, process.state) == (ports, store, link, state)
        assert process.passwords == {"a.example": "pass-a", "b.example": "pass-b"}
        assert process.controllers == {"a.example": "dc1", "b.example": "dc7"}
        assert (waiting.nt, process.may_send, lab.events) == (None, may, [])


class TestTenantLink:
    def link(self, state: State, clock: list[datetime], **calls: Any) -> TenantLink:
        ports: Any = SimpleNamespace(clock=lambda: clock[0])
        service: Any = SimpleNamespace(**calls)
        return TenantLink(ports, state, lambda given: (service, service) if given is ports else None)  # type: ignore[return-value,arg-type]

    @pytest.mark.parametrize(
        ("seconds", "kept"),
        [(60, 60), (0, 0), (-5, 0), (86_400 * 365, 86_400 * 365), (86_400 * 365 + 1, 86_400 * 365), (0.5, 0.5)],
    )
    def test_pause(self, seconds: float, kept: float) -> None:
        """A pause holds until its end, a year at most, over restarts; a shorter one does not shorten it."""
        state, clock = State(), [NOW]
        link = self.link(state, clock)
        assert not link.held
        link.heed(seconds)
        assert state.settings == {RETRY_AFTER: after(kept).isoformat()}
        again = self.link(state, clock)
        for each in (link, again):
            each.heed(-1)
            clock[0] = after(kept) - timedelta(microseconds=1)
            assert each.held
            clock[0] = after(kept)
            assert not each.held
        clock[0] = NOW
        link.heed(kept)
        assert state.settings == {RETRY_AFTER: after(kept).isoformat()}
        link.heed(86_400.0 * 364)
        assert state.settings[RETRY_AFTER] == max(after(kept), after(86_400 * 364)).isoformat()
        assert "retry-after" in state.touched.settings

    def test_identifiers(self, lab: Any) -> None:
        """Over HTTPS each call has a random GUID of its own, and says that it is one."""
        _, service = connect(lab.ports())
        assert isinstance(service, ProvisioningService)
        made = [service._identifiers() for _ in range(10)]
        assert ({each.version for each in made}, len(set(made))) == ({4}, 10)

    def test_calls(self) -> None:
        """Each call goes to its own operation with what it was given; a refusal's pause is kept, and it goes on."""
        calls: list[Any] = []

        def noted(name: str, answer: Any) -> Any:
            def call(*given: Any) -> Any:
                calls.append((name, *given))
                return answer

            return call

        link: Any = self.link(
            State(), [NOW], token=noted("token", "t"), make_good=noted("good", None), ping=noted("ping", None),
            send_credentials=noted("credentials", [1]), send_objects=noted("objects", [2]),
            set_features=noted("features", None), secrets_configuration=noted("secrets", "s"),
            company_configuration=noted("company", SimpleNamespace(dirsync_features=FORCE_PASSWORD_CHANGE)),
            assume=noted("assume", True), assume_ping=noted("assumed", None),
        )  # fmt: skip
        link.prepare()
        link.make_good()
        link.ping()
        items: Any = ["i"]
        assert (link.send_credentials(items), link.send_objects(items)) == ([1], [2])
        link.set_features(5)
        assert (link.secrets_configuration(), link.takes_forced_change(), link.features()) == ("s", True, 16384)
        made: list[str] = []
        assumed = link.assumed(made.append)
        assumed.prepare()
        assumed.ping()
        assert made == ["cloud.token", "cloud.ping"]
        assert calls == [
            ("token",), ("good",), ("ping",), ("credentials", ["i"]), ("objects", ["i"]), ("features", 5), ("secrets",),
            ("company",), ("company",), ("assume",), ("assumed",),
        ]  # fmt: skip

    @pytest.mark.parametrize(("features", "takes"), [(16385, True), (16384, True), (1, False), (16383, False)])
    def test_forced_change(self, features: int, takes: bool) -> None:
        """One bit of the tenant's features says whether must-change passwords may come."""
        link = self.link(State(), [NOW], company_configuration=lambda: SimpleNamespace(dirsync_features=features))
        assert link.takes_forced_change() is takes

    @pytest.mark.parametrize(
        ("error", "held"), [(Throttled(429, retry_after=9.0), True), (Throttled(503), False), (TenantError("x"), False)]
    )
    def test_refused(self, error: TenantError, held: bool) -> None:
        """A refusal passes out; where it names a pause that begins."""

        def ping() -> None:
            raise error

        link = self.link(State(), [NOW], ping=ping)
        with pytest.raises(TenantError) as caught:
            link.ping()
        assert (caught.value, link.held) == (error, held)


def test_settings() -> None:
    """What is not set has the product's values."""
    found = Settings((), "a", "p")
    assert (found.build, found.scope, found.batch_size, found.staging) == (BUILD_2017, Scope(), 50, False)
